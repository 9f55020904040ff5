"""Setwise bubblesort: windows from the bottom up, whose best item moves to the window's top."""

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
    """Ranks the top k by k passes; pass p fixes rank p (arXiv 2310.09497, section 3.1).

    A pass steps by ``size`` - 1, so that the best item of a window is the last of the next: about
    kN / (``size`` - 1) questions, each a round of its own. A tie keeps the present order (ours).
    """
    ranking = list(items)
    step = max(size, 2) - 1
    for top in range(min(k, len(ranking) - 1)):
        last = len(ranking) - 1
        while last > top:
            first = max(last - step, top)
            window = ranking[first : last + 1]
            (probabilities,) = yield [tuple(window)]
            # Of equal items the higher one stays above: it was there from the start, or it was
            # preferred to the item that was.
            best_index = best(probabilities, range(len(window)))
            ranking[first : last + 1] = [window.pop(best_index), *window]
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
