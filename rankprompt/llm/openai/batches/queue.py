"""Gathers requests that are asked at about the same time into batches, and waits for their results.

The current rounds of all queries make one batch: it is sent once every query waits for an answer.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from rankprompt.errors import ModelError
from rankprompt.llm.openai.batches.calls import BatchCalls, BatchStatus
from rankprompt.llm.openai.batches.lines import (
    MOST_REQUESTS,
    Result,
    request_line,
    split,
)
from rankprompt.llm.openai.batches.records import BatchRecord, BatchRecords
from rankprompt.llm.openai.batches.waiting import polling_pause, results_of, until_ended
from rankprompt.llm.openai.call_errors import JsonObject, RefusedError

__all__ = ["BatchQueue"]

log = logging.getLogger("rankprompt.batches")

# A round is complete once nothing has been asked for so many seconds, and all other tasks have had
# so many turns: a turn in which much is computed may itself take longer than the seconds.
_QUIET, _TURNS = 0.1, 20
# Results handed over before the tasks that wait for them have a turn.
_AT_A_TIME = 256


class _Asked(NamedTuple):
    """A request that waits for its result."""

    endpoint: str
    line: bytes
    result: asyncio.Future[Result | Exception]


@dataclass(eq=False)
class _Batch:
    """A batch of requests.

    Attributes:
        endpoint: of its requests.
        asked: those that this run waits for.
        record: once it is uploaded.
        task: sends it and reads its results.
        is_read: whether all its replies were handed over.
    """

    endpoint: str
    asked: dict[str, _Asked] = field(default_factory=dict)
    record: BatchRecord | None = None
    task: asyncio.Task[None] | None = None
    is_read: bool = False


class BatchQueue:
    """Asks requests in batches, each kept in a record until its results have been handed over.

    Args:
        calls: the calls to the server.
        records: keeps the batches that run.
        model: the model's fingerprint.
        pause: returns the seconds until a batch is asked for again, given how often it was.

    Raises:
        InputError: the records cannot be read.
    """

    def __init__(
        self,
        calls: BatchCalls,
        records: BatchRecords,
        model: str,
        pause: Callable[[int], float] = polling_pause,
    ) -> None:
        self._calls, self._records, self._model, self._pause = calls, records, model, pause
        self._waiting: dict[str, _Asked] = {}
        self._running: set[_Batch] = set()
        # Batches that an earlier run has sent, by the names of their requests.
        self._earlier: dict[str, _Batch] = {}
        # Their results that nobody has asked for yet.
        self._ready: dict[str, Result] = {}
        # Replies that were handed over, until those who wait for them have had their turn.
        self._untaken: set[str] = set()
        self._gatherer: asyncio.Task[None] | None = None
        self._count = 0
        self._most, self._one_at_a_time = MOST_REQUESTS, False
        for record in records.read():
            if (record.model, record.address) == (model, calls.address):
                log.info("%s: %d requests of an earlier run", record.batch, len(record.requests))
                batch = _Batch(record.endpoint, record=record)
                self._earlier |= dict.fromkeys(record.requests, batch)

    def holds(self, name: str) -> bool:
        """Whether a batch of an earlier run has the request by this name."""
        return name in self._earlier or name in self._ready

    async def ask(self, name: str, endpoint: str, body: JsonObject) -> Result:
        """Asks a request in the next batch, or waits for the batch that has it.

        Args:
            name: of the request, 32 hexadecimal digits; no other request is in flight by it.
            endpoint: such as ``/v1/chat/completions``.
            body: as it would be posted there.

        Raises:
            ModelError: its batch failed or was cancelled, or a call is refused.
        """
        if name in self._ready:
            return self._ready.pop(name)
        line = request_line(name, endpoint, body)
        asked = _Asked(endpoint, line, asyncio.get_running_loop().create_future())
        if batch := self._earlier.pop(name, None):
            batch.asked[name] = asked
            if batch.task is None:
                self._start(batch)
        else:
            self._wait({name: asked})
        result = await asked.result
        self._untaken.discard(name)
        if isinstance(result, Exception):
            raise result
        return result

    def forget_unread(self) -> None:
        """Forgets the batches of earlier runs of which nothing was asked."""
        for batch in set(self._earlier.values()):
            if batch.task is None and batch.record:
                self._records.remove(batch.record)
                self._forget(batch)

    async def close(self) -> None:
        """Ends what runs here; batches go on at the server, and their records stay."""
        running = [one.record for one in self._running if one.record and not self._end(one)]
        tasks = [one.task for one in self._running if one.task]
        tasks += [self._gatherer] if self._gatherer else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if running:
            log.warning(
                "at the server, %s with %d requests: the same command, started again, reads the "
                "answers (%s)",
                "a batch goes on" if len(running) == 1 else f"{len(running)} batches go on",
                sum(len(record.requests) for record in running), self._records.path,
            )  # fmt: skip

    def _wait(self, asked: Mapping[str, _Asked]) -> None:
        self._waiting |= asked
        self._count += len(asked)
        if self._gatherer is None:
            self._gatherer = asyncio.create_task(self._gather())

    async def _gather(self) -> None:
        """Sends what is asked, once every query waits for an answer."""
        try:
            while self._waiting:
                await self._until_quiet()
                await self._send_waiting()
        finally:
            self._gatherer = None

    async def _until_quiet(self) -> None:
        count = -1
        while count != self._count:
            count = self._count
            await asyncio.sleep(_QUIET)
            await _let_others_run()

    async def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for endpoint in {one.endpoint: None for one in waiting.values()}:
            lines = ((name, one.line) for name, one in waiting.items() if one.endpoint == endpoint)
            for part in split(lines, self._most):
                while self._one_at_a_time and self._running:
                    await asyncio.wait([one.task for one in self._running if one.task])
                asked = {name: waiting[name] for name in part}
                if len(part) > self._most:  # a batch of fewer was too large meanwhile
                    self._waiting |= asked
                else:
                    self._start(_Batch(endpoint, asked))

    def _start(self, batch: _Batch) -> None:
        self._running.add(batch)
        batch.task = asyncio.create_task(self._run(batch))

    async def _run(self, batch: _Batch) -> None:
        try:
            await self._send_and_read(batch)
        except Exception as error:  # whatever it is, those who wait for the batch raise it
            for asked in batch.asked.values():
                _hand_over(asked, error)
        finally:
            self._running.discard(batch)
            self._forget(batch)

    async def _send_and_read(self, batch: _Batch) -> None:
        """Sends a batch, unless it was sent, waits until it has ended, and hands over results."""
        may_exist = batch.record is not None
        record = batch.record or await self._upload(batch)
        if record.batch is None:
            try:
                created = await self._calls.create(
                    record.file, record.endpoint, may_exist=may_exist
                )
            except RefusedError as refused:
                self._records.remove(record)
                if not may_exist:
                    raise self._calls.refusal(refused) from None
                self._ask_again(batch)  # what was uploaded is gone
                return
            record = batch.record = self._records.created(record, created.id)
            log.info("%s: %d requests are sent", created.id, len(record.requests))
        status = await until_ended(self._calls, record, self._pause)
        if status is None:
            log.warning("%s: the server knows it no more; it is asked again", record.batch)
        elif status.status != "failed":
            await self._read(batch, record, status)
            return
        elif status.found_queue_full and len(record.requests) > 1:
            self._one_at_a_time, self._most = True, len(record.requests) // 2
            log.info("%s: %s; smaller batches, one at a time", record.batch, status.reasons)
        else:
            self._records.remove(record)
            raise ModelError(f"the batch {record.batch} failed: {status.reasons}")
        self._records.remove(record)
        self._ask_again(batch)

    async def _upload(self, batch: _Batch) -> BatchRecord:
        file = await self._calls.upload(b"".join(one.line for one in batch.asked.values()))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = batch.record = BatchRecord(
            self._model, self._calls.address, batch.endpoint, file, tuple(batch.asked), now
        )
        self._records.put(record)
        return record

    async def _read(self, batch: _Batch, record: BatchRecord, status: BatchStatus) -> None:
        """Hands over the results of a batch that has ended: the replies first, to be journalled."""
        others: dict[str, Result] = {}
        number = 0
        async for name, result in results_of(self._calls, status):
            if result.status == 200:
                self._deliver(batch, name, result)
            else:
                others[name] = result
            number += 1
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
        batch.is_read = True
        await _let_others_run()
        self._end(batch)
        if status.status == "cancelled":
            raise ModelError(
                f"the batch {record.batch} was cancelled at the server; its answers are kept, and "
                "the same command, started again, asks for the rest"
            )
        for name in batch.asked.keys() | others.keys():
            self._deliver(batch, name, others.get(name, Result()))

    def _deliver(self, batch: _Batch, name: str, result: Result) -> None:
        if asked := batch.asked.pop(name, None):
            self._untaken.add(name)
            _hand_over(asked, result)
        elif self._earlier.get(name) is batch:
            del self._earlier[name]
            self._ready[name] = result

    def _end(self, batch: _Batch) -> bool:
        """Removes the record of a batch whose replies were all taken, and so are in the journal."""
        assert batch.record is not None, "sent"
        if not batch.is_read or not self._untaken.isdisjoint(batch.record.requests):
            return False
        self._records.remove(batch.record)
        return True

    def _ask_again(self, batch: _Batch) -> None:
        """Puts the requests of a batch that brought nothing into the next one."""
        asked, batch.asked = batch.asked, {}
        self._wait(asked)

    def _forget(self, batch: _Batch) -> None:
        self._earlier = {name: one for name, one in self._earlier.items() if one is not batch}


def _hand_over(asked: _Asked, result: Result | Exception) -> None:
    if not asked.result.done():  # it was cancelled
        asked.result.set_result(result)


async def _let_others_run() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
