"""Quickselect: the top k by partitions that are compared in batches."""

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
    """Ranks the top k by quicksort, without sorting what cannot reach it (after arXiv 2505.24643).

    A partition compares its items with one pivot in a single round, and disjoint partitions share
    their rounds: few, large rounds. Some 200 to 300 comparisons for the top 10 of 100, N(N-1)/2 in
    the worst case. A tie keeps the order of ``items``, and so do the items below the top k. The
    pivot is at position k of the list, or in the middle of a partition shorter than 2k (ours: first
    stages are roughly sorted, and a pivot near the border of the top k leaves the least to do).
    """
    order = list(range(len(items)))
    partitions = [(0, len(order))]  # bounds in ``order``; each partition's indices are ascending
    while partitions := [
        (start, end) for start, end in partitions if end - start > 1 and start < k
    ]:
        members = [order[start:end] for start, end in partitions]
        pivots = [
            indices.pop(min(k - start, len(indices) // 2))
            for indices, (start, _) in zip(members, partitions, strict=True)
        ]
        # Of two, the one that the first stage ranks lower comes first: a tie is no win for it.
        pairs = [
            (items[max(i, pivot)], items[min(i, pivot)])
            for indices, pivot in zip(members, pivots, strict=True)
            for i in indices
        ]
        preferences = iter((yield pairs))
        smaller: list[tuple[int, int]] = []
        for (start, end), indices, pivot in zip(partitions, members, pivots, strict=True):
            better: list[int] = []
            worse: list[int] = []
            for i in indices:
                preference = next(preferences)
                wins = preference > 0.5 if i > pivot else preference <= 0.5
                (better if wins else worse).append(i)
            order[start:end] = [*better, pivot, *worse]
            middle = start + len(better)
            smaller += [(start, middle), (middle + 1, end)]
        partitions = smaller
    return [items[i] for i in order[:k]] + [items[i] for i in sorted(order[k:])]


def _estimate(n: int, settings: RankerSettings) -> int:
    # The mean of partial quicksort over random orders (Martinez 2004, Partial Quicksort).
    if (k := min(settings.k, n)) < 1:
        return 0
    harmonic_below = sum(1 / i for i in range(1, n - k + 2))
    harmonic = harmonic_below + sum(1 / i for i in range(n - k + 2, n + 1))
    return round(2 * n + 2 * (n + 1) * harmonic - 2 * (n + 3 - k) * harmonic_below - 6 * k + 6)


METHOD = Method(lambda settings: partial(quickselect, k=settings.k), _estimate, strict=True)
