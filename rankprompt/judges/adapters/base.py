"""The interface of adapters, and what several of them share."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import Prompt

__all__ = ["Adapter", "PairwiseAdapter", "ParsedAnswer", "fill", "softmax"]

A = TypeVar("A")


class ParsedAnswer(NamedTuple, Generic[A]):
    """An answer of the question's kind, or None where the replies are unreadable; and its repairs.

    ``repairs`` counts labels that were "missing", "doubled" or "invented".
    """

    answer: A | None
    repairs: Mapping[str, int] = MappingProxyType({})


class Adapter(Protocol[A]):
    """Turns passages that are shown in one order into requests, and parses the model's answers."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """The requests about passages that are shown in this order."""

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[A]:
        """The answer to the requests about so many passages."""

    def fallback(self, number: int) -> A:
        """The answer that stands in where the replies are unreadable, or nothing was asked."""


class PairwiseAdapter(Protocol):
    """Turns an ordered pair of passages into requests, and parses the model's answers."""

    @property
    def ordered(self) -> bool:
        """Whether the order in which the two passages are shown can matter."""

    @property
    def passages(self) -> int:
        """How many passages one request shows: 1 or 2."""

    def requests(self, query: str, passages: Sequence[str]) -> list[Request]:
        """The requests about two passages that are shown in this order."""

    def parse(self, answers: Sequence[Answer], number: int) -> ParsedAnswer[float]:
        """The probability that the passage shown first is more relevant."""


def fill(
    prompt: Prompt,
    slots: dict[str, str],
    *,
    options: tuple[str, ...] = (),
    max_tokens: int = 0,
) -> Request:
    """The request that a prompt makes with its slots filled."""
    breaks = prompt.text.breaks(**slots)
    return Request(prompt.text.fill(**slots), options, max_tokens, prompt.chat, breaks)


def softmax(loglikelihoods: Sequence[float]) -> tuple[float, ...] | None:
    """The probability of each option among the options; None where it is not a number."""
    most = max(loglikelihoods)
    if any(map(math.isnan, loglikelihoods)) or math.isinf(most):
        return None
    weights = [math.exp(one - most) for one in loglikelihoods]
    total = sum(weights)
    return tuple(weight / total for weight in weights)
