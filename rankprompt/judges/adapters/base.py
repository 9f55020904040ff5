"""What a reading of passages makes of a model's answers."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from rankprompt.llm.base import Answer, Request

__all__ = ["Heard", "SetReading", "softmax"]


class Heard(NamedTuple):
    """An answer, of the question's kind, or None where it cannot be read; and what was repaired.

    ``repairs`` counts labels: "missing", "doubled" and "invented".
    """

    answer: Any
    repairs: Mapping[str, int] = MappingProxyType({})


class SetReading(Protocol):
    """Asks about some passages, shown once in one order, and reads the answers."""

    def requests(self, query: str, texts: Sequence[str]) -> list[Request]:
        """The requests about texts shown in this order."""

    def read(self, answers: Sequence[Answer], number: int) -> Heard:
        """What the answers about this many passages mean."""

    def unknown(self, number: int) -> Any:
        """What stands in for an answer that cannot be read, or was not asked."""


def softmax(loglikelihoods: Sequence[float]) -> tuple[float, ...] | None:
    """Each option's share of the probability; None where it is not a number."""
    most = max(loglikelihoods)
    if any(map(math.isnan, loglikelihoods)) or math.isinf(most):
        return None
    weights = [math.exp(one - most) for one in loglikelihoods]
    total = sum(weights)
    return tuple(weight / total for weight in weights)
