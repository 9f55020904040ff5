"""Adapters of pointwise questions: how relevant is one passage by itself?"""

import math
from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, fill, softmax
from rankprompt.judges.adapters.pairwise import Likelihood
from rankprompt.judges.adapters.verdict import Choices, clean
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.scores import Meaning

__all__ = ["ExpectedGrade", "QueryLikelihood", "WrittenGrade"]


class _Graded:
    meaning = Meaning.RELEVANCE
    """What ``probability`` returns."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def probability(self, grade: float) -> float:
        """The grade's position between the prompt's lowest and highest grade, from 0 to 1."""
        low, high = min(self._prompt.grades), max(self._prompt.grades)
        return (grade - low) / (high - low) if high > low else 0.0

    def fallback(self, _: int) -> None:
        """No grade: scales of grades differ, and no grade of theirs would be neutral."""


class ExpectedGrade(_Graded):
    """The mean of the grades, weighted by the probabilities of their options.

    With the options yes and no for the grades 1 and 0 it is the probability of yes (arXiv
    2211.09110); with more options it is the expected relevance of arXiv 2310.14122.
    """

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request whose options stand for the grades."""
        slots = {"query": query, "passage": passages[0]}
        return [fill(self._prompt, slots, options=self._prompt.options)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The expected grade."""
        probabilities = softmax(answers[0].loglikelihoods)
        if probabilities is None:
            return ParsedAnswer(None)
        return ParsedAnswer(sum(map(float.__mul__, probabilities, self._prompt.grades)))


class WrittenGrade(_Graded):
    """The grade of the option that the model writes.

    An answer is readable if it states exactly one option (``Choices`` says how). An option that is
    part of another, such as "relevant" of "highly relevant", counts only outside of it.
    """

    def __init__(self, prompt: Prompt) -> None:
        super().__init__(prompt)
        self._choices = Choices([(option.strip(),) for option in prompt.options])

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request to write an option."""
        slots = {"query": query, "passage": passages[0]}
        choices = tuple(option.strip() for option in self._prompt.options)
        return [fill(self._prompt, slots, max_tokens=self._prompt.max_tokens, choices=choices)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The grade of the option that the model states."""
        chosen = self._choices.find(clean(answers[0]), cut=answers[0].problem == "cut")
        return ParsedAnswer(None if chosen is None else self._prompt.grades[chosen])


class QueryLikelihood(_Graded):
    """The query's mean log-likelihood per token after the passage (UPR, arXiv 2204.07496)."""

    meaning = Meaning.LIKELIHOOD

    def probability(self, grade: float) -> float:
        """The geometric mean of the probabilities of the query's tokens: none of relevance."""
        return math.exp(min(grade, 0.0))

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request, the same that ``Likelihood`` makes of each of two passages."""
        return Likelihood(self._prompt).requests(query, passages)

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The mean log-likelihood, in nats per token."""
        mean = answers[0].loglikelihoods[0] / answers[0].tokens[0]
        return ParsedAnswer(None if math.isnan(mean) else mean)
