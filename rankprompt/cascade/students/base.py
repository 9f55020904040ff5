"""The interface between students and the cascade."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from rankprompt.cascade.window_scores import WindowQuestion

__all__ = [
    "Student", "StudentConfig", "StudentLoader", "TextStudent", "TextsOnly", "cuts_query",
]  # fmt: skip

Student: TypeAlias = Callable[[Sequence[WindowQuestion]], list[float]]
"""Scores the windows of all candidates of one query, in their order; higher is better."""

TextStudent: TypeAlias = Callable[[str, Sequence[str]], list[float]]
"""Scores windows by the query's text and their own texts; higher is better."""


class StudentConfig(NamedTuple):
    """The arguments of a student: the folder in its name ("" for none), a language and a seed."""

    folder: str
    language: str
    seed: int


StudentLoader: TypeAlias = Callable[[StudentConfig], Student | None]
"""Loads a student; None stands for keeping every window."""


@dataclass(frozen=True)
class TextsOnly:
    """Makes a student of a function that reads only texts; ``cuts`` tells truncated queries."""

    student: TextStudent
    cuts: Callable[[str], bool] | None = None

    def __call__(self, windows: Sequence[WindowQuestion]) -> list[float]:
        """Scores windows, in their order."""
        texts = [window.texts[1] for window in windows]
        return self.student(windows[0].texts[0], texts) if windows else []


def cuts_query(student: Student, query: str) -> bool:
    """Returns whether a student truncates a query."""
    return isinstance(student, TextsOnly) and student.cuts is not None and student.cuts(query)
