"""Adapters of pointwise questions: how relevant is one passage by itself?"""

import math
import re
from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, fill, softmax
from rankprompt.judges.adapters.pairwise import Likelihood
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt

__all__ = ["ExpectedGrade", "QueryLikelihood", "WrittenGrade"]


class _Graded:
    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def fallback(self, _: int) -> None:
        """No grade: the scales of grades differ, and no grade is a tie."""


class ExpectedGrade(_Graded):
    """The mean of the grades, weighted by their options' probabilities.

    With yes and no for 1 and 0 it is the probability of yes (arXiv 2211.09110); with more labels,
    the expected relevance of arXiv 2310.14122.
    """

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, whose options stand for the grades."""
        slots = {"query": query, "passage": passages[0]}
        return [fill(self._prompt, slots, options=self._prompt.options)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The expected grade."""
        shares = softmax(answers[0].loglikelihoods)
        if shares is None:
            return ParsedAnswer(None)
        return ParsedAnswer(sum(map(float.__mul__, shares, self._prompt.grades)))


class WrittenGrade(_Graded):
    """The grade of the option that the model writes.

    Readable where exactly one option is named; one that is a part of another ("relevant" of "highly
    relevant") counts only where it stands by itself.
    """

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, to write an answer."""
        slots = {"query": query, "passage": passages[0]}
        return [fill(self._prompt, slots, max_tokens=self._prompt.max_tokens)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The grade of the option that was named."""
        text, named = answers[0].text.casefold(), []
        worth = {one.strip().casefold(): i for i, one in enumerate(self._prompt.options)}
        for option in sorted(worth, key=len, reverse=True):
            text, found = re.subn(rf"(?<!\w){re.escape(option)}(?!\w)", "\0", text)
            if found:
                named.append(self._prompt.grades[worth[option]])
        return ParsedAnswer(named[0] if len(named) == 1 else None)


class QueryLikelihood(_Graded):
    """The mean log-likelihood a token of the query after the passage (UPR, arXiv 2204.07496)."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """One request, the one that comparing two passages by likelihood asks about each."""
        return Likelihood(self._prompt).requests(query, passages)

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The mean, in nats."""
        mean = answers[0].loglikelihoods[0] / answers[0].tokens[0]
        return ParsedAnswer(None if math.isnan(mean) else mean)
