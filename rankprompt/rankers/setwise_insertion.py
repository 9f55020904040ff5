"""Setwise insertion: only an item that beats the last of the top k is inserted into it."""

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
    """Ranks the top k, relying on the order of ``items`` (Setwise Insertion, arXiv 2504.10509).

    The first k items are sorted by ``setwise_heapsort``. The others come in groups of ``size`` - 1,
    which are shown in one question with the last item of the top k. Where that item is the best,
    the group is passed over. Otherwise the best item of the group is inserted by binary search, the
    last item of the top k drops out, and the rest of the group is asked again. Each question is a
    round of its own; before a good first stage they are about N / (``size`` - 1). A tie keeps the
    order of ``items``, and so do the items below the top k.
    """
    order = range(len(items))
    if k < 1:
        return list(items)

    def documents(indices: Sequence[int]) -> tuple[T, ...]:
        return tuple(items[index] for index in indices)

    top = yield from map_questions(setwise_heapsort(order[:k], k=k, size=size), documents)
    waiting = list(order[k:])
    while waiting:
        group = [top[-1], *waiting[: max(size, 2) - 1]]
        (probabilities,) = yield [documents(group)]
        winner = group[best(probabilities, group)]
        if winner == top[-1]:
            waiting = waiting[len(group) - 1 :]
            continue
        waiting.remove(winner)
        low, high = 0, len(top) - 1  # the winner has already beaten the last item
        while low < high:
            middle = (low + high) // 2
            pair = [top[middle], winner]
            (probabilities,) = yield [documents(pair)]
            if pair[best(probabilities, pair)] == winner:
                high = middle
            else:
                low = middle + 1
        top = [*top[:low], winner, *top[low:-1]]
    return [items[i] for i in top] + [items[i] for i in order if i not in set(top)]


def _estimate(n: int, settings: RankerSettings) -> int:
    if (k := min(settings.k, n)) < 1:
        return 0
    # In a random order, k ln(n / k) of the others are inserted, each by a binary search.
    others = (n - k) / (max(settings.set_size or SIZE, 2) - 1) + k * log(n / k) * (1 + log2(k))
    return estimate(k, settings) + round(others)


METHOD = Method(
    lambda settings: partial(setwise_insertion, k=settings.k, size=settings.set_size or SIZE),
    _estimate,
    SetwiseQuestion,
)
