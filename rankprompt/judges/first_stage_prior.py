"""The first stage's scores as a prior on every pairwise preference."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

from rankprompt.errors import InputError
from rankprompt.types import Candidates, Fallback, FallbackPreference, PairwiseQuestion, Preference

__all__ = ["FirstStagePrior"]

# A preference closer than this to 0 or 1 is certain: the prior does not change it.
_CERTAIN = 1e-9


class FirstStagePrior:
    """Adds the first stage's scores to a judge's preferences.

    The log-odds of a preference gain ``weight`` times the difference of the two documents' scores,
    which are standardised over a query's candidates (mean 0, standard deviation 1), so that the
    scale of the first stage does not matter. A tie becomes a preference for the document that the
    first stage ranks higher.

    Args:
        candidates: queries with the first stage's scores, higher is better.
        weight: nats for each standard deviation; 0 leaves every preference as it is.

    Raises:
        InputError: the weight is negative or not finite, or candidates have no scores to weigh.
    """

    def __init__(self, candidates: Iterable[Candidates], weight: float) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(f"`prior` must be 0 or more, not {weight}")
        self._weight = weight
        self._scores: dict[tuple[str, str], float] = {}
        for query, documents, scores in candidates:
            if not scores:
                if documents and weight:
                    raise InputError(
                        f"`prior` adds the first stage's scores, and query {query.id} has none"
                    )
                continue
            mean, deviation = fmean(scores), pstdev(scores) or 1.0
            for document, score in zip(documents, scores, strict=True):
                self._scores[query.id, document.id] = (score - mean) / deviation

    def adjust(
        self, questions: Sequence[PairwiseQuestion], preferences: Sequence[Preference]
    ) -> list[Preference]:
        """Adds the first stage's scores to the preferences of a round; keeps their order."""
        if not self._weight:
            return list(preferences)
        return [
            self._combine(question, preference)
            for question, preference in zip(questions, preferences, strict=True)
        ]

    def _combine(self, question: PairwiseQuestion, preference: Preference) -> Preference:
        query, first, second = question
        gap = self._scores[query.id, first.id] - self._scores[query.id, second.id]
        if preference < _CERTAIN or preference > 1 - _CERTAIN:
            return preference
        odds = math.log(preference / (1 - preference)) + self._weight * gap
        # The logistic function as 1/2 + tanh/2: the preferences of both directions add up to 1.
        adjusted = 0.5 + 0.5 * math.tanh(odds / 2)
        # The prior ranks documents that nobody was asked about, but it is no answer.
        return FallbackPreference(adjusted) if isinstance(preference, Fallback) else adjusted
