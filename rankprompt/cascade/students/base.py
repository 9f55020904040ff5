"""What a student is to the cascade."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from rankprompt.cascade.scores import Asked

__all__ = ["Student", "TextStudent", "of_texts"]

Student: TypeAlias = Callable[[Sequence[Asked]], list[float]]
"""Scores the windows of all of one query's candidates, in their order; higher is better."""

TextStudent: TypeAlias = Callable[[str, Sequence[str]], list[float]]
"""Scores windows by a query's text and their own."""


def of_texts(student: TextStudent) -> Student:
    """Makes a student of one that needs the texts alone."""

    def score(windows: Sequence[Asked]) -> list[float]:
        return student(windows[0].texts[0], [one.texts[1] for one in windows]) if windows else []

    return score
