"""Pointwise readings: how relevant is one passage, by itself?"""

import math
import re
from collections.abc import Sequence

from rankprompt.judges.adapters.base import Heard, softmax
from rankprompt.judges.adapters.pairwise import Likelihood, fill
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt

__all__ = ["ExpectedGrade", "QueryLikelihood", "WrittenGrade"]


class _Graded:
    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def unknown(self, _: int) -> None:
        """No grade at all: the scales of grades differ, and none of theirs is a tie."""


class ExpectedGrade(_Graded):
    """The mean of the grades, weighted by their options' probabilities.

    With yes and no for 1 and 0 it is the probability of yes (arXiv 2211.09110); with more labels,
    the expected relevance of arXiv 2310.14122.
    """

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, whose options stand for the grades."""
        slots = {"query": query, "passage": texts[0]}
        return [fill(self._prompt, slots, options=self._prompt.options)]

    def read(self, answers: Sequence[Answer], _: int) -> Heard:
        """The expected grade."""
        shares = softmax(answers[0].loglikelihoods)
        if shares is None:
            return Heard(None)
        return Heard(sum(map(float.__mul__, shares, self._prompt.grades)))


class WrittenGrade(_Graded):
    """The grade of the option that the model writes.

    Readable where exactly one option is named; one that is a part of another ("relevant" of "highly
    relevant") counts only where it stands by itself.
    """

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, to write an answer."""
        slots = {"query": query, "passage": texts[0]}
        return [fill(self._prompt, slots, max_tokens=self._prompt.max_tokens)]

    def read(self, answers: Sequence[Answer], _: int) -> Heard:
        """The grade of the option that was named."""
        text, named = answers[0].text.casefold(), []
        worth = {one.strip().casefold(): i for i, one in enumerate(self._prompt.options)}
        for option in sorted(worth, key=len, reverse=True):
            text, found = re.subn(rf"(?<!\w){re.escape(option)}(?!\w)", "\0", text)
            if found:
                named.append(self._prompt.grades[worth[option]])
        return Heard(named[0] if len(named) == 1 else None)


class QueryLikelihood(_Graded):
    """The mean log-likelihood a token of the query after the passage (UPR, arXiv 2204.07496)."""

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """One request, the one that comparing two passages by likelihood asks about each."""
        return Likelihood(self._prompt).requests(query, texts[0], "")[:1]

    def read(self, answers: Sequence[Answer], _: int) -> Heard:
        """The mean, in nats."""
        mean = answers[0].loglikelihoods[0] / answers[0].tokens[0]
        return Heard(None if math.isnan(mean) else mean)
