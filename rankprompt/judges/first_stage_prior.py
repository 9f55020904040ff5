"""The first stage's opinion, as a prior on every preference."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

from rankprompt.errors import InputError
from rankprompt.judges.pairwise import AsyncJudge, Judge
from rankprompt.types import Candidates, Comparison, Preference

__all__ = ["AsyncPriorJudge", "PriorJudge"]

# A judge that is certain leaves the prior no say but on ties.
_CERTAIN = 1e-9


class _Prior:
    """Adds the first stage's scores to what a judge says.

    The log-odds of a preference gain ``weight`` times the difference of the two documents' scores,
    which are standardised over a query's candidates (mean 0, deviation 1), so that any first
    stage's scores will do. A tie goes to the document that the first stage has higher.

    Args:
        candidates: with the first stage's scores, higher is better.
        weight: in nats a standard deviation; 0 leaves every preference as it is.

    Raises:
        InputError: the weight is negative or not finite.
    """

    def __init__(self, candidates: Iterable[Candidates], weight: float) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(f"the prior's weight must be 0 or more, not {weight}")
        self._weight = weight
        self._scores: dict[tuple[str, str], float] = {}
        for query, documents, scores in candidates:
            if not scores:  # there is no mean of nothing, and nothing to compare
                continue
            mean, deviation = fmean(scores), pstdev(scores) or 1.0
            for document, score in zip(documents, scores, strict=True):
                self._scores[query.id, document.id] = (score - mean) / deviation

    def _adjust(
        self, comparisons: Sequence[Comparison], preferences: list[Preference]
    ) -> list[Preference]:
        if not self._weight:
            return preferences
        return [
            self._combine(comparison, preference)
            for comparison, preference in zip(comparisons, preferences, strict=True)
        ]

    def _combine(self, comparison: Comparison, preference: Preference) -> Preference:
        query, first, second = comparison
        gap = self._scores[query.id, first.id] - self._scores[query.id, second.id]
        if preference < _CERTAIN or preference > 1 - _CERTAIN:
            return preference
        odds = math.log(preference / (1 - preference)) + self._weight * gap
        # As 1/2 + tanh/2, so that the two directions of a pair add up to 1.
        return 0.5 + 0.5 * math.tanh(odds / 2)


class PriorJudge(_Prior):
    """A judge with the first stage's opinion added; see ``_Prior`` for how."""

    def __init__(self, judge: Judge, candidates: Iterable[Candidates], weight: float) -> None:
        super().__init__(candidates, weight)
        self._judge = judge

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Preferences, in the same order."""
        return self._adjust(comparisons, self._judge(comparisons))


class AsyncPriorJudge(_Prior):
    """As ``PriorJudge``, around a judge that others need not wait for."""

    def __init__(self, judge: AsyncJudge, candidates: Iterable[Candidates], weight: float) -> None:
        super().__init__(candidates, weight)
        self._judge = judge

    async def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Preferences, in the same order."""
        return self._adjust(comparisons, await self._judge(comparisons))
