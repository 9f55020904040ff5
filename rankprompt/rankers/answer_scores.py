"""Scores from the answers that a ranker receives.

Answers say more than an order. ``score_answers`` listens to them while a query is ranked, and turns
them into a number of the judge's own for each document and into a score of stated meaning. The
ranking stays as the ranker made it.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from rankprompt.rankers.bradley_terry_fit import fit_sparse_strengths
from rankprompt.rankers.coroutines import Finished, QuestionGenerator, step
from rankprompt.rankers.scores import DocumentScore, Probability, follow_ranking
from rankprompt.types import (
    Document,
    Fallback,
    ListwiseQuestion,
    PairwiseQuestion,
    PointwiseQuestion,
    QuestionKind,
    SetwiseQuestion,
)

__all__ = ["Scored", "score_answers"]

_PRECISION = 0.25  # of the strengths' prior, as in ``bradley_terry``: a standard deviation of 2
_ELEMENTS = 1 << 20  # of a matrix of pairs that is held at a time


class Scored(NamedTuple):
    """A ranking of documents, best first, with their scores by document id."""

    ranking: list[Document]
    scores: dict[str, DocumentScore]


class _Answers(Protocol):
    """Collects the answers about a query."""

    def add(self, questions: Sequence[Any], answers: Sequence[Any]) -> None:
        """Takes a round of questions (tuples of documents) and its answers."""

    def scores(self) -> dict[str, tuple[float, float]]:
        """By the id of each document that was judged, its score and its value."""


class _Preferences:
    """Bradley-Terry strengths, and the mean win probability over the other documents."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}
        self._firsts, self._seconds, self._preferences = array("q"), array("q"), array("d")

    def add(self, questions: Sequence[Any], answers: Sequence[Any]) -> None:
        indices = self._indices
        for first, second in questions:
            self._firsts.append(indices.setdefault(first.id, len(indices)))
            self._seconds.append(indices.setdefault(second.id, len(indices)))
        self._preferences.extend(answers)

    def scores(self) -> dict[str, tuple[float, float]]:
        if not self._indices:
            return {}
        import numpy as np

        number = len(self._indices)
        strengths = fit_sparse_strengths(
            np.array(self._firsts),
            np.array(self._seconds),
            np.array(self._preferences),
            number,
            precision=_PRECISION,
        )
        wins = np.empty(number)
        rows = max(_ELEMENTS // max(number, 1), 1)
        for start in range(0, number, rows):
            gaps = strengths[start : start + rows, None] - strengths
            wins[start : start + rows] = (0.5 + 0.5 * np.tanh(gaps / 2)).sum(1) - 0.5
        means = (wins / max(number - 1, 1)).tolist()
        return dict(zip(self._indices, zip(means, strengths.tolist(), strict=True), strict=True))


class _Grades:
    """Grades, and the share of the other documents with a lower grade; equal ones count half."""

    def __init__(self) -> None:
        self._grades: dict[str, float] = {}

    def add(self, questions: Sequence[Any], answers: Sequence[Any]) -> None:
        for (document,), grade in zip(questions, answers, strict=True):
            if grade is not None:
                self._grades[document.id] = grade

    def scores(self) -> dict[str, tuple[float, float]]:
        places = defaultdict(list)
        for place, grade in enumerate(sorted(self._grades.values())):
            places[grade].append(place)
        others = max(len(self._grades) - 1, 1)
        return {
            name: ((places[grade][0] + places[grade][-1]) / 2 / others, grade)
            for name, grade in self._grades.items()
        }


class _Shares:
    """A document's gains of what it could have gained."""

    def __init__(self) -> None:
        self._gains: defaultdict[str, float] = defaultdict(float)
        self._possible: defaultdict[str, float] = defaultdict(float)

    def _add(self, document: Document, gain: float, possible: float) -> None:
        self._gains[document.id] += gain
        self._possible[document.id] += possible

    def scores(self) -> dict[str, tuple[float, float]]:
        shares = {name: gain / self._possible[name] for name, gain in self._gains.items()}
        return {name: (share, share) for name, share in shares.items()}


class _Selections(_Shares):
    """The mean probability with which a document was selected from the sets that showed it."""

    def add(self, questions: Sequence[Any], answers: Sequence[Any]) -> None:
        for documents, probabilities in zip(questions, answers, strict=True):
            for document, probability in zip(documents, probabilities, strict=True):
                self._add(document, probability, 1)


class _Permutations(_Shares):
    """The share of the documents shown with a document that it was ranked above."""

    def add(self, questions: Sequence[Any], answers: Sequence[Any]) -> None:
        for documents, order in zip(questions, answers, strict=True):
            others = len(documents) - 1
            for rank, index in enumerate(order):
                self._add(documents[index], others - rank, others)


_COLLECTORS: Mapping[QuestionKind, Callable[[], _Answers]] = {
    PairwiseQuestion: _Preferences,
    PointwiseQuestion: _Grades,
    SetwiseQuestion: _Selections,
    ListwiseQuestion: _Permutations,
}


def _stated(
    questions: Sequence[Any], answers: Sequence[Any]
) -> tuple[Sequence[Any], Sequence[Any]]:
    """The questions that a judge has answered, with its answers."""
    if not any(isinstance(answer, Fallback) for answer in answers):
        return questions, answers
    pairs = zip(questions, answers, strict=True)
    stated = [pair for pair in pairs if not isinstance(pair[1], Fallback)]
    return [question for question, _ in stated], [answer for _, answer in stated]


def score_answers(
    generator: QuestionGenerator[Any, Any, list[Document]],
    kind: QuestionKind,
    probability: Probability | None = None,
) -> QuestionGenerator[Any, Any, Scored]:
    """Scores what a generator ranks by the answers that it receives.

    Args:
        generator: yields rounds of tuples of documents, and returns their ranking.
        kind: the kind of question that these tuples are.
        probability: gives a document's score by its value, such as a grade's or a calibration's;
            None for the score that the answers imply by themselves (``MEANINGS``; of grades, the
            share of the other documents with a lower one).

    Returns:
        A generator with the questions of ``generator``.
    """
    collected = _COLLECTORS[kind]()
    answers: Sequence[Any] | None = None
    try:
        while not isinstance(questions := step(generator, answers), Finished):
            answers = yield questions
            collected.add(*_stated(questions, answers))
    finally:
        generator.close()
    scores = {
        name: DocumentScore(probability(value) if probability else score, value)
        for name, (score, value) in collected.scores().items()
    }
    ranking = questions.result
    return Scored(ranking, follow_ranking([document.id for document in ranking], scores))
