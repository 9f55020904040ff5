"""PRP-Graph: Swiss-system rounds of pairs, then PageRank over the graph of preferences."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["METHOD", "SWISS", "prp_graph"]

T = TypeVar("T")

SWISS = 20
"""The default budget, in rounds of N/2 comparisons."""

_DAMPING = 0.85  # the usual value for PageRank


def prp_graph(
    items: Sequence[T], *, budget: int | None = None
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by a graph of soft preferences (PRP-Graph, Luo et al., ACL 2024, 2024.acl-long.313).

    Construction: in each round every item meets the nearest item below it in the present order that
    it has not met yet; an item that is preferred to item j with preference p gains p times j's mean
    score a round. Aggregation: PageRank over edges from each item to the items that it met,
    weighted by their preference over it. The authors teleport by first-stage scores, which a ranker
    does not see; here the teleport weights are the scores that the rounds start from, 1 less 0.01 a
    rank (ours). At most N(N-1)/2 comparisons, up to N/2 a round. Equal PageRanks keep the order of
    ``items``, but ties of the judge may change it, for the teleport favours the first items.

    Args:
        items: in first-stage order.
        budget: the most comparisons; None for those of 20 full rounds.

    Returns:
        All items, best first.
    """
    import numpy as np

    n = len(items)
    remaining = n // 2 * SWISS if budget is None else budget
    initial = np.maximum(1 - 0.01 * np.arange(n), 0.01)
    scores, games, wins = initial.copy(), np.zeros(n), np.zeros((n, n))
    met = np.eye(n, dtype=bool)
    while remaining > 0:
        free = dict.fromkeys(map(int, np.argsort(-scores, kind="stable")))
        pairs: list[tuple[int, int]] = []
        for i in list(free):
            if i in free and (j := next((j for j in free if not met[i, j]), None)) is not None:
                del free[i], free[j]
                pairs.append((i, j))
        if not (pairs := pairs[:remaining]):
            break
        remaining -= len(pairs)
        preferences = yield [(items[i], items[j]) for i, j in pairs]
        for (i, j), preference in zip(pairs, preferences, strict=True):
            met[i, j] = met[j, i] = True
            wins[i, j], wins[j, i] = preference, 1 - preference
            games[[i, j]] += 1
            gains = preference * scores[j] / games[j], (1 - preference) * scores[i] / games[i]
            scores[[i, j]] += gains
    if n < 2 or not wins.any():
        return list(items)
    teleport = initial / initial.sum()
    losses = wins.sum(0)
    transition = np.where(losses > 0, wins / np.maximum(losses, 1e-12), teleport[:, None])
    pagerank = np.linalg.solve(np.eye(n) - _DAMPING * transition, (1 - _DAMPING) * teleport)
    return [items[i] for i in np.argsort(-pagerank.round(12), kind="stable")]


def _estimate(n: int, settings: RankerSettings) -> int:
    return min(settings.comparisons or SWISS * (n // 2), n * (n - 1) // 2)


METHOD = Method(lambda settings: partial(prp_graph, budget=settings.comparisons), _estimate)
