"""A model behind the journal: only requests without an answer in the journal reach the model."""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from rankprompt.journal.budget import NO_LIMIT, Budget
from rankprompt.journal.call_limit import CallLimit
from rankprompt.journal.costs import Costs
from rankprompt.journal.memory import AnswerStore, Memory
from rankprompt.journal.store import chunk_name, key
from rankprompt.llm.base import (
    Answer,
    AsyncBatchModel,
    AsyncLanguageModel,
    LanguageModel,
    Request,
    Usage,
)
from rankprompt.rankers.driver import gather_or_cancel

__all__ = ["CachedModel", "ConcurrentCachedModel", "Reply", "Runner"]

R = TypeVar("R")


class Runner(Protocol):
    """Runs coroutines in an event loop, as ``asyncio.Runner`` does."""

    def run(self, coro: Coroutine[Any, Any, R], /) -> R:
        """Runs a coroutine, and returns its result."""


class Reply(NamedTuple):
    """The answer to a request, and where it came from.

    Attributes:
        answer: None where the budget was spent before the model was asked.
        cache_hit: whether the journal had the answer before this run needed it.
        repeated: whether this run had needed the answer before.
    """

    answer: Answer | None
    cache_hit: bool
    repeated: bool = False


class CachedModel:
    """Answers chunks of requests from the journal, and the rest by a model in batches.

    A chunk's batches are planned from the requests that no earlier chunk has answered, whether or
    not they are in the journal by now. A resumed run therefore forms exactly the batches that the
    killed run would have formed, and its numbers are the same to the last bit, although a real
    model's answer may vary with its batch.

    Args:
        model: answers the requests that have no answer in the journal.
        journal: stores all answers.
        budget: the most to spend.

    Attributes:
        costs: the costs of asking the model so far.

    Examples:
        >>> from rankprompt.journal.cached_model import CachedModel
        >>> from rankprompt.journal.store import Journal
        >>> from rankprompt.llm.base import Answer, Request, Usage
        >>> class Parrot:
        ...     "A model that repeats its prompts; a real one is made by rankprompt.llm.load_model."
        ...     name = fingerprint = "parrot"
        ...     def plan(self, requests):
        ...         return [list(range(len(requests)))]
        ...     def answer(self, requests):
        ...         return [Answer(text=request.prompt) for request in requests], Usage(9, 0)
        >>> cached = CachedModel(Parrot(), Journal(None))
        >>> request = Request("Hello!", max_tokens=5)
        >>> [(reply.answer.text, reply.repeated) for reply in cached.answer([request])]
        [('Hello!', False)]
        >>> [(reply.answer.text, reply.repeated) for reply in cached.answer([request])]
        [('Hello!', True)]
        >>> cached.costs.prompts
        1
    """

    def __init__(
        self, model: LanguageModel, journal: AnswerStore, budget: Budget = NO_LIMIT
    ) -> None:
        self.model, self.budget = model, budget
        self.costs = Costs()
        self._memory = Memory(journal)

    def begin_block(self) -> None:
        """Begins other queries, so that a run of millions needs no more memory than one of a few.

        A prompt of both is from the journal then, and not repeated.
        """
        self._memory.begin()

    def forget(self, answers: Mapping[Request, Answer]) -> None:
        """Removes answers that cannot be read from the journal.

        A later run asks for them again, and so does this run where they came from the journal.
        """
        self._memory.forget(_by_key(self.model.fingerprint, answers))

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answers a chunk of requests, in the same order."""
        keys = [key(self.model.fingerprint, request) for request in requests]
        by_key = dict(zip(keys, requests, strict=True))
        chunk = chunk_name(by_key)
        cached = self._memory.get(list(by_key))
        repeated = self._memory.repeated(cached)
        answers = {name: entry.answer for name, entry in cached.items()}
        planned = [name for name in by_key if name not in cached or cached[name].chunk == chunk]
        if len(answers) < len(by_key):
            for batch in self.model.plan([by_key[name] for name in planned]):
                new = [planned[i] for i in batch if planned[i] not in cached]
                # Another process that shares the journal may have asked these meanwhile.
                if new and (shared := self._memory.get(new)):
                    answers |= {name: entry.answer for name, entry in shared.items()}
                    cached |= shared
                    new = [name for name in new if name not in shared]
                if self.budget.prompts is not None:
                    new = new[: max(0, self.budget.prompts - self.costs.prompts)]
                if new and not self.budget.spent(self.costs):
                    answers |= self._ask(new, by_key, chunk)
        self.costs.prompts_from_journal += len(cached) - len(repeated)
        return [
            Reply(answers.get(name), name in cached and name not in repeated, name in repeated)
            for name in keys
        ]

    def _ask(
        self, names: Sequence[bytes], by_key: dict[bytes, Request], chunk: bytes
    ) -> dict[bytes, Answer]:
        start = time.perf_counter()
        answers, usage = self.model.answer([by_key[name] for name in names])
        self.costs.add(len(names), usage, time.perf_counter() - start)
        by_name = dict(zip(names, answers, strict=True))
        self._memory.put(by_name, chunk=chunk, tokens=usage.tokens, padding=usage.padding)
        return by_name


class ConcurrentCachedModel:
    """Answers requests from the journal, and the rest by a server, with many calls in flight.

    Args:
        model: a model behind a server. One that is an ``AsyncBatchModel`` receives the requests
            with the same prompt together.
        journal: stores all answers.
        budget: the most to spend.
        concurrency: the most calls in flight; or what limits them, where several share a server.

    Attributes:
        costs: the costs of asking the model so far.
        calls: limits the calls in flight.
    """

    def __init__(
        self,
        model: AsyncLanguageModel,
        journal: AnswerStore,
        budget: Budget = NO_LIMIT,
        *,
        concurrency: int | CallLimit = 16,
    ) -> None:
        self.model, self.budget = model, budget
        self.costs = Costs()
        self._memory = Memory(journal)
        batches = hasattr(model, "answer_together")
        self._batches = cast(AsyncBatchModel, model) if batches else None
        self.calls = CallLimit(concurrency) if isinstance(concurrency, int) else concurrency
        self._in_flight: dict[bytes, asyncio.Task[dict[bytes, Answer]]] = {}
        self._prompts_in_flight = 0

    def begin_block(self) -> None:
        """As ``CachedModel.begin_block``."""
        self._memory.begin()

    def forget(self, answers: Mapping[Request, Answer]) -> None:
        """As ``CachedModel.forget``."""
        self._memory.forget(_by_key(self.model.fingerprint, answers))

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answers requests, in the same order; no answer depends on the other requests.

        Where a call fails, the calls for the other requests are cancelled before it raises.
        """
        keys = [key(self.model.fingerprint, request) for request in requests]
        by_key = dict(zip(keys, requests, strict=True))
        cached = self._memory.get(list(by_key))
        repeated = self._memory.repeated(cached)
        self.costs.prompts_from_journal += len(cached) - len(repeated)
        # Two queries, or two pairs, may need the same request at the same time.
        new = {
            name: request
            for name, request in by_key.items()
            if name not in cached and name not in self._in_flight
        }
        for call in self._calls(new):
            task = asyncio.create_task(self._ask(call))
            self._in_flight |= dict.fromkeys(call, task)
            task.add_done_callback(partial(self._forget_call, call))
        tasks = {name: self._in_flight[name] for name in by_key if name not in cached}
        answers = {name: entry.answer for name, entry in cached.items()}
        for answered in await gather_or_cancel(dict.fromkeys(tasks.values())):
            answers |= answered
        return [
            Reply(answers.get(name), name in cached and name not in repeated, name in repeated)
            for name in keys
        ]

    def _calls(self, requests: Mapping[bytes, Request]) -> Iterator[dict[bytes, Request]]:
        """Splits requests into those of one call each, those that begin alike one after another."""
        by_prompt: dict[object, list[bytes]] = {}
        # What prompts begin with alike, a server computes once while its prefix cache holds it.
        for name, request in sorted(requests.items(), key=lambda item: item[1].prompt):
            by_prompt.setdefault(request.prompt if self._batches else name, []).append(name)
        size = self._batches.requests_per_call if self._batches else 1
        for names in by_prompt.values():
            for start in range(0, len(names), size):
                yield {name: requests[name] for name in names[start : start + size]}

    def _forget_call(self, call: Mapping[bytes, Request], _: object) -> None:
        for name in call:
            self._in_flight.pop(name, None)

    async def _ask(self, call: Mapping[bytes, Request]) -> dict[bytes, Answer]:
        """Answers the requests of one call, as many as the budget allows."""
        async with self.calls.turn():
            if self.budget.spent(self.costs, self._prompts_in_flight):
                return {}
            names = list(call)
            if self.budget.prompts is not None:
                names = names[: self.budget.prompts - self.costs.prompts - self._prompts_in_flight]
            self._prompts_in_flight += len(names)
            start = time.perf_counter()
            try:
                answers, usage = await self._answer([call[name] for name in names])
            finally:
                self._prompts_in_flight -= len(names)
            self.costs.add(len(names), usage, time.perf_counter() - start)
            by_name = dict(zip(names, answers, strict=True))
            self._memory.put(by_name, chunk=b"", tokens=usage.tokens, padding=0)
            return by_name

    async def _answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if self._batches:
            return await self._batches.answer_together(requests)
        answer, usage = await self.model.answer(requests[0])
        return [answer], usage


def _by_key(fingerprint: str, answers: Mapping[Request, Answer]) -> dict[bytes, Answer]:
    return {key(fingerprint, request): answer for request, answer in answers.items()}
