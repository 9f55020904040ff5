"""An adaptive Bradley-Terry tournament: close to allpair's quality at a linear cost."""

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
"""The default budget, in comparisons an item."""

# Chosen on DL19 with simulated judges, then kept on other collections: docs/results/methods.md.
_PRECISION = 0.25  # of the prior on every strength: a standard deviation of 2
_LAPSE = 0.15  # the share of lapses; 0, plain Bradley-Terry, lost about .01 on DL19 at noise 0.2
_TOLERANCE = 0.02  # strengths that choose pairs need not be more exact
_ROUND = 20  # the pairs of a round that the posterior chooses
_PROBIT = 1.702  # the logistic curve of this slope is within 0.01 of the normal distribution's


def bradley_terry(
    items: Sequence[T],
    *,
    k: int,
    budget: int | None = None,
    certainty: float | None = None,
    prior: float = 1.0,
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by strengths fitted to few comparisons, which are spent where they matter.

    The first phase is successive halving (Karnin et al. 2013, Almost Optimal Exploration in
    Multi-Armed Bandits): all items play, then the better half, and so on down to the best 2k. A
    round pairs neighbours in the present order, and every field plays equally many rounds. The
    second phase spends the rest of the budget where the posterior is least certain of an order that
    matters (active ranking: Heckel et al. 2019, Annals of Statistics 47(6); for Pairwise Ranking
    Prompting, arXiv 2306.17563, see arXiv 2605.14236): pairs are chosen by the probability that
    their present order is wrong, times the difference of their discounts in nDCG, which is largest
    at the top and across its border. Equal rounds for every field and pairs of neighbours are ours:
    with the paper's equal budgets, small fields run out of pairs before their share is spent.

    At most ``budget`` comparisons. A round holds disjoint pairs: up to N/2 in the first phase, 20
    in the second. No pair is asked twice, and nothing is drawn at random. The first stage's order
    decides who plays whom and who stays in a field; the ranking is fitted to the answers alone, and
    equal strengths keep the order of ``items``, so a judge that answers only ties changes nothing.

    Args:
        items: in first-stage order.
        k: the number of items at the top that matter.
        budget: the most comparisons; None for 7 an item. A budget below half the items reaches only
            the first of ``items``; the others are ranked between the winners and the losers.
        certainty: stop as soon as a member of the top k precedes its most probable rival from below
            with this probability, on average over the top k; None spends the budget.
        prior: how far the expected strength of the first (last) item is above (below) the mean, in
            log-odds; 0 for no prior order.

    Returns:
        All items, best first.
    """
    import numpy as np

    n = len(items)
    if n < 2 or k < 1:
        return list(items)
    remaining = min(n * BUDGET if budget is None else budget, n * (n - 1) // 2)
    expected = prior * np.linspace(1, -1, n)
    wins = np.zeros((n, n))
    compared = np.eye(n, dtype=bool)
    posterior = fit_strengths(wins, expected, precision=_PRECISION, lapse=_LAPSE)
    field_sizes = [n]
    while field_sizes[-1] > 2 * k:
        field_sizes.append(max(-(-field_sizes[-1] // 2), 2 * k))
    rounds_per_field = max(round(2 * remaining / sum(field_sizes)), 1)
    schedule = iter([(size, turn) for size in field_sizes for turn in range(rounds_per_field)])
    field: set[int] = set()
    while remaining > 0:
        order = _best_first(posterior.mean)
        doubt = _doubt(posterior)
        if certainty is not None and n > k and compared.sum() > n:
            rivals = doubt[np.ix_(order[:k], order[k:])].max(1)
            if 1 - rivals.mean() >= certainty:
                break
        pairs: list[tuple[int, int]] = []
        for size, turn in schedule:
            if turn == 0:
                field = set(order[:size])
            if pairs := _neighbours([i for i in order if i in field], compared):
                break
        pairs = (pairs or _most_urgent(doubt, order, compared))[:remaining]
        preferences = yield [(items[i], items[j]) for i, j in pairs]
        for (i, j), preference in zip(pairs, preferences, strict=True):
            compared[i, j] = compared[j, i] = True
            wins[i, j], wins[j, i] = preference, 1 - preference
        remaining -= len(pairs)
        posterior = fit_strengths(
            wins,
            expected,
            precision=_PRECISION,
            lapse=_LAPSE,
            start=posterior.mean,
            tolerance=_TOLERANCE,
        )
    final = fit_strengths(wins, np.zeros(n), precision=_PRECISION, lapse=_LAPSE)
    return [items[i] for i in _best_first(final.mean)]


def _best_first(strengths: "npt.NDArray[np.float64]") -> list[int]:
    """Indices by descending strength; differences of rounding count as ties, which keep order."""
    import numpy as np

    return list(map(int, np.argsort(-strengths.round(5), kind="stable")))


def _neighbours(order: Sequence[int], compared: "npt.NDArray[np.bool_]") -> list[tuple[int, int]]:
    """Disjoint pairs: each item with the nearest item below that it was not compared with."""
    free = dict.fromkeys(order)
    pairs = []
    for i in order:
        if i in free:
            del free[i]
            if (j := next((j for j in free if not compared[i, j]), None)) is not None:
                del free[j]
                pairs.append((i, j))
    return pairs


def _doubt(posterior: Strengths) -> "npt.NDArray[np.float64]":
    """For each pair, the probability that its present order is wrong; shape (N, N)."""
    import numpy as np

    mean, covariance = posterior
    variance = covariance.diagonal()
    spread = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 1e-12))
    return np.asarray(
        1 / (1 + np.exp(np.minimum(_PROBIT * abs(mean[:, None] - mean) / spread, 50)))
    )


def _most_urgent(
    doubt: "npt.NDArray[np.float64]", order: Sequence[int], compared: "npt.NDArray[np.bool_]"
) -> list[tuple[int, int]]:
    """Disjoint pairs whose order is in doubt and matters, the most urgent first."""
    import numpy as np

    n = len(order)
    discount = np.empty(n)
    discount[order] = 1 / np.log2(np.arange(2, n + 2))
    urgency_matrix = np.where(compared, -1, doubt * abs(discount[:, None] - discount))
    firsts, seconds = np.triu_indices(n, 1)
    urgency = urgency_matrix[firsts, seconds].round(9)
    free = set(order)
    pairs: list[tuple[int, int]] = []
    for index in np.argsort(-urgency, kind="stable"):
        i, j = int(firsts[index]), int(seconds[index])
        if urgency[index] < 0 or len(pairs) == _ROUND:
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
