"""Allpair: every pair is compared, in a single round."""

from collections.abc import Sequence
from itertools import combinations
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["METHOD", "allpair"]

T = TypeVar("T")


def allpair(items: Sequence[T]) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by the sum of an item's preferences over all others (arXiv 2306.17563, section 3.2).

    N(N-1)/2 comparisons in one round. With hard preferences (0, 0.5, 1) the sum is the paper's
    score, in which a win counts 1 and a tie 0.5; soft preferences are summed likewise (ours).
    Equal sums keep the order of ``items``.
    """
    pairs = list(combinations(range(len(items)), 2))
    if not pairs:
        return list(items)
    scores = [0.0] * len(items)
    preferences = yield [(items[i], items[j]) for i, j in pairs]
    for (i, j), preference in zip(pairs, preferences, strict=True):
        scores[i] += preference
        scores[j] += 1 - preference
    return [items[i] for i in sorted(range(len(items)), key=lambda i: -scores[i])]


def _estimate(n: int, _: RankerSettings) -> int:
    return n * (n - 1) // 2


METHOD = Method(lambda _: allpair, _estimate)
