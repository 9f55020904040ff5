"""Adapters of pairwise questions: which of two passages is more relevant?"""

import math
from collections.abc import Sequence

from rankprompt.judges.adapters.base import PairwiseAdapter, ParsedAnswer, fill
from rankprompt.judges.adapters.log_odds import log_odds, relevance_request
from rankprompt.judges.adapters.verdict import Choices, clean
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt

__all__ = [
    "Choice",
    "Contrast",
    "Generation",
    "Likelihood",
    "RelevanceDifference",
    "pairwise_adapter",
]


class Choice:
    """Scoring mode: compares the likelihoods of two options (arXiv 2306.17563, section 3.1).

    Examples:
        >>> from rankprompt.judges.adapters.pairwise import Choice
        >>> from rankprompt.llm.base import Answer
        >>> from rankprompt.prompts.prompt import load_prompt
        >>> adapter = Choice(load_prompt("prp"))
        >>> (request,) = adapter.requests("windmills", ["An old mill.", "Boats at anchor."])
        >>> request.options
        (' Passage A', ' Passage B')
        >>> adapter.parse([Answer(loglikelihoods=(-1.0, -1.0))], 2).answer
        0.5
    """

    ordered, passages = True, 2

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request whose options stand for the first and the second passage."""
        slots = {"query": query, "first": passages[0], "second": passages[1]}
        return [fill(self._prompt, slots, options=self._prompt.options)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The probability of the first option among the two; None where it is not a number."""
        first, second = answers[0].loglikelihoods
        return ParsedAnswer(_sigmoid(first - second))


class Generation:
    """Generation mode: parses the choice that the model writes (arXiv 2306.17563, section 3.1).

    An answer is readable if it states exactly one of the options as its choice (``Choices`` says
    how), in full or by the words in which the options differ ("A" for "Passage A"). Any other
    answer is unreadable and never a guess.
    """

    ordered, passages = True, 2

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        options = [option.split() for option in prompt.options]
        common = 0  # words with which both options begin
        while (
            all(common < len(words) - 1 for words in options)
            and options[0][common] == options[1][common]
        ):
            common += 1
        self._choices = Choices([(" ".join(words), " ".join(words[common:])) for words in options])

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request to write an option."""
        slots = {"query": query, "first": passages[0], "second": passages[1]}
        choices = tuple(option.strip() for option in self._prompt.options)
        return [fill(self._prompt, slots, max_tokens=self._prompt.max_tokens, choices=choices)]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """1 where the first option is stated, 0 for the second, None where it is unreadable."""
        chosen = self._choices.find(clean(answers[0]), cut=answers[0].problem == "cut")
        return ParsedAnswer(None if chosen is None else float(chosen == 0))


class Contrast:
    """Shows both passages and compares the query's likelihoods under their labels (ours)."""

    ordered, passages = True, 2

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request for each label."""
        slots = {"query": query, "first": passages[0], "second": passages[1]}
        target = (self._prompt.target.fill(query=query),)
        return [
            fill(self._prompt, {**slots, "label": label}, options=target)
            for label in self._prompt.options
        ]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The logistic function of the difference of the query's mean log-likelihoods per token."""
        return ParsedAnswer(_sigmoid(_mean(answers[0]) - _mean(answers[1])))


class Likelihood(Contrast):
    """Shows a passage at a time and compares the query's likelihoods after them (ours).

    The preferences are transitive and free of position bias, and they cost a prompt for each
    document in place of prompts for each pair.
    """

    ordered, passages = False, 1

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request for each passage."""
        target = (self._prompt.target.fill(query=query),)
        return [
            fill(self._prompt, {"query": query, "passage": passage}, options=target)
            for passage in passages
        ]


class RelevanceDifference:
    """Scores a passage at a time and compares the log-odds that each is relevant (ours).

    The preference is the logistic function of the difference, which is what a Bradley-Terry model
    with the log-odds as strengths says. As with ``Likelihood``, preferences are transitive.
    """

    ordered, passages = False, 1

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """A request for each passage, the same that a pointwise question makes."""
        return [relevance_request(self._prompt, query, passage) for passage in passages]

    def parse(self, answers: Sequence[Answer], _: int) -> ParsedAnswer[float]:
        """The logistic function of the difference."""
        first, second = (log_odds(answer) for answer in answers)
        return ParsedAnswer(_sigmoid(first - second))


def pairwise_adapter(prompt: Prompt, mode: str) -> PairwiseAdapter:
    """The adapter of a prompt for pairwise questions.

    Args:
        prompt: a prompt of kind "choice", "contrast", "likelihood" or "relevance", or of kind
            "grades" with two options.
        mode: "scoring", or for a choice also "generation".
    """
    if prompt.kind == "choice":
        return Generation(prompt) if mode == "generation" else Choice(prompt)
    if prompt.kind in ("relevance", "grades"):
        return RelevanceDifference(prompt)
    return Contrast(prompt) if prompt.kind == "contrast" else Likelihood(prompt)


def _mean(answer: Answer) -> float:
    return answer.loglikelihoods[0] / answer.tokens[0]


def _sigmoid(x: float) -> float | None:
    if math.isnan(x):  # a broken answer, or two options of probability 0: no preference
        return None
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
