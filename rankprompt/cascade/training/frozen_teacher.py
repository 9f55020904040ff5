"""The frozen teacher that a student is distilled from."""

from pathlib import Path
from typing import NamedTuple

from rankprompt.cascade.teachers import YES_NO, load_teacher
from rankprompt.cascade.training.trainable_teacher import read_weights
from rankprompt.cascade.window_scores import Teacher

__all__ = ["Frozen", "load_frozen"]


class Frozen(NamedTuple):
    """A teacher that only answers.

    Attributes:
        score: scores pairs of texts.
        fingerprint: changes whenever the scores may; they are kept under it.
        weights: of a document's best windows, best first.
    """

    score: Teacher
    fingerprint: str
    weights: tuple[float, ...]


def load_frozen(name: str, top: int = 3, prompt: str = YES_NO) -> Frozen:
    """Loads a teacher that only answers.

    Args:
        name: as for ``load_teacher``.
        top: how many of a document's best windows count, with weight 1, where the folder does not
            hold weights that training learned.
        prompt: of a language model.

    Raises:
        ModelError: it cannot be loaded.
    """
    teacher = load_teacher(name, prompt=prompt)
    return Frozen(teacher, teacher.fingerprint, read_weights(Path(name), top))
