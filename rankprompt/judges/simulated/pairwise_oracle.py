"""A simulated judge of pairwise questions, which reads relevance grades."""

from collections.abc import Callable, Sequence

from rankprompt.errors import InputError
from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import PairwiseQuestion, Preference, Qrels

__all__ = ["PairwiseOracle"]


class PairwiseOracle:
    """A judge that reads relevance grades: the quality of a method before a token is spent.

    Args:
        qrels: relevance grades; an unjudged document counts as grade 0.
        noise: the probability that an answer is reversed. Equal grades are always a tie.
        errors: an error model, in place of ``noise``.
        order: as in ``PairwiseJudge``: "both" simulates two answers about a pair, each with errors
            of its own, and concludes as the paper does, and so does "lazy"; "single" simulates a
            single answer.
        decide: with "both", "agreement" or "soft", as in ``PairwiseJudge``.
        seed: the seed of the errors and of the single order. A pair asked again has the same error.
        on_judged: called with the number of comparisons judged, after each round.

    Attributes:
        diagnostics: position bias and contradictions of the simulated answers.
        asked: the number of comparisons judged.

    Raises:
        InputError: ``noise`` is not a probability.
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
            raise InputError(f"`noise` must be a probability, not {noise}")
        self._qrels, self._seed, self._on_judged = qrels, seed, on_judged
        self._errors = errors or ErrorModel((noise,))
        self._both, self._soft = order != "single", decide == "soft"
        self.diagnostics = PairwiseDiagnostics()
        self.asked = 0

    def __call__(self, comparisons: Sequence[PairwiseQuestion]) -> list[Preference]:
        """Judges a round of comparisons by the grades."""
        preferences = [self._judge(comparison) for comparison in comparisons]
        self.asked += len(comparisons)
        self._on_judged(len(comparisons))
        return preferences

    def _judge(self, comparison: PairwiseQuestion) -> Preference:
        query, first, second = comparison
        lower, higher = sorted((first.id, second.id))
        grades = self._qrels.get(query.id, {})
        gap = grades.get(lower, 0) - grades.get(higher, 0)

        def draw(purpose: str, *names: str) -> float:
            return uniform(self._seed, purpose, query.id, *names)

        # By whether the document with the lower id is shown first: the probability that it is
        # preferred. With both orders, the second answer has errors of its own.
        biased = self._errors.bias != 0
        orders = (
            (True, False) if self._both else (not biased or draw("order", lower, higher) < 0.5,)
        )
        votes = {
            shown_first: self._errors.answer(
                (lower, higher), gap, shown_first=shown_first, again=number > 0, draw=draw
            )
            for number, shown_first in enumerate(orders)
        }
        preference = sum(votes.values()) / len(votes)
        if not (self._soft or preference in (0, 1)):
            preference = 0.5
        reverse = first.id != lower
        if reverse:
            preference = 1 - preference
        answers = {
            shown_first == reverse: vote if shown_first else 1 - vote
            for shown_first, vote in votes.items()
        }
        # Before a judge without a bias the order shown means nothing.
        self.diagnostics.add(comparison, answers if biased else {}, preference)
        return preference
