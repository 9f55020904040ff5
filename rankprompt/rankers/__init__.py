"""Ranking algorithms, one a file, named as in their papers, and the table that names them."""

from collections.abc import Callable
from functools import partial
from math import ceil, log, log2
from typing import Any, NamedTuple

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.rankers.allpair import allpair
from rankprompt.rankers.base import Ranker
from rankprompt.rankers.bradley_terry import BUDGET, bradley_terry
from rankprompt.rankers.heapsort import heapsort
from rankprompt.rankers.listwise import listwise
from rankprompt.rankers.pipelined_sliding import pipelined
from rankprompt.rankers.pointwise import pointwise
from rankprompt.rankers.prp_graph import SWISS, prp_graph
from rankprompt.rankers.quickselect import quickselect
from rankprompt.rankers.setwise_bubblesort import setwise_bubblesort
from rankprompt.rankers.setwise_heapsort import setwise_heapsort
from rankprompt.rankers.setwise_insertion import setwise_insertion
from rankprompt.rankers.sliding import sliding
from rankprompt.rankers.stages import in_stages, split_stages, stages
from rankprompt.rankers.tourrank import schedule, tourrank
from rankprompt.types import (
    ListwiseQuestion,
    PairwiseQuestion,
    PointwiseQuestion,
    Question,
    SetwiseQuestion,
)

__all__ = [
    "METHODS",
    "PAIRWISE",
    "Method",
    "Ranker",
    "Sets",
    "allpair",
    "bradley_terry",
    "heapsort",
    "listwise",
    "method",
    "pipelined",
    "pointwise",
    "prp_graph",
    "quickselect",
    "setwise_bubblesort",
    "setwise_heapsort",
    "setwise_insertion",
    "sliding",
    "stages",
    "tourrank",
]


SIZE, WINDOW, STEP, TOURNAMENTS = 4, 20, 10, 2
"""Of setwise; of listwise and TourRank; of listwise; of TourRank."""


class Sets(NamedTuple):
    """The settings of rankers that show several items at a time; None for the ranker's own.

    ``size`` is how many are shown, ``step`` how far listwise windows move, ``tournaments`` how many
    TourRank plays, ``seed`` of the order in which it shows a group.
    """

    size: int | None = None
    step: int | None = None
    tournaments: int | None = None
    seed: int = 0


NONE = Sets()


class Method(NamedTuple):
    """A ranker by name.

    ``ranker(k, passes, early_exit, comparisons, sets)`` binds the settings that the algorithm has;
    ``estimate(n, k, passes, comparisons, sets)`` is about how many questions it asks over n
    documents (exact for allpair and for the sliding methods without early exit), for progress bars
    and plans. ``comparisons``, how many it may ask, and ``sets`` may be left out of both.
    ``question`` is what it asks.
    """

    ranker: Callable[..., Ranker]
    estimate: Callable[..., int]
    question: type[Question] = PairwiseQuestion


def _sliding_comparisons(n: int, _: int, passes: int, *__: object) -> int:
    passes = min(passes, max(n - 1, 0))
    return passes * (2 * n - passes - 1) // 2


def _quickselect_comparisons(n: int, k: int, *_: object) -> int:
    # The mean of partial quicksort over random orders (Martinez 2004, Partial Quicksort).
    if (k := min(k, n)) < 1:
        return 0
    below = sum(1 / i for i in range(1, n - k + 2))
    whole = below + sum(1 / i for i in range(n - k + 2, n + 1))
    return round(2 * n + 2 * (n + 1) * whole - 2 * (n + 3 - k) * below - 6 * k + 6)


def _tournament_comparisons(
    n: int, k: int, _: int, comparisons: int | None = None, *__: object
) -> int:
    return min(comparisons or BUDGET * n, n * (n - 1) // 2) if k > 0 else 0


def _swiss_comparisons(
    n: int, _: int, __: int, comparisons: int | None = None, *___: object
) -> int:
    return min(comparisons or SWISS * (n // 2), n * (n - 1) // 2)


def _heap_selections(n: int, k: int, _: int, __: int | None = None, sets: Sets = NONE) -> int:
    if (k := min(k, n)) < 1 or n < 2:
        return 0
    children = max(sets.size or SIZE, 2) - 1
    # A sift asks once a level, about.
    return round(1.3 * n / children + (k - 1) * max(log(n, children + 1), 1))


def _bubble_selections(n: int, k: int, _: int, __: int | None = None, sets: Sets = NONE) -> int:
    step = max(sets.size or SIZE, 2) - 1
    return sum(ceil((n - 1 - top) / step) for top in range(min(k, n - 1)))


def _insertions(n: int, k: int, _: int, __: int | None = None, sets: Sets = NONE) -> int:
    if (k := min(k, n)) < 1:
        return 0
    # In a random order, k ln(n / k) of the others get into the top k, at a binary search each.
    others = (n - k) / (max(sets.size or SIZE, 2) - 1) + k * log(n / k) * (1 + log2(k))
    return _heap_selections(k, k, 0, None, sets) + round(others)


def _windows(n: int, _: int, __: int, ___: int | None = None, sets: Sets = NONE) -> int:
    if n < 2:
        return 0
    size = max(sets.size or WINDOW, 2)
    step = min(sets.step or STEP, size - 1)
    return 1 + max(ceil((n - size) / step), 0)


def _groups(n: int, _: int, __: int, ___: int | None = None, sets: Sets = NONE) -> int:
    # A group of one goes on without a question.
    played = [min(many, field - many) for field, many, _ in schedule(n, sets.size or WINDOW)]
    return sum(played) * (sets.tournaments or TOURNAMENTS)


def _setwise(ranker: Callable[..., Any], estimate: Callable[..., int]) -> Method:
    return Method(
        lambda k, _, __, ___=None, sets=NONE: partial(ranker, k=k, size=sets.size or SIZE),
        estimate,
        SetwiseQuestion,
    )


METHODS: dict[str, Method] = {
    "allpair": Method(lambda *_: allpair, lambda n, *_: n * (n - 1) // 2),
    "heapsort": Method(
        lambda k, *_: partial(heapsort, k=k),
        lambda n, k, *_: round(1.4 * n + 2 * min(k, n) * max(n.bit_length() - 2, 0)),
    ),
    "sliding": Method(
        lambda _, passes, early, *__: partial(sliding, passes=passes, early_exit=early),
        _sliding_comparisons,
    ),
    "pipelined": Method(
        lambda _, passes, early, *__: partial(pipelined, passes=passes, early_exit=early),
        _sliding_comparisons,
    ),
    "quickselect": Method(lambda k, *_: partial(quickselect, k=k), _quickselect_comparisons),
    "bradley-terry": Method(
        lambda k, _, __, comparisons=None, *___: partial(bradley_terry, k=k, budget=comparisons),
        _tournament_comparisons,
    ),
    "prp-graph": Method(
        lambda _, __, ___, comparisons=None, *____: partial(prp_graph, budget=comparisons),
        _swiss_comparisons,
    ),
    "pointwise": Method(lambda *_: pointwise, lambda n, *_: n if n > 1 else 0, PointwiseQuestion),
    "setwise-heapsort": _setwise(setwise_heapsort, _heap_selections),
    "setwise-bubblesort": _setwise(setwise_bubblesort, _bubble_selections),
    "setwise-insertion": _setwise(setwise_insertion, _insertions),
    "listwise": Method(
        lambda _, __, ___, ____=None, sets=NONE: partial(
            listwise, size=sets.size or WINDOW, step=sets.step or STEP
        ),
        _windows,
        ListwiseQuestion,
    ),
    "tourrank": Method(
        lambda _, __, ___, ____=None, sets=NONE: partial(
            tourrank,
            size=sets.size or WINDOW,
            tournaments=sets.tournaments or TOURNAMENTS,
            seed=sets.seed,
        ),
        _groups,
        ListwiseQuestion,
    ),
}

PAIRWISE: tuple[str, ...] = tuple(
    name for name, one in METHODS.items() if one.question is PairwiseQuestion
)
"""The methods that ask which of two is better."""


def method(name: str) -> Method:
    """Finds a method by name, or makes one of stages, as in ``heapsort,allpair@20``.

    There each stage reranks as many of the best of the one before as stand behind the @.

    Raises:
        UnknownNameError: there is none of this name.
        InputError: stages that do not narrow, or ask different kinds of questions.
    """
    parts = []
    for part, depth in split_stages(name):
        if part not in METHODS:
            raise UnknownNameError("method", part, METHODS)
        parts.append((METHODS[part], depth))
    if len(parts) == 1 and parts[0][1] is None:
        return parts[0][0]
    kinds = {one.question for one, _ in parts}
    if len(kinds) > 1:
        raise InputError(f"--method {name}: all stages must ask the same kind of question")
    return Method(*in_stages(parts), kinds.pop())
