"""What a student is to the cascade."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rankprompt.cascade.window_scores import Asked

__all__ = ["OfTexts", "Student", "TextStudent", "cuts_query"]

Student: TypeAlias = Callable[[Sequence[Asked]], list[float]]
"""Scores the windows of all of one query's candidates, in their order; higher is better."""

TextStudent: TypeAlias = Callable[[str, Sequence[str]], list[float]]
"""Scores windows by a query's text and their own."""


@dataclass(frozen=True)
class OfTexts:
    """A student made of one that needs the texts alone.

    Attributes:
        student: scores the windows.
        cuts: whether a query is longer than what it reads of one; None where it reads all.
    """

    student: TextStudent
    cuts: Callable[[str], bool] | None = None

    def __call__(self, windows: Sequence[Asked]) -> list[float]:
        """Scores windows, in their order."""
        texts = [one.texts[1] for one in windows]
        return self.student(windows[0].texts[0], texts) if windows else []


def cuts_query(student: Student, query: str) -> bool:
    """Whether a student leaves out a query's end."""
    return isinstance(student, OfTexts) and student.cuts is not None and student.cuts(query)
