"""Ranking algorithms, one a file, named as in their papers, and the table that names them."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rankprompt.errors import UnknownNameError
from rankprompt.sorting.allpair import allpair
from rankprompt.sorting.asking import Ranker
from rankprompt.sorting.bradley_terry import BUDGET, bradley_terry
from rankprompt.sorting.heapsort import heapsort
from rankprompt.sorting.pipelined import pipelined
from rankprompt.sorting.quickselect import quickselect
from rankprompt.sorting.sliding import sliding
from rankprompt.sorting.stages import in_stages, split_stages, stages

__all__ = [
    "METHODS",
    "Method",
    "Ranker",
    "allpair",
    "bradley_terry",
    "heapsort",
    "method",
    "pipelined",
    "quickselect",
    "sliding",
    "stages",
]


class Method(NamedTuple):
    """A ranker by name.

    ``ranker(k, passes, early_exit, comparisons)`` binds the settings that the algorithm has;
    ``estimate(n, k, passes, comparisons)`` is about how many comparisons it asks over n documents
    (exact for allpair and for the sliding methods without early exit), for progress bars and plans.
    ``comparisons``, how many it may ask, may be left out of both.
    """

    ranker: Callable[..., Ranker]
    estimate: Callable[..., int]


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


def _tournament_comparisons(n: int, k: int, _: int, comparisons: int | None = None) -> int:
    return min(comparisons or BUDGET * n, n * (n - 1) // 2) if k > 0 else 0


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
        lambda k, _, __, comparisons=None: partial(bradley_terry, k=k, budget=comparisons),
        _tournament_comparisons,
    ),
}


def method(name: str) -> Method:
    """Finds a method by name, or makes one of stages, as in ``heapsort,allpair@20``.

    There each stage reranks as many of the best of the one before as stand behind the @.

    Raises:
        UnknownNameError: there is none of this name.
        InputError: stages that do not narrow.
    """
    parts = []
    for part, depth in split_stages(name):
        if part not in METHODS:
            raise UnknownNameError("method", part, METHODS)
        parts.append((METHODS[part], depth))
    if len(parts) == 1 and parts[0][1] is None:
        return parts[0][0]
    return Method(*in_stages(parts))
