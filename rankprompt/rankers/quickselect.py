"""Quickselect: the top k by batched partitions."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["METHOD", "quickselect"]

T = TypeVar("T")


def quickselect(
    items: Sequence[T], *, k: int
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks the top k by quicksort, leaving alone what cannot reach it.

    A partition asks every item against one pivot in a single round, and partitions that do not
    touch each other share theirs: few, large rounds (after arXiv 2505.24643). A tie keeps the
    order of ``items``; so does everything below the top k. The pivot stands at position k of the
    list, or half-way in a list shorter than 2k: first stages are roughly sorted, and a pivot near
    the border leaves the least to do.
    """
    order = list(range(len(items)))
    parts = [(0, len(order))]  # bounds in ``order``; what a part holds ascends
    while parts := [(start, end) for start, end in parts if end - start > 1 and start < k]:
        held = [order[start:end] for start, end in parts]
        pivots = [
            part.pop(min(k - start, len(part) // 2))
            for part, (start, _) in zip(held, parts, strict=True)
        ]
        preferences = iter(
            (
                yield [
                    (items[i], items[pivot])
                    for part, pivot in zip(held, pivots, strict=True)
                    for i in part
                ]
            )
        )
        split = []
        for (start, end), part, pivot in zip(parts, held, pivots, strict=True):
            better: list[int] = []
            worse: list[int] = []
            for i in part:
                preference = next(preferences)
                wins = preference > 0.5 or (preference == 0.5 and i < pivot)
                (better if wins else worse).append(i)
            order[start:end] = [*better, pivot, *worse]
            middle = start + len(better)
            split += [(start, middle), (middle + 1, end)]
        parts = split
    return [items[i] for i in order[:k]] + [items[i] for i in sorted(order[k:])]


def _estimate(n: int, settings: RankerSettings) -> int:
    # The mean of partial quicksort over random orders (Martinez 2004, Partial Quicksort).
    if (k := min(settings.k, n)) < 1:
        return 0
    below = sum(1 / i for i in range(1, n - k + 2))
    whole = below + sum(1 / i for i in range(n - k + 2, n + 1))
    return round(2 * n + 2 * (n + 1) * whole - 2 * (n + 3 - k) * below - 6 * k + 6)


METHOD = Method(lambda settings: partial(quickselect, k=settings.k), _estimate)
