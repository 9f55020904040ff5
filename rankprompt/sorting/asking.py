"""How a ranker asks: pairs out, preferences in (the types every ranker shares)."""

from collections.abc import Generator, Sequence
from typing import Protocol, TypeVar

from rankprompt.flows import Flow
from rankprompt.records import Preference

__all__ = ["Ranker", "prefers"]

T = TypeVar("T")


class Ranker(Protocol):
    """Ranks items, best first, by asking which of two is better.

    Settings are given by keyword and bound with functools.partial. Whatever the answers, a ranker
    ends and returns a permutation of ``items``.
    """

    def __call__(self, items: Sequence[T]) -> Flow[tuple[T, T], Preference, list[T]]:
        """Gives the flow that ranks ``items``, which stand in first-stage order."""


def prefers(first: T, second: T) -> Generator[Sequence[tuple[T, T]], Sequence[Preference], bool]:
    """Asks one pair; true where the first is strictly preferred (a tie is not)."""
    (preference,) = yield [(first, second)]
    return preference > 0.5
