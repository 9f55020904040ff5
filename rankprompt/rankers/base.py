"""How a ranker asks: tuples of items out, answers in (the types every ranker shares)."""

from collections.abc import Generator, Sequence
from typing import Any, Protocol, TypeVar

from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference, SelectionProbabilities

__all__ = ["Ranker", "best", "prefers"]

T = TypeVar("T")


class Ranker(Protocol):
    """Ranks items, best first, by asking which of two is better, or another kind of question.

    A question is a tuple of items: two to compare (the answer is a Preference), one to grade (a
    Grade), several to select the best of (SelectionProbabilities) or to order (a Permutation).
    Settings are given by keyword and bound with functools.partial. Whatever the answers, a ranker
    ends and returns a permutation of ``items``.
    """

    def __call__(self, items: Sequence[T]) -> QuestionGenerator[Any, Any, list[T]]:
        """Gives the generator that ranks ``items``, which are in first-stage order."""


def prefers(first: T, second: T) -> Generator[Sequence[tuple[T, T]], Sequence[Preference], bool]:
    """Asks one pair; true where the first is strictly preferred (a tie is not)."""
    (preference,) = yield [(first, second)]
    return preference > 0.5


def best(shares: SelectionProbabilities, ranks: Sequence[int]) -> int:
    """The place of the largest share; of those that share it, the one that ranks first."""
    return min(range(len(shares)), key=lambda place: (-shares[place], ranks[place]))
