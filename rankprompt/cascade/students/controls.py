"""Controls that a student must beat: every window, the first windows, and random windows."""

from collections.abc import Sequence

from rankprompt.cascade.students.base import Student, StudentConfig
from rankprompt.cascade.window_scores import WindowQuestion
from rankprompt.rankers.seeded_random import uniform

__all__ = ["RandomStudent", "first", "load_all", "load_first", "load_random"]


def first(windows: Sequence[WindowQuestion]) -> list[float]:
    """Scores windows by their position in the document: the earlier, the higher."""
    return [-float(question.window) for question in windows]


class RandomStudent:
    """Draws a score from the seed, query, document and window: the same score at every call."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def __call__(self, windows: Sequence[WindowQuestion]) -> list[float]:
        """Scores windows, in their order."""
        return [
            uniform(self._seed, "window", query, document, str(window))
            for query, document, window, _ in windows
        ]


def load_all(_: StudentConfig) -> None:
    """Returns None, which keeps every window."""


def load_first(_: StudentConfig) -> Student:
    """Returns the control ``first``."""
    return first


def load_random(config: StudentConfig) -> Student:
    """Returns the control ``random``."""
    return RandomStudent(config.seed)
