"""Sliding windows: K back-to-front passes of adjacent comparisons."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings, prefers
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["METHOD", "estimate", "sliding"]

T = TypeVar("T")


def sliding(
    items: Sequence[T], *, passes: int, early_exit: bool = False
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by K passes from the bottom; pass p fixes rank p (arXiv 2306.17563, section 3.4).

    K(2N-K-1)/2 comparisons, each a round of its own: the readable reference for ``pipelined``. A
    tie swaps nothing, so it keeps the present order.

    Args:
        items: in first-stage order.
        passes: K.
        early_exit: stop after a pass without a swap (ours). Before a judge that always answers a
            pair alike the later passes would swap nothing either, so the ranking is the same.
    """
    ranking = list(items)
    for top in range(min(passes, len(ranking) - 1)):
        swapped = False
        for i in range(len(ranking) - 1, top, -1):
            if (yield from prefers(ranking[i], ranking[i - 1])):
                ranking[i - 1], ranking[i] = ranking[i], ranking[i - 1]
                swapped = True
        if early_exit and not swapped:
            break
    return ranking


def estimate(n: int, settings: RankerSettings) -> int:
    """The comparisons of all passes, without early exit."""
    passes = min(settings.sliding_passes, max(n - 1, 0))
    return passes * (2 * n - passes - 1) // 2


METHOD = Method(
    lambda settings: partial(
        sliding, passes=settings.sliding_passes, early_exit=settings.early_exit
    ),
    estimate,
    strict=True,
)
