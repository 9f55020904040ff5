"""The interface of ranking algorithms, and the settings that are bound to them."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import PairwiseQuestion, Preference, QuestionKind, SelectionProbabilities

__all__ = ["Method", "Ranker", "RankerSettings", "best", "prefers"]

T = TypeVar("T")


class Ranker(Protocol):
    """Ranks items by questions about them, such as which of two is more relevant.

    A question is a tuple of items: two to compare (answered by a ``Preference``), one to grade (a
    ``Grade``), several to select the best of (``SelectionProbabilities``) or to order (a
    ``Permutation``). Settings are keyword arguments, bound with ``functools.partial``. Whatever
    the answers, a ranker terminates and returns a permutation of ``items``, best first.
    """

    # The types of the questions and answers are those of the ranker's kind of question.
    def __call__(self, items: Sequence[T]) -> QuestionGenerator[Any, Any, list[T]]:
        """Makes the generator that ranks ``items``, which are in first-stage order."""


@dataclass(frozen=True)
class RankerSettings:
    """The settings of all rankers; each ranker reads those that apply to it.

    Attributes:
        k: the number of documents at the top to rank.
        passes: the passes of the sliding rankers; None for as many as ``k``.
        early_exit: whether the sliding rankers stop after a pass without a swap.
        comparisons: the most comparisons of bradley-terry and prp-graph for a query; None for the
            ranker's default.
        set_size: the passages that a setwise, listwise or tourrank question shows; None for the
            ranker's default.
        step: the positions by which a listwise window moves; None for the ranker's default.
        tournaments: the tournaments that tourrank plays; None for the ranker's default.
        seed: the seed of the order in which tourrank shows a group.
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
    """A ranking method: an entry of the registry.

    Attributes:
        bind: binds settings to the ranker.
        estimate: the approximate number of questions about a query with a number of documents, for
            progress bars and plans; exact for allpair, and for the sliding rankers without early
            exit.
        question: the kind of question that the ranker asks.
        strict: whether the ranker asks of each pair only whether the first document is strictly
            preferred. Then a judge need not ask both orders of all pairs (``PairwiseJudge``).
    """

    bind: Callable[[RankerSettings], Ranker]
    estimate: Callable[[int, RankerSettings], int]
    question: QuestionKind = PairwiseQuestion
    strict: bool = False


def prefers(first: T, second: T) -> Generator[Sequence[tuple[T, T]], Sequence[Preference], bool]:
    """Compares two items: whether the first is strictly preferred. A tie is not a preference."""
    (preference,) = yield [(first, second)]
    return preference > 0.5


def best(probabilities: SelectionProbabilities, ranks: Sequence[int]) -> int:
    """The index of the largest probability; among equal ones, the index with the lowest rank."""
    return min(range(len(probabilities)), key=lambda index: (-probabilities[index], ranks[index]))
