"""An adaptive Bradley-Terry tournament: near allpair's quality at a linear price."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.bradley_terry_fit import Strengths, fit_strengths
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["BUDGET", "METHOD", "bradley_terry"]

T = TypeVar("T")

BUDGET = 7
"""Comparisons for each item, where no budget is given."""

# Chosen on DL19 with simulated judges, and kept on other collections: docs/results/methods.md.
_PRECISION = 0.25  # of every strength around its prior: a standard deviation of 2
_LAPSE = 0.15  # of answers; 0, plain Bradley-Terry, lost about .01 on DL19 at noise 0.2
_NEAR = 0.02  # as exact as strengths need be for choosing pairs
_ROUND = 20  # pairs at a time where the posterior chooses them
_PROBIT = 1.702  # the logistic curve of this slope is within 0.01 of the normal distribution's


def bradley_terry(
    items: Sequence[T],
    *,
    k: int,
    budget: int | None = None,
    certainty: float | None = None,
    prior: float = 1.0,
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by strengths fitted to few answers, asked where they matter; a wrong one moves little.

    Successive halving first (Karnin et al. 2013, Almost Optimal Exploration in Multi-Armed
    Bandits): all items play, then the better half, and so on down to the best 2k; every round
    pairs neighbours of the present order, and every field plays as many rounds. What is left of
    the budget goes where the posterior is least sure of an order that matters (active ranking, as
    Heckel et al. 2019, Annals of Statistics 47(6), and as arXiv 2605.14236 has it for Pairwise
    Ranking Prompting, arXiv 2306.17563): pairs by the probability that they stand the wrong way
    round, times what they differ in nDCG's discount, which is the most at the top and at its
    border. Fields of equal rounds and neighbours as pairs are ours: with the paper's equal budgets
    small fields run out of pairs before their share is spent.

    A round is a batch of disjoint pairs, and no pair is asked twice: a judge answers a pair as
    before, its direction is the judge's affair (``order``). Nothing is drawn at random. The first
    stage says who plays whom and who stays; the ranking is fitted to the answers alone, and where
    these leave a draw, the order of ``items`` stays.

    Args:
        items: in first-stage order.
        k: how many at the top matter.
        budget: comparisons, at the most; 7 for each item if left out. One below half the items
            reaches only those high in ``items``; the others stand between winners and losers.
        certainty: stop as soon as, in the mean over the top k, a member stands before its
            likeliest rival from below with this probability; None spends the budget.
        prior: how far above (below) the mean strength the first (last) item is expected, in
            logarithms of odds; 0 for none.

    Returns:
        All items, best first.
    """
    import numpy as np

    n = len(items)
    if n < 2 or k < 1:
        return list(items)
    left = min(n * BUDGET if budget is None else budget, n * (n - 1) // 2)
    expected = prior * np.linspace(1, -1, n)
    wins = np.zeros((n, n))
    asked = np.eye(n, dtype=bool)
    known = fit_strengths(wins, expected, precision=_PRECISION, lapse=_LAPSE)
    fields = [n]
    while fields[-1] > 2 * k:
        fields.append(max(-(-fields[-1] // 2), 2 * k))
    each = max(round(2 * left / sum(fields)), 1)
    stages = iter([(size, turn) for size in fields for turn in range(each)])
    field: set[int] = set()
    while left > 0:
        order = _best_first(known.mean)
        doubt = _doubt(known)
        if certainty is not None and n > k and asked.sum() > n:
            rivals = doubt[np.ix_(order[:k], order[k:])].max(1)
            if 1 - rivals.mean() >= certainty:
                break
        pairs: list[tuple[int, int]] = []
        for size, turn in stages:
            if turn == 0:
                field = set(order[:size])
            if pairs := _neighbours([i for i in order if i in field], asked):
                break
        pairs = (pairs or _doubtful(doubt, order, asked))[:left]
        preferences = yield [(items[i], items[j]) for i, j in pairs]
        for (i, j), preference in zip(pairs, preferences, strict=True):
            asked[i, j] = asked[j, i] = True
            wins[i, j], wins[j, i] = preference, 1 - preference
        left -= len(pairs)
        known = fit_strengths(
            wins, expected, precision=_PRECISION, lapse=_LAPSE, start=known.mean, near=_NEAR
        )
    final = fit_strengths(wins, np.zeros(n), precision=_PRECISION, lapse=_LAPSE)
    return [items[i] for i in _best_first(final.mean)]


def _best_first(strengths: "npt.NDArray[np.float64]") -> list[int]:
    """Places by strength; what differs by rounding alone is a draw, which keeps its order."""
    import numpy as np

    return list(map(int, np.argsort(-strengths.round(5), kind="stable")))


def _neighbours(order: Sequence[int], asked: "npt.NDArray[np.bool_]") -> list[tuple[int, int]]:
    """Disjoint pairs: each item with the nearest below it that it has not met."""
    free = dict.fromkeys(order)
    pairs = []
    for i in order:
        if i in free:
            del free[i]
            if (j := next((j for j in free if not asked[i, j]), None)) is not None:
                del free[j]
                pairs.append((i, j))
    return pairs


def _doubt(known: Strengths) -> "npt.NDArray[np.float64]":
    """The probability of each pair that it stands the wrong way round; shape (N, N)."""
    import numpy as np

    mean, covariance = known
    variance = covariance.diagonal()
    spread = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 1e-12))
    return np.asarray(
        1 / (1 + np.exp(np.minimum(_PROBIT * abs(mean[:, None] - mean) / spread, 50)))
    )


def _doubtful(
    doubt: "npt.NDArray[np.float64]", order: Sequence[int], asked: "npt.NDArray[np.bool_]"
) -> list[tuple[int, int]]:
    """Disjoint pairs whose order is in doubt and matters, the most urgent first."""
    import numpy as np

    n = len(order)
    discount = np.empty(n)
    discount[order] = 1 / np.log2(np.arange(2, n + 2))
    urgency = np.where(asked, -1, doubt * abs(discount[:, None] - discount))
    firsts, seconds = np.triu_indices(n, 1)
    urgent = urgency[firsts, seconds].round(9)
    free = set(order)
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(-urgent, kind="stable"):
        i, j = int(firsts[place]), int(seconds[place])
        if urgent[place] < 0 or len(pairs) == _ROUND:
            break
        if i in free and j in free:
            free -= {i, j}
            pairs.append((i, j))
    return pairs


def _estimate(n: int, settings: RankerSettings) -> int:
    return min(settings.comparisons or BUDGET * n, n * (n - 1) // 2) if settings.k > 0 else 0


METHOD = Method(
    lambda settings: partial(bradley_terry, k=settings.k, budget=settings.comparisons),
    _estimate,
)
