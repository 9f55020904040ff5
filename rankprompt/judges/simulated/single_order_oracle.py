"""A judge that reads the qrels, asked about one passage, or about several at a time."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from rankprompt.errors import InputError
from rankprompt.judges.diagnostics import SingleOrderDiagnostics
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import ListwiseQuestion, PointwiseQuestion, Qrels, Question

__all__ = ["SingleOrderOracle"]


class SingleOrderOracle:
    """What would a method give with a perfect, or a noisy, judge? For questions that are no pairs.

    Args:
        qrels: relevance grades; an unjudged document counts as grade 0.
        noise: the probability of an error. A grading is then another of the query's grades, a
            selection another of the documents shown; in a listing, each document is put, with this
            probability, where another grade would put it. Equal grades share a selection, and keep
            the order shown in a listing.
        strength: in place of noise, how much a grade adds to what a document is worth to the
            judge; chance adds a number with the standard Gumbel distribution, another in each
            question. So a document is selected with odds of e^strength for each grade that it is
            ahead, whatever else is shown (Luce, 1959), listings follow Plackett (1975), and two
            gradings are in the wrong order as often as an answer about the pair is wrong.
        seed: of the errors. A question asked again errs again.
        on_judged: called with the number of questions judged.
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
            raise InputError(f"noise must be a probability, not {noise}")
        if strength is not None and noise:
            raise InputError("an oracle errs by noise or by strength, not by both")
        self._qrels, self._noise, self._seed, self._on_judged = qrels, noise, seed, on_judged
        self._strength = strength
        self.diagnostics = SingleOrderDiagnostics()
        self.asked = 0

    def __call__(self, questions: Sequence[Question]) -> list[Any]:
        """Judges a round by the grades."""
        answers = [self._judge(question) for question in questions]
        self.asked += len(questions)
        self._on_judged(len(questions))
        return answers

    def _judge(self, question: Question) -> Any:
        answer: Any
        shown = range(len(question.documents))
        if isinstance(question, PointwiseQuestion):
            answer = self._worth(question, 0)
        elif self._strength is None and not isinstance(question, ListwiseQuestion):
            answer = self._select(question)
        else:
            worth = [self._worth(question, place) for place in shown]
            answer = tuple(sorted(shown, key=lambda place: -worth[place]))
            if not isinstance(question, ListwiseQuestion):
                answer = tuple(float(place == answer[0]) for place in shown)
        self.diagnostics.add(question, answer, {})
        return answer

    def _worth(self, question: Question, place: int) -> float:
        """What a document is to the judge, errors included; higher is better."""
        if self._strength is None:
            return float(self._grade(question, place))
        name = question.documents[place].id
        grade = self._qrels.get(question.query.id, {}).get(name, 0)
        chance = max(self._draw("chance", question, name), 2**-54)
        return self._strength * grade - math.log(-math.log(chance))

    def _grade(self, question: Question, place: int) -> int:
        """A document's grade, right or wrong."""
        query, documents = question.query.id, question.documents
        grades = self._qrels.get(query, {})
        grade = grades.get(documents[place].id, 0)
        drawn = self._draw("noise", question, documents[place].id)
        others = sorted({0, *grades.values()} - {grade})
        if drawn >= self._noise or not others:
            return grade
        return others[int(drawn / self._noise * len(others))]

    def _select(self, question: Question) -> tuple[float, ...]:
        grades = self._qrels.get(question.query.id, {})
        shown = [grades.get(document.id, 0) for document in question.documents]
        best = [place for place, grade in enumerate(shown) if grade == max(shown)]
        drawn = self._draw("noise", question)
        others = [place for place in range(len(shown)) if place not in best]
        if others and drawn < self._noise:
            best = [others[int(drawn / self._noise * len(others))]]
        return tuple((place in best) / len(best) for place in range(len(shown)))

    def _draw(self, what: str, question: Question, *more: str) -> float:
        if not self._noise and self._strength is None:
            return 1.0
        names = [document.id for document in question.documents]
        return uniform(self._seed, what, question.query.id, *names, "", *more)
