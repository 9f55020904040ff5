"""The interface between teachers and the cascade."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel, Runner
from rankprompt.judges.guard import AnswerGuard
from rankprompt.prompts.prompt import Prompt

__all__ = ["ModelTeacher", "TeacherConfig", "TeacherEntry", "TeacherLoader"]


class ModelTeacher(Protocol):
    """Scores pairs of a query's text and a window's text with a model."""

    @property
    def fingerprint(self) -> str:
        """A digest that changes whenever the scores may change."""

    @property
    def tokens(self) -> int:
        """How many tokens have been read so far, without padding."""

    @property
    def windows_cut(self) -> int:
        """How many of the texts scored so far were truncated."""

    def cuts(self, query: str) -> bool:
        """Returns whether a query is truncated."""

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Scores pairs, in their order; higher is more relevant.

        Raises:
            ModelError: A pair cannot be scored.
        """


class TeacherConfig(NamedTuple):
    """A model's folder or name and, for a model that is asked by a prompt, as ``load_teacher``."""

    source: str
    prompt: Prompt | str
    model: CachedModel | ConcurrentCachedModel | None
    guard: AnswerGuard | None = None
    runner: Runner | None = None


TeacherLoader: TypeAlias = Callable[[TeacherConfig], ModelTeacher]


class TeacherEntry(NamedTuple):
    """The module and function that load a kind of teacher, and how its folder is found by name.

    ``folder`` is None for teachers that are asked by a prompt; ``server`` says whether they are
    behind a server.
    """

    loader: str
    folder: Callable[[str], Path] | None = None
    server: bool = False
