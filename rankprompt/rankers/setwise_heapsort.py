"""Setwise heapsort: a node and its several children are compared in one question."""

from collections.abc import Sequence
from functools import partial
from math import log
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings, best
from rankprompt.rankers.coroutines import QuestionGenerator, merge
from rankprompt.rankers.heap import take_top
from rankprompt.types import SelectionProbabilities, SetwiseQuestion

__all__ = ["METHOD", "SIZE", "estimate", "setwise_heapsort"]

SIZE = 4
"""Passages that a setwise question shows, unless the settings say another number."""

T = TypeVar("T")


def setwise_heapsort(
    items: Sequence[T], *, k: int, size: int = SIZE
) -> QuestionGenerator[tuple[T, ...], SelectionProbabilities, list[T]]:
    """Ranks the top k by k extractions from a heap (arXiv 2310.09497, section 3.1).

    One question shows a node and its children, ``size`` items at the most; where a child is the
    best it changes places with its parent. The heap's building shares rounds as ``heapsort``'s does
    (ours). A tie keeps the order of ``items``, and so does everything below the top k.
    """
    heap = list(range(len(items)))
    children = max(size, 2) - 1

    def sift(root: int, end: int) -> QuestionGenerator[tuple[T, ...], SelectionProbabilities, None]:
        while (first := children * root + 1) < end:
            places = [root, *range(first, min(first + children, end))]
            (shares,) = yield [tuple(items[heap[place]] for place in places)]
            chosen = places[best(shares, [heap[place] for place in places])]
            if chosen == root:
                return
            heap[root], heap[chosen] = heap[chosen], heap[root]
            root = chosen

    levels = [[0]] if heap else []
    while levels and (below := children * levels[-1][0] + 1) < len(heap):
        levels.append(list(range(below, min(children * levels[-1][-1] + children + 1, len(heap)))))
    for level in reversed(levels):
        roots = [root for root in level if children * root + 1 < len(heap)]
        if roots and k > 0:
            yield from merge([sift(root, len(heap)) for root in roots])
    top = yield from take_top(heap, k, sift)
    return [items[i] for i in top] + [items[i] for i in sorted(heap)]


def estimate(n: int, settings: RankerSettings) -> int:
    """About how many selections; a sift asks about once a level."""
    if (k := min(settings.k, n)) < 1 or n < 2:
        return 0
    children = max(settings.set_size or SIZE, 2) - 1
    return round(1.3 * n / children + (k - 1) * max(log(n, children + 1), 1))


METHOD = Method(
    lambda settings: partial(setwise_heapsort, k=settings.k, size=settings.set_size or SIZE),
    estimate,
    SetwiseQuestion,
)
