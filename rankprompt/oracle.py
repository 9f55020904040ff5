"""A judge that reads the qrels: what a method gives, before a token is spent."""

from collections.abc import Callable, Sequence

from rankprompt.diagnostics import Diagnostics
from rankprompt.errors import InputError
from rankprompt.records import Comparison, Preference, Qrels
from rankprompt.seeds import uniform

__all__ = ["OracleJudge"]


class OracleJudge:
    """A judge that reads the qrels: what would a method give with a perfect, or a noisy, judge?

    Args:
        qrels: relevance grades; an unjudged document counts as grade 0.
        noise: the probability that an answer is wrong, that is, the other way round. Equal grades
            are a tie and stay one.
        seed: of the noise. A pair asked again errs again.
        on_judged: called with the number of comparisons judged.
    """

    def __init__(
        self,
        qrels: Qrels,
        *,
        noise: float = 0.0,
        seed: int = 0,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if not 0 <= noise <= 1:
            raise InputError(f"noise must be a probability, not {noise}")
        self._qrels, self._noise, self._seed, self._on_judged = qrels, noise, seed, on_judged
        self.diagnostics = Diagnostics()
        self.asked = 0

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Judges a round by the grades."""
        preferences = [self._judge(comparison) for comparison in comparisons]
        self.asked += len(comparisons)
        self._on_judged(len(comparisons))
        return preferences

    def _judge(self, comparison: Comparison) -> Preference:
        query, first, second = comparison
        grades = self._qrels.get(query.id, {})
        gap = grades.get(first.id, 0) - grades.get(second.id, 0)
        preference = (gap > 0) + 0.5 * (gap == 0)
        if self._noise and gap:
            pair = sorted((first.id, second.id))
            if uniform(self._seed, "noise", query.id, *pair) < self._noise:
                preference = 1 - preference
        self.diagnostics.add(comparison, {}, preference)
        return preference
