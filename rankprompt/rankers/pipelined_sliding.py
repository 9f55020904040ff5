"""Sliding windows whose passes overlap: the same comparisons in far fewer rounds."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from rankprompt.rankers.base import Method
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.rankers.sliding import estimate
from rankprompt.types import Preference

__all__ = ["METHOD", "pipelined"]

T = TypeVar("T")


def pipelined(
    items: Sequence[T], *, passes: int, early_exit: bool = False
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks as ``sliding`` does, while pass p+1 follows two positions behind pass p.

    The passes of arXiv 2306.17563, section 3.4, overlap (ours): a pass reads only positions that
    the pass before it has left, so neither the comparisons nor the ranking change, but they take
    N-1 + K-1 rounds in place of K(2N-K-1)/2. A tie swaps nothing, so it keeps the present order.

    Args:
        items: in first-stage order.
        passes: K.
        early_exit: stop when a pass ends without a swap; the passes behind it read the same order,
            so they can swap nothing either.
    """
    ranking = list(items)
    last = len(ranking) - 1
    swapped = [False] * min(passes, last)
    for clock in range(last + len(swapped) - 1 if swapped else 0):
        # At this tick pass p compares positions i-1 and i, i = last - (clock - 2p).
        front = [(p, i) for p in range(len(swapped)) if p < (i := last - (clock - 2 * p)) <= last]
        preferences = yield [(ranking[i], ranking[i - 1]) for _, i in front]
        for (p, i), preference in zip(front, preferences, strict=True):
            if preference > 0.5:
                ranking[i - 1], ranking[i] = ranking[i], ranking[i - 1]
                swapped[p] = True
        if early_exit and any(i == p + 1 and not swapped[p] for p, i in front):
            break
    return ranking


METHOD = Method(
    lambda settings: partial(
        pipelined, passes=settings.sliding_passes, early_exit=settings.early_exit
    ),
    estimate,
    strict=True,
)
