"""What heaps of two and of more children have in common."""

from collections.abc import Callable
from typing import TypeVar

from rankprompt.rankers.coroutines import QuestionGenerator

__all__ = ["take_top"]

Q = TypeVar("Q")
A = TypeVar("A")


def take_top(
    heap: list[int], k: int, sift: Callable[[int, int], QuestionGenerator[Q, A, None]]
) -> QuestionGenerator[Q, A, list[int]]:
    """Takes the best k off a heap, one after the other.

    Args:
        heap: its best first; what is not taken is left in it, in no order.
        k: how many are wanted.
        sift: lets what stands at a place sink, in a heap of a size.

    Returns:
        The best, best first.
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
