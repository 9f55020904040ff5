"""The log-odds that one passage is relevant: by a reranker, or by a prompt with two grades."""

import math
from collections.abc import Sequence

from rankprompt.judges.adapters.base import ParsedAnswer, fill
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.scores import Meaning

__all__ = ["Relevance", "log_odds", "relevance_request"]


def relevance_request(prompt: Prompt, query: str, passage: str) -> Request:
    """The request about one passage: as a reranker reads it, or by a prompt with two grades."""
    if prompt.kind == "relevance":
        return Request(query, passage=passage)
    slots = {"query": query, "passage": passage}
    return fill(prompt, slots, options=prompt.options)


def log_odds(answer: Answer) -> float:
    """A reranker's log-odds, or those of the first of two options; higher is more relevant.

    Not a number where the answer has a problem, or where both options have probability 0.
    """
    first, *second = answer.loglikelihoods
    return first - (second[0] if second else 0.0)


class Relevance:
    """The log-odds that a reranker gives; higher is more relevant."""

    meaning = Meaning.RELEVANCE

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def probability(self, grade: float) -> float:
        """The logistic function of the log-odds."""
        return 0.5 + 0.5 * math.tanh(grade / 2)

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request that holds the query and the passage."""
        return [relevance_request(self._prompt, query, passages[0])]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The log-odds; None where they are not a finite number."""
        odds = log_odds(answers[0])
        return ParsedAnswer(odds if math.isfinite(odds) else None)

    def fallback(self, _: int) -> None:
        """No grade, as for the other pointwise adapters."""
