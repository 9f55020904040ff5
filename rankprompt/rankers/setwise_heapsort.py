"""Setwise heapsort: a node and all of its children are compared in a single question."""

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
"""The default number of passages in a setwise question."""

T = TypeVar("T")


def setwise_heapsort(
    items: Sequence[T], *, k: int, size: int = SIZE
) -> QuestionGenerator[tuple[T, ...], SelectionProbabilities, list[T]]:
    """Ranks the top k by k extractions from a heap (arXiv 2310.09497, section 3.1).

    A question shows a node and its children, at most ``size`` items; a child that is the best is
    swapped with its parent. About N / (``size`` - 1) questions to build the heap, then up to the
    heap's height for each extraction. Each is a round of its own, except while the heap is built:
    there the sifts at one level share their rounds, as in ``heapsort`` (ours). A tie keeps the
    order of ``items``, and so do the items below the top k (ours).
    """
    heap = list(range(len(items)))
    children = max(size, 2) - 1

    def sift(root: int, end: int) -> QuestionGenerator[tuple[T, ...], SelectionProbabilities, None]:
        while (first := children * root + 1) < end:
            nodes = [root, *range(first, min(first + children, end))]
            (probabilities,) = yield [tuple(items[heap[node]] for node in nodes)]
            best_node = nodes[best(probabilities, [heap[node] for node in nodes])]
            if best_node == root:
                return
            heap[root], heap[best_node] = heap[best_node], heap[root]
            root = best_node

    levels = [[0]] if heap else []
    while levels and (first := children * levels[-1][0] + 1) < len(heap):
        levels.append(list(range(first, min(children * levels[-1][-1] + children + 1, len(heap)))))
    for level in reversed(levels):
        roots = [root for root in level if children * root + 1 < len(heap)]
        if roots and k > 0:
            yield from merge([sift(root, len(heap)) for root in roots])
    top = yield from take_top(heap, k, sift)
    return [items[i] for i in top] + [items[i] for i in sorted(heap)]


def estimate(n: int, settings: RankerSettings) -> int:
    """The approximate number of questions; a sift asks about one a level."""
    if (k := min(settings.k, n)) < 1 or n < 2:
        return 0
    children = max(settings.set_size or SIZE, 2) - 1
    return round(1.3 * n / children + (k - 1) * max(log(n, children + 1), 1))


METHOD = Method(
    lambda settings: partial(setwise_heapsort, k=settings.k, size=settings.set_size or SIZE),
    estimate,
    SetwiseQuestion,
)
