"""A judge that reads the qrels: what a method gives, before a token is spent."""

from collections.abc import Callable, Sequence

from rankprompt.errors import InputError
from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import PairwiseQuestion, Preference, Qrels

__all__ = ["PairwiseOracle"]


class PairwiseOracle:
    """A judge that reads the qrels: what would a method give with a perfect, or a noisy, judge?

    Args:
        qrels: relevance grades; an unjudged document counts as grade 0.
        noise: the probability that an answer is wrong, that is, the other way round. Equal grades
            are a tie and stay one.
        errors: how answers are wrong, in place of ``noise``.
        order: as in ``PairwiseJudge``: "both" hears two answers about a pair, each with errors of
            its own, and concludes as the paper does; "single" hears one.
        decide: with "both", "agreement" or "soft", as in ``PairwiseJudge``.
        seed: of the errors, and of the single order. A pair asked again errs again.
        on_judged: called with the number of comparisons judged.
    """

    def __init__(
        self,
        qrels: Qrels,
        *,
        noise: float = 0.0,
        errors: ErrorModel | None = None,
        order: str = "single",
        decide: str = "agreement",
        seed: int = 0,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if not 0 <= noise <= 1:
            raise InputError(f"noise must be a probability, not {noise}")
        self._qrels, self._seed, self._on_judged = qrels, seed, on_judged
        self._errors = errors or ErrorModel((noise,))
        self._both, self._soft = order == "both", decide == "soft"
        self.diagnostics = PairwiseDiagnostics()
        self.asked = 0

    def __call__(self, comparisons: Sequence[PairwiseQuestion]) -> list[Preference]:
        """Judges a round by the grades."""
        preferences = [self._judge(comparison) for comparison in comparisons]
        self.asked += len(comparisons)
        self._on_judged(len(comparisons))
        return preferences

    def _judge(self, comparison: PairwiseQuestion) -> Preference:
        query, first, second = comparison
        one, other = sorted((first.id, second.id))
        grades = self._qrels.get(query.id, {})
        gap = grades.get(one, 0) - grades.get(other, 0)

        def draw(what: str, *names: str) -> float:
            return uniform(self._seed, what, query.id, *names)

        # Where each is shown first in turn, the second answer has errors of its own.
        biased = self._errors.bias != 0
        orders = (True, False) if self._both else (not biased or draw("order", one, other) < 0.5,)
        votes = {
            shown_first: self._errors.answer(
                (one, other), gap, shown_first=shown_first, again=place > 0, draw=draw
            )
            for place, shown_first in enumerate(orders)
        }
        preference = sum(votes.values()) / len(votes)
        if not (self._soft or preference in (0, 1)):
            preference = 0.5
        turned = first.id != one
        if turned:
            preference = 1 - preference
        # Which is shown first means nothing to a judge without a bias.
        shown = {ahead == turned: vote if ahead else 1 - vote for ahead, vote in votes.items()}
        self.diagnostics.add(comparison, shown if biased else {}, preference)
        return preference
