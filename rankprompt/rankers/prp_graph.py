"""PRP-Graph: Swiss rounds of pairs, then PageRank over who lost to whom."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["METHOD", "SWISS", "prp_graph"]

T = TypeVar("T")

SWISS = 20  # full rounds' worth of comparisons, where no budget is given

_DAMPING = 0.85  # PageRank's usual


def prp_graph(
    items: Sequence[T], *, budget: int | None = None
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by a graph of soft preferences (PRP-Graph, Luo et al., ACL 2024, 2024.acl-long.313).

    Construction: in each round every item meets the nearest below it in the present order that it
    has not met; preferred to j by p, i gains p times j's mean score a round. Aggregation: PageRank
    over edges from each item to those that it met, weighted by their preference over it. Where the
    authors teleport by first-stage scores, which a sort does not see, here it is by what the rounds
    start from, 1 less 0.01 a rank (ours). ``budget``: comparisons; left out, those of 20 rounds.
    """
    import numpy as np

    n = len(items)
    left = n // 2 * SWISS if budget is None else budget
    start = np.maximum(1 - 0.01 * np.arange(n), 0.01)
    scores, played, wins = start.copy(), np.zeros(n), np.zeros((n, n))
    met = np.eye(n, dtype=bool)
    while left > 0:
        free = dict.fromkeys(map(int, np.argsort(-scores, kind="stable")))
        pairs: list[tuple[int, int]] = []
        for i in list(free):
            if i in free and (j := next((j for j in free if not met[i, j]), None)) is not None:
                del free[i], free[j]
                pairs.append((i, j))
        if not (pairs := pairs[:left]):
            break
        left -= len(pairs)
        preferences = yield [(items[i], items[j]) for i, j in pairs]
        for (i, j), preference in zip(pairs, preferences, strict=True):
            met[i, j] = met[j, i] = True
            wins[i, j], wins[j, i] = preference, 1 - preference
            played[[i, j]] += 1
            gains = preference * scores[j] / played[j], (1 - preference) * scores[i] / played[i]
            scores[[i, j]] += gains
    if n < 2 or not wins.any():
        return list(items)
    teleport = start / start.sum()
    lost = wins.sum(0)
    flow = np.where(lost > 0, wins / np.maximum(lost, 1e-12), teleport[:, None])
    ranks = np.linalg.solve(np.eye(n) - _DAMPING * flow, (1 - _DAMPING) * teleport)
    return [items[i] for i in np.argsort(-ranks.round(12), kind="stable")]


def _estimate(n: int, settings: RankerSettings) -> int:
    return min(settings.comparisons or SWISS * (n // 2), n * (n - 1) // 2)


METHOD = Method(lambda settings: partial(prp_graph, budget=settings.comparisons), _estimate)
