"""Asks a model only what the journal does not know, and counts what it cost."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

from rankprompt.journal.store import Journal, chunk_name, key
from rankprompt.llm.base import Answer, AsyncLanguageModel, LanguageModel, Request, Usage

__all__ = ["Answering", "AsyncAnswering", "Budget", "Costs"]


@dataclass
class Costs:
    """What has been asked so far.

    Attributes:
        prompts: asked of the model.
        prompts_from_journal: answered by the journal instead (identical prompts in one chunk count
            once).
        batches: model batches; a server's are of one prompt each.
        largest_batch: prompts in the largest of them.
        tokens: that the model processed, without padding.
        padding: tokens processed beside them.
        reused: tokens that were not run again, being the start of an earlier prompt, too.
        written: of the tokens, those that the model wrote.
        seconds: spent in the model; of calls that overlap, each one's.
        retries: calls that a server did not answer, made again.
    """

    prompts: int = 0
    prompts_from_journal: int = 0
    batches: int = 0
    largest_batch: int = 0
    tokens: int = 0
    padding: int = 0
    reused: int = 0
    written: int = 0
    seconds: float = 0.0
    retries: int = 0

    def add(self, prompts: int, usage: Usage, seconds: float) -> None:
        """Takes in a batch."""
        self.prompts += prompts
        self.batches += 1
        self.largest_batch = max(self.largest_batch, prompts)
        self.tokens += usage.tokens
        self.padding += usage.padding
        self.reused += usage.reused
        self.written += usage.written
        self.retries += usage.retries
        self.seconds += seconds

    def merge(self, more: "Costs") -> None:
        """Takes in what was asked elsewhere."""
        largest = max(self.largest_batch, more.largest_batch)
        for one in fields(Costs):
            setattr(self, one.name, getattr(self, one.name) + getattr(more, one.name))
        self.largest_batch = largest


@dataclass(frozen=True)
class Budget:
    """How much may be spent; None where there is no limit.

    Attributes:
        prompts: asked of the model.
        tokens: read and written together.
        cost: in the currency of the prices.
        price_in: of a million tokens that the model reads.
        price_out: of a million tokens that it writes.
    """

    prompts: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return (self.prompts, self.tokens, self.cost) != (None, None, None)

    def price(self, costs: Costs) -> float:
        """What has been spent, in the currency of the prices."""
        read = costs.tokens - costs.written
        return (read * self.price_in + costs.written * self.price_out) / 1e6

    def spent(self, costs: Costs, under_way: int = 0) -> bool:
        """Whether nothing more may be asked; ``under_way`` prompts have been asked beyond costs.

        A prompt's tokens are known when it is answered, so a budget of tokens or money is overrun
        by what is under way at that moment.
        """
        return (
            (self.prompts is not None and costs.prompts + under_way >= self.prompts)
            or (self.tokens is not None and costs.tokens >= self.tokens)
            or (self.cost is not None and self.price(costs) >= self.cost)
        )


NO_LIMIT = Budget()


class Answering:
    """Answers chunks of requests from the journal and, for the rest, the model.

    A chunk's batches are planned from the requests that no earlier chunk has answered, whether or
    not they are in the journal by now. So a resumed run forms the very batches that the killed one
    would have formed, and its numbers are the same to the last bit, although a real model's answer
    may vary with its batch.

    Args:
        model: answers what is new.
        journal: keeps all answers.
        budget: how much may be spent.
    """

    def __init__(self, model: LanguageModel, journal: Journal, budget: Budget = NO_LIMIT) -> None:
        self.model, self.journal, self.budget = model, journal, budget
        self.costs = Costs()

    def __call__(self, requests: Sequence[Request]) -> tuple[list[Answer | None], list[bool]]:
        """Answers one chunk.

        Returns:
            The answers, None where the budget was spent before; and whether each came from the
            journal; both in the order of ``requests``.
        """
        keys = [key(self.model.fingerprint, request) for request in requests]
        by_key = dict(zip(keys, requests, strict=True))
        chunk = chunk_name(by_key)
        kept = self.journal.get(list(by_key))
        known = {name: entry.answer for name, entry in kept.items()}
        planned = [name for name in by_key if name not in kept or kept[name].chunk == chunk]
        if len(known) < len(by_key):
            for batch in self.model.plan([by_key[name] for name in planned]):
                new = [planned[i] for i in batch if planned[i] not in kept]
                # Another process that shares the journal may have been here meanwhile.
                if new and (found := self.journal.get(new)):
                    known |= {name: entry.answer for name, entry in found.items()}
                    kept |= found
                    new = [name for name in new if name not in found]
                if self.budget.prompts is not None:
                    new = new[: max(0, self.budget.prompts - self.costs.prompts)]
                if new and not self.budget.spent(self.costs):
                    known |= self._ask(new, by_key, chunk)
        self.costs.prompts_from_journal += len(kept)
        return [known.get(name) for name in keys], [name in kept for name in keys]

    def _ask(
        self, names: Sequence[bytes], by_key: dict[bytes, Request], chunk: bytes
    ) -> dict[bytes, Answer]:
        start = time.perf_counter()
        answers, usage = self.model.answer([by_key[name] for name in names])
        self.costs.add(len(names), usage, time.perf_counter() - start)
        found = dict(zip(names, answers, strict=True))
        self.journal.put(found, chunk=chunk, tokens=usage.tokens, padding=usage.padding)
        return found


class AsyncAnswering:
    """Answers requests from the journal and, for the rest, a server, many calls at a time.

    Args:
        model: behind a server.
        journal: keeps all answers.
        budget: how much may be spent.
        concurrency: calls under way at a time, at the most.
    """

    def __init__(
        self,
        model: AsyncLanguageModel,
        journal: Journal,
        budget: Budget = NO_LIMIT,
        *,
        concurrency: int = 16,
    ) -> None:
        self.model, self.journal, self.budget = model, journal, budget
        self.costs = Costs()
        self._room = asyncio.Semaphore(concurrency)
        self._under_way: dict[bytes, asyncio.Task[Answer | None]] = {}
        self._calls = 0

    async def __call__(self, requests: Sequence[Request]) -> tuple[list[Answer | None], list[bool]]:
        """Answers requests; as ``Answering``, but nothing depends on what is asked together."""
        keys = [key(self.model.fingerprint, request) for request in requests]
        by_key = dict(zip(keys, requests, strict=True))
        kept = self.journal.get(list(by_key))
        self.costs.prompts_from_journal += len(kept)
        for name, request in by_key.items():
            if name not in kept and name not in self._under_way:
                # Two queries, or two pairs, may ask the same at the same time.
                task = asyncio.create_task(self._ask(name, request))
                task.add_done_callback(lambda _, name=name: self._under_way.pop(name, None))  # type: ignore[misc]
                self._under_way[name] = task
        waited = {name: self._under_way[name] for name in by_key if name not in kept}
        await asyncio.gather(*waited.values())
        found = {
            name: kept[name].answer if name in kept else waited[name].result() for name in by_key
        }
        return [found[name] for name in keys], [name in kept for name in keys]

    async def _ask(self, name: bytes, request: Request) -> Answer | None:
        async with self._room:
            if self.budget.spent(self.costs, self._calls):
                return None
            self._calls += 1
            start = time.perf_counter()
            try:
                answer, usage = await self.model.answer(request)
            finally:
                self._calls -= 1
            self.costs.add(1, usage, time.perf_counter() - start)
            self.journal.put({name: answer}, chunk=b"", tokens=usage.tokens, padding=0)
            return answer
