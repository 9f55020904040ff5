"""Heapsort, stopped after the top k."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings, prefers
from rankprompt.rankers.coroutines import QuestionGenerator, merge
from rankprompt.rankers.heap import take_top
from rankprompt.types import Preference

__all__ = ["METHOD", "heapsort"]

T = TypeVar("T")


def heapsort(items: Sequence[T], *, k: int) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks the top k by k extractions from a heap (arXiv 2306.17563, section 3.3).

    O(N + k log N) comparisons. Each is a round of its own, except while the heap is built: the
    sifts at one level touch disjoint subtrees and share their rounds, which changes neither the
    comparisons nor the ranking (ours). A tie keeps the order of ``items``, and so do the items
    below the top k (ours: a heap that swaps on strict wins alone ranks the last item second where
    all answers are ties).
    """
    heap = list(range(len(items)))

    def better(i: int, j: int) -> QuestionGenerator[tuple[T, T], Preference, bool]:
        if i > j:
            return (yield from prefers(items[i], items[j]))
        return not (yield from prefers(items[j], items[i]))

    def sift(root: int, end: int) -> QuestionGenerator[tuple[T, T], Preference, None]:
        while (child := 2 * root + 1) < end:
            if child + 1 < end and (yield from better(heap[child + 1], heap[child])):
                child += 1
            if not (yield from better(heap[child], heap[root])):
                return
            heap[root], heap[child] = heap[child], heap[root]
            root = child

    parents = range(len(heap) // 2)
    for level in reversed(range(len(parents).bit_length())):
        yield from merge(
            [sift(root, len(heap)) for root in parents[2**level - 1 : 2 ** (level + 1) - 1]]
        )
    top = yield from take_top(heap, k, sift)
    return [items[i] for i in top] + [items[i] for i in sorted(heap)]


def _estimate(n: int, settings: RankerSettings) -> int:
    return round(1.4 * n + 2 * min(settings.k, n) * max(n.bit_length() - 2, 0))


METHOD = Method(lambda settings: partial(heapsort, k=settings.k), _estimate, strict=True)
