"""Listwise windows: a window slides from the bottom to the top and is ordered at each step."""

from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import ListwiseQuestion, Permutation

__all__ = ["METHOD", "SIZE", "STEP", "listwise"]

SIZE, STEP = 20, 10
"""The default number of passages in a window, and of positions by which it moves."""

T = TypeVar("T")


def listwise(
    items: Sequence[T], *, size: int = SIZE, step: int = STEP
) -> QuestionGenerator[tuple[T, ...], Permutation, list[T]]:
    """Ranks by one pass of overlapping windows (RankGPT, arXiv 2304.09542, section 3.3).

    A window of ``size`` items moves up by ``step``, so that the best ``size`` - ``step`` items of
    each window are in the next. 1 + (N - ``size``) / ``step`` questions, rounded up, each a round
    of its own. An answer is a permutation, so there are no ties. The last window always begins at
    the top, whatever N is (ours: the authors' code may leave out the first items).
    """
    ranking = list(items)
    size = max(size, 2)
    start = len(ranking) - size
    while len(ranking) > 1:
        first = max(start, 0)
        window = ranking[first : start + size]
        (order,) = yield [tuple(window)]
        ranking[first : start + size] = [window[index] for index in order]
        if start <= 0:
            break
        # Two windows share at least one item, or the best item could not move on to the top.
        start -= min(max(step, 1), size - 1)
    return ranking


def _estimate(n: int, settings: RankerSettings) -> int:
    if n < 2:
        return 0
    size = max(settings.set_size or SIZE, 2)
    step = min(settings.step or STEP, size - 1)
    return 1 + max(ceil((n - size) / step), 0)


METHOD = Method(
    lambda settings: partial(listwise, size=settings.set_size or SIZE, step=settings.step or STEP),
    _estimate,
    ListwiseQuestion,
)
