"""Listwise windows: from the bottom up, each put in order as a whole."""

from collections.abc import Sequence
from typing import TypeVar

from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Permutation

__all__ = ["listwise"]

T = TypeVar("T")


def listwise(
    items: Sequence[T], *, size: int = 20, step: int = 10
) -> QuestionGenerator[tuple[T, ...], Permutation, list[T]]:
    """Ranks by one pass of overlapping windows (RankGPT, arXiv 2304.09542, section 3.3).

    A window of ``size`` items moves up by ``step``, so the best ``size`` - ``step`` of each go into
    the next. 1 + (N - ``size``) / ``step`` questions, rounded up, one a round. The last window
    always begins at the top, however N falls (the authors' code may leave some out; ours).
    """
    ranking = list(items)
    size = max(size, 2)
    start = len(ranking) - size
    while len(ranking) > 1:
        first = max(start, 0)
        window = ranking[first : start + size]
        (order,) = yield [tuple(window)]
        ranking[first : start + size] = [window[place] for place in order]
        if start <= 0:
            break
        # No more than all but one, or a window would not see what the one before has found.
        start -= min(max(step, 1), size - 1)
    return ranking
