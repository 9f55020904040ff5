"""Setwise insertion: only what beats the last of the top k is put into it."""

from collections.abc import Sequence
from functools import partial
from math import log, log2
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings, best
from rankprompt.rankers.coroutines import QuestionGenerator, map_questions
from rankprompt.rankers.setwise_heapsort import SIZE, estimate, setwise_heapsort
from rankprompt.types import SelectionProbabilities, SetwiseQuestion

__all__ = ["METHOD", "setwise_insertion"]

T = TypeVar("T")


def setwise_insertion(
    items: Sequence[T], *, k: int, size: int = SIZE
) -> QuestionGenerator[tuple[T, ...], SelectionProbabilities, list[T]]:
    """Ranks the top k, leaning on the order of ``items`` (Setwise Insertion, arXiv 2504.10509).

    The first k are sorted (``setwise_heapsort``). The others come ``size`` - 1 at a time, in one
    question with the last of the top k: where that is the best, all of them are passed over; else
    the one that is goes in by binary insertion, the last drops out, and what is left of the group
    is asked again. A tie keeps the order of ``items``, and so does everything below the top k. So
    a good first stage costs about N / (``size`` - 1) questions.
    """
    order = range(len(items))
    if k < 1:
        return list(items)

    def shown(places: Sequence[int]) -> tuple[T, ...]:
        return tuple(items[place] for place in places)

    top = yield from map_questions(setwise_heapsort(order[:k], k=k, size=size), shown)
    waiting = list(order[k:])
    while waiting:
        group = [top[-1], *waiting[: max(size, 2) - 1]]
        (shares,) = yield [shown(group)]
        chosen = group[best(shares, group)]
        if chosen == top[-1]:
            waiting = waiting[len(group) - 1 :]
            continue
        waiting.remove(chosen)
        low, high = 0, len(top) - 1  # the last is beaten already
        while low < high:
            middle = (low + high) // 2
            pair = [top[middle], chosen]
            (shares,) = yield [shown(pair)]
            if pair[best(shares, pair)] == chosen:
                high = middle
            else:
                low = middle + 1
        top = [*top[:low], chosen, *top[low:-1]]
    return [items[i] for i in top] + [items[i] for i in order if i not in set(top)]


def _estimate(n: int, settings: RankerSettings) -> int:
    if (k := min(settings.k, n)) < 1:
        return 0
    # In a random order, k ln(n / k) of the others get into the top k, at a binary search each.
    others = (n - k) / (max(settings.set_size or SIZE, 2) - 1) + k * log(n / k) * (1 + log2(k))
    return estimate(k, settings) + round(others)


METHOD = Method(
    lambda settings: partial(setwise_insertion, k=settings.k, size=settings.set_size or SIZE),
    _estimate,
    SetwiseQuestion,
)
