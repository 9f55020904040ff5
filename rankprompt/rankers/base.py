"""The interface of ranking algorithms, and the settings that they are bound with."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import PairwiseQuestion, Preference, QuestionKind, SelectionProbabilities

__all__ = ["Method", "Ranker", "RankerSettings", "best", "prefers"]

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


@dataclass(frozen=True)
class RankerSettings:
    """The settings of all rankers; each ranker takes those that it has. None: the ranker's own.

    Attributes:
        k: how many documents at the top are ranked.
        passes: of the sliding rankers; None for as many as ``k``.
        early_exit: whether the sliding rankers stop after a pass without a swap.
        comparisons: the most comparisons of bradley-terry and prp-graph, for each query.
        set_size: how many passages setwise, listwise and tourrank show at a time.
        step: how far a listwise window moves.
        tournaments: how many tournaments tourrank plays.
        seed: of the order in which tourrank shows a group.
    """

    k: int = 10
    passes: int | None = None
    early_exit: bool = False
    comparisons: int | None = None
    set_size: int | None = None
    step: int | None = None
    tournaments: int | None = None
    seed: int = 0

    @property
    def sliding_passes(self) -> int:
        """The passes of the sliding rankers."""
        return self.k if self.passes is None else self.passes


class Method(NamedTuple):
    """A ranker in the registry.

    ``bind`` gives the ranker with its settings. ``estimate`` gives about how many questions the
    ranker asks over so many documents (exact for allpair, and for the sliding rankers without early
    exit), for progress bars and plans. ``question`` is the kind of question that it asks.
    """

    bind: Callable[[RankerSettings], Ranker]
    estimate: Callable[[int, RankerSettings], int]
    question: QuestionKind = PairwiseQuestion


def prefers(first: T, second: T) -> Generator[Sequence[tuple[T, T]], Sequence[Preference], bool]:
    """Asks about one pair; true where the first item is strictly preferred (a tie is not)."""
    (preference,) = yield [(first, second)]
    return preference > 0.5


def best(probabilities: SelectionProbabilities, ranks: Sequence[int]) -> int:
    """The index of the largest probability; of equal ones, the index with the lowest rank."""
    return min(range(len(probabilities)), key=lambda index: (-probabilities[index], ranks[index]))
