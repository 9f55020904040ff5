"""Language models for tests: rules in place of weights, words in place of tokens."""

import asyncio
import math
import re
from collections.abc import Callable, Sequence

from rankprompt.llm.base import (
    Answer,
    AsyncLanguageModel,
    LanguageModel,
    Request,
    Usage,
)
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template
from rankprompt.rankers.seeded_random import uniform

__all__ = ["PROMPT", "FakeModel", "FakeServer", "Rule", "by_hash", "shows"]

Rule = Callable[[Request], Answer]

PROMPT = Prompt(
    "fake",
    "choice",
    parse_template("Query: {query}\nA: {first}\nB: {second}\nWhich is better?"),
    parse_template(""),
    ("Passage A", "Passage B"),
)
"""A prompt whose passages ``shows`` can parse."""

_SHOWN = re.compile(r"^A: (.*)\nB: (.*)$", re.MULTILINE)
_WORD = re.compile(r"\S+")


def by_hash(request: Request) -> Answer:
    """Pseudo-random log-likelihoods that depend on the prompt and the option alone."""
    if request.passage is not None:
        return Answer((9 - 18 * uniform(0, request.prompt, request.passage),), (1,))
    scores = tuple(-9 * uniform(0, request.prompt, option) for option in request.options)
    tokens = tuple(len(_WORD.findall(option)) for option in request.options)
    text = PROMPT.options[uniform(0, request.prompt) < 0.5]
    return Answer(scores, tokens, "" if request.options else text)


def shows(prefer: Callable[[str, str], float | None]) -> Rule:
    """A rule about the texts that PROMPT shows as A and as B.

    Args:
        prefer: the probability, between 0 and 1, that A is more relevant; None for an unreadable
            answer (not a number, or a text without a choice).
    """

    def answer(request: Request) -> Answer:
        passages = _SHOWN.search(request.prompt)
        assert passages, request.prompt
        preference = prefer(passages[1], passages[2])
        if not request.options:
            if preference is None:
                return Answer(text="Neither of them.")
            return Answer(text=f"Passage {'A' if preference > 0.5 else 'B'}.")
        if preference is None:
            return Answer((math.nan, math.nan), (2, 2))
        return Answer((math.log(preference), math.log(1 - preference)), (2, 2))

    return answer


class FakeModel:
    """A LanguageModel that records the batches that it answers in ``batches``."""

    def __init__(
        self, rule: Rule = by_hash, *, context_length: int = 1000, batch_size: int = 32
    ) -> None:
        self.name, self.fingerprint = "fake", "fake 1"
        self.context_length = context_length
        self.batches: list[list[Request]] = []
        self.rule, self._batch_size = rule, batch_size

    @property
    def prompts(self) -> list[Request]:
        """All requests that the model answered."""
        return [request for batch in self.batches for request in batch]

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Batches of requests of similar length, the longest first."""
        order = sorted(range(len(requests)), key=lambda i: -self.length(requests[i]))
        size = self._batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers by the rule; a batch is padded to its longest request."""
        lengths = [self.length(request) for request in requests]
        assert max(lengths) <= self.context_length
        self.batches.append(list(requests))
        padding = max(lengths) * len(lengths) - sum(lengths)
        return [self.rule(request) for request in requests], Usage(sum(lengths), padding)

    def length(self, request: Request) -> int:
        """The number of words."""
        options = [len(_WORD.findall(option)) for option in request.options]
        return len(_WORD.findall(request.prompt)) + max([request.max_tokens, *options])

    def truncate(self, text: str, tokens: int) -> str:
        """The first words."""
        words = list(_WORD.finditer(text))
        return text if len(words) <= tokens else text[: words[tokens - 1].end()]

    def escape(self, text: str) -> str:
        """The fake's only special token is <|end|>."""
        return text.replace("<|end|>", "< |end|>")


_: type[LanguageModel] = FakeModel


class FakeServer(FakeModel):
    """An AsyncLanguageModel; ``busiest`` is the most calls that were in flight."""

    def __init__(self, rule: Rule = by_hash, *, slow: Callable[[Request], bool] | None = None):
        super().__init__(rule)
        self._slow = slow or (lambda _: False)
        self._calls = self.busiest = 0
        self.closed = False

    async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
        """Answers by the rule, after other calls have started."""
        self._calls += 1
        self.busiest = max(self.busiest, self._calls)
        await asyncio.sleep(0.05 if self._slow(request) else 0)
        self._calls -= 1
        (answer,), usage = super().answer([request])
        return answer, usage._replace(written=1)

    async def open(self) -> None:
        """There is nothing to ask."""

    async def close(self) -> None:
        """Closes the connections."""
        self.closed = True


__: type[AsyncLanguageModel] = FakeServer
