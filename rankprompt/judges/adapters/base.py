"""The interfaces of adapters, and the functions that several of them share."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.scores import Meaning

__all__ = ["Adapter", "PairwiseAdapter", "ParsedAnswer", "PointwiseAdapter", "fill", "softmax"]

A_co = TypeVar("A_co", covariant=True)


class ParsedAnswer(NamedTuple, Generic[A_co]):
    """The answer that an adapter parsed from a model's replies.

    Attributes:
        answer: an answer of the question's kind; None where the replies are unreadable.
        repairs: the numbers of labels that were "missing", "doubled" or "invented" in it.
    """

    answer: A_co | None
    repairs: Mapping[str, int] = MappingProxyType({})


class Adapter(Protocol[A_co]):
    """Turns a pointwise, setwise or listwise question into requests, and parses the answers."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """The requests about passages, which are shown in this order."""

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[A_co]:
        """Parses the model's answers to the requests about ``number`` passages."""

    def fallback(self, number: int) -> A_co:
        """The answer about ``number`` passages where the replies are unreadable or missing."""


class PointwiseAdapter(Adapter[float | None], Protocol):
    """An adapter of pointwise questions, which knows what its grades say of relevance."""

    @property
    def meaning(self) -> Meaning:
        """What ``probability`` returns."""

    def probability(self, grade: float) -> float:
        """Turns a grade into a score from 0 to 1; a higher grade never has a lower score."""


class PairwiseAdapter(Protocol):
    """Turns an ordered pair of passages into requests, and parses the model's answers."""

    @property
    def ordered(self) -> bool:
        """Whether the order in which the two passages are shown can change the answer."""

    @property
    def passages(self) -> int:
        """The number of passages that a request shows: 1 or 2."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """The requests about two passages, which are shown in this order."""

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[float]:
        """Parses the probability that the passage shown first is more relevant."""


def fill(
    prompt: Prompt,
    slots: dict[str, str],
    *,
    options: tuple[str, ...] = (),
    max_tokens: int = 0,
    choices: tuple[str, ...] = (),
) -> Request:
    """Makes a request of a prompt whose slots are filled with texts."""
    breaks = prompt.text.breaks(**slots)
    text = prompt.text.fill(**slots)
    return Request(text, options, max_tokens, prompt.chat, breaks, choices)


def softmax(loglikelihoods: Sequence[float]) -> tuple[float, ...] | None:
    """The probabilities of options, normalised; None where a log-likelihood is not a number."""
    largest = max(loglikelihoods)
    if any(map(math.isnan, loglikelihoods)) or math.isinf(largest):
        return None
    weights = [math.exp(loglikelihood - largest) for loglikelihood in loglikelihoods]
    total = sum(weights)
    return tuple(weight / total for weight in weights)
