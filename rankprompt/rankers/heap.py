"""The extractions that heaps with two children a node and with more have in common."""

from collections.abc import Callable
from typing import TypeVar

from rankprompt.rankers.coroutines import QuestionGenerator

__all__ = ["take_top"]

Q = TypeVar("Q")
A = TypeVar("A")


def take_top(
    heap: list[int], k: int, sift: Callable[[int, int], QuestionGenerator[Q, A, None]]
) -> QuestionGenerator[Q, A, list[int]]:
    """Extracts the best k items from a heap.

    Args:
        heap: its root is the best item. The items that are not extracted remain in it.
        k: the number of items to extract.
        sift: takes an index and the heap's size, and sifts the item at the index down.

    Returns:
        The extracted items, best first.
    """
    top: list[int] = []
    while heap and len(top) < k:
        top.append(heap[0])
        last = heap.pop()
        if heap:
            heap[0] = last
            if len(top) < k:
                yield from sift(0, len(heap))
    return top
