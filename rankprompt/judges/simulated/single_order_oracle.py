"""A simulated judge of pointwise, setwise and listwise questions, which reads relevance grades."""

import math
from collections.abc import Callable, Sequence

from rankprompt.errors import InputError
from rankprompt.judges.diagnostics import SingleOrderDiagnostics
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Judgment, ListwiseQuestion, PointwiseQuestion, Qrels, Question

__all__ = ["SingleOrderOracle"]


class SingleOrderOracle:
    """A judge that reads relevance grades: the quality of a method before a token is spent.

    Args:
        qrels: relevance grades; an unjudged document counts as grade 0.
        noise: the probability of an error. A wrong grade is another of the query's grades, and a
            wrong selection another of the documents shown; in a listing, each document is ordered,
            with this probability, by another grade. Equal grades share a selection's probability,
            and keep the order shown in a listing.
        strength: in place of ``noise``, the utility of a grade. A document's utility is
            ``strength`` times its grade plus a standard Gumbel variable, drawn anew for each
            question. So a document is selected with odds of e^strength for each grade that it is
            ahead, whatever else is shown (Luce, 1959), listings follow Plackett (1975), and two
            grades are in the wrong order as often as an answer about the pair is wrong.
        seed: the seed of the errors. A question asked again has the same error.
        on_judged: called with the number of questions judged, after each round.

    Attributes:
        diagnostics: how often the document shown first is selected.
        asked: the number of questions judged.

    Raises:
        InputError: ``noise`` is not a probability, or both ``noise`` and ``strength`` are given.
    """

    def __init__(
        self,
        qrels: Qrels,
        *,
        noise: float = 0.0,
        strength: float | None = None,
        seed: int = 0,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if not 0 <= noise <= 1:
            raise InputError(f"`noise` must be a probability, not {noise}")
        if strength is not None and noise:
            raise InputError("an oracle errs by `noise` or by strength, not by both")
        self._qrels, self._noise, self._seed, self._on_judged = qrels, noise, seed, on_judged
        self._strength = strength
        self._largest = max(
            (grade for by_id in qrels.values() for grade in by_id.values()), default=0
        )
        self.diagnostics = SingleOrderDiagnostics()
        self.asked = 0

    def __call__(self, questions: Sequence[Question]) -> list[Judgment]:
        """Judges a round of questions by the grades."""
        answers = [self._judge(question) for question in questions]
        self.asked += len(questions)
        self._on_judged(len(questions))
        return answers

    def probability(self, grade: float) -> float:
        """A grade of its own as a share of the largest grade in the qrels, from 0 to 1."""
        largest = self._largest * (1 if self._strength is None else self._strength)
        return min(max(grade / largest, 0.0), 1.0) if largest > 0 else 0.0

    def _judge(self, question: Question) -> Judgment:
        answer: Judgment
        indices = range(len(question.documents))
        if isinstance(question, PointwiseQuestion):
            answer = self._utility(question, 0)
        elif self._strength is None and not isinstance(question, ListwiseQuestion):
            answer = self._select(question)
        else:
            utilities = [self._utility(question, index) for index in indices]
            order = sorted(indices, key=lambda index: -utilities[index])
            if isinstance(question, ListwiseQuestion):
                answer = tuple(order)
            else:
                answer = tuple(float(index == order[0]) for index in indices)
        self.diagnostics.add(question, answer, {})
        return answer

    def _utility(self, question: Question, index: int) -> float:
        """A document's utility to the judge, errors included; higher is better."""
        if self._strength is None:
            return float(self._grade(question, index))
        document_id = question.documents[index].id
        grade = self._qrels.get(question.query.id, {}).get(document_id, 0)
        chance = max(self._draw("chance", question, document_id), 2**-54)
        return self._strength * grade - math.log(-math.log(chance))

    def _grade(self, question: Question, index: int) -> int:
        """A document's grade, or with an error another grade of the query's."""
        grades = self._qrels.get(question.query.id, {})
        document_id = question.documents[index].id
        grade = grades.get(document_id, 0)
        draw = self._draw("noise", question, document_id)
        others = sorted({0, *grades.values()} - {grade})
        if draw >= self._noise or not others:
            return grade
        return others[int(draw / self._noise * len(others))]

    def _select(self, question: Question) -> tuple[float, ...]:
        grades_by_id = self._qrels.get(question.query.id, {})
        grades = [grades_by_id.get(document.id, 0) for document in question.documents]
        best = [index for index, grade in enumerate(grades) if grade == max(grades)]
        draw = self._draw("noise", question)
        others = [index for index in range(len(grades)) if index not in best]
        if others and draw < self._noise:
            best = [others[int(draw / self._noise * len(others))]]
        return tuple((index in best) / len(best) for index in range(len(grades)))

    def _draw(self, purpose: str, question: Question, *more: str) -> float:
        if not self._noise and self._strength is None:
            return 1.0
        names = [document.id for document in question.documents]
        return uniform(self._seed, purpose, question.query.id, *names, "", *more)
