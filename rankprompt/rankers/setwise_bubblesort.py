"""Setwise bubblesort: windows from the bottom up, the best of each moved to its top."""

from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings, best
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.rankers.setwise_heapsort import SIZE
from rankprompt.types import SelectionProbabilities, SetwiseQuestion

__all__ = ["METHOD", "setwise_bubblesort"]

T = TypeVar("T")


def setwise_bubblesort(
    items: Sequence[T], *, k: int, size: int = SIZE
) -> QuestionGenerator[tuple[T, ...], SelectionProbabilities, list[T]]:
    """Ranks the top k by k passes, each of which settles one rank (arXiv 2310.09497, section 3.1).

    A pass steps by ``size`` - 1, so that the best of one window is the last of the next:
    about kN / (``size`` - 1) questions, one a round. A tie keeps the order of ``items``.
    """
    ranking = list(items)
    step = max(size, 2) - 1
    for top in range(min(k, len(ranking) - 1)):
        last = len(ranking) - 1
        while last > top:
            first = max(last - step, top)
            window = ranking[first : last + 1]
            (shares,) = yield [tuple(window)]
            # What stands higher was higher all the time, or better than what was.
            chosen = best(shares, range(len(window)))
            ranking[first : last + 1] = [window.pop(chosen), *window]
            last = first
    return ranking


def _estimate(n: int, settings: RankerSettings) -> int:
    step = max(settings.set_size or SIZE, 2) - 1
    return sum(ceil((n - 1 - top) / step) for top in range(min(settings.k, n - 1)))


METHOD = Method(
    lambda settings: partial(setwise_bubblesort, k=settings.k, size=settings.set_size or SIZE),
    _estimate,
    SetwiseQuestion,
)
