"""A model behind a server that is asked through the batch API."""

import asyncio
import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.batches.calls import BatchCalls
from rankprompt.llm.openai.batches.queue import BatchQueue
from rankprompt.llm.openai.batches.records import BatchRecords
from rankprompt.llm.openai.batches.waiting import polling_pause
from rankprompt.llm.openai.call_errors import FilteredError, JsonObject, UnusableError
from rankprompt.llm.openai.model import TIMEOUT, OpenAIModel
from rankprompt.llm.openai.reading import Read
from rankprompt.llm.openai.refusals import check_replies
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.openai.tokens import TokenCounter

__all__ = ["BatchModel"]

# Batches in which a request is asked again whose reply cannot be used.
_RETRIES = 2


class BatchModel(OpenAIModel):
    """A model behind a server, whose requests wait for each other and are sent in batches.

    Answers, fingerprint and journal are those of ``OpenAIModel``. The first request of each kind is
    sent by itself, at once: what the server refuses, such as a key or a field, is known in seconds
    then, and the form of the other requests is one that it takes.

    Args:
        name: as in ``OpenAIModel``.
        base_url: as in ``OpenAIModel``.
        records: the file that keeps the batches that run.
        timeout: seconds that a request at once may take; a batch has none.
        retries: how often a request at once may be retried.
        counter: as in ``OpenAIModel``.
        settings: as in ``OpenAIModel``.
        pause: returns the seconds until a batch is asked for again, given how often it was.

    Raises:
        ModelError: the address or the key cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        records: Path,
        timeout: float = TIMEOUT,
        retries: int = 6,
        counter: TokenCounter | None = None,
        settings: ServerSettings | None = None,
        pause: Callable[[int], float] = polling_pause,
    ) -> None:
        super().__init__(
            name,
            base_url=base_url,
            timeout=timeout,
            retries=retries,
            counter=counter,
            settings=settings,
        )
        self._records, self._polling_pause = BatchRecords(records), pause
        self._queue: BatchQueue | None = None
        self._tried: set[object] = set()
        self._trying, self._tries = asyncio.Lock(), set[Request]()

    async def open(self) -> None:
        """As ``OpenAIModel.open``; and reads which batches an earlier run has sent.

        Raises:
            InputError: the file of the batches cannot be read.
        """
        await super().open()
        calls = BatchCalls(self._client.servers[0], self._polling_pause)
        self._queue = BatchQueue(calls, self._records, self.fingerprint, self._polling_pause)

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        """Answers one request once its batch has ended, which may take a day.

        Raises:
            ModelError: as ``OpenAIModel.answer``; its batch failed or was cancelled.
        """
        kind = (self._uses_chat(request), min(len(request.options), 2), bool(request.choices))
        if kind not in self._tried and not self._batches.holds(self._key(request)):
            async with self._trying:
                if kind not in self._tried:
                    return await self._try(request, kind)
        return await super().answer(request)

    def forget_unread(self) -> None:
        """Forgets what earlier runs have sent and no request has asked for, after a whole run."""
        self._batches.forget_unread()

    async def close(self) -> None:
        """Closes the connections; batches go on at the server."""
        if self._queue:
            await self._queue.close()
        await super().close()

    @property
    def _batches(self) -> BatchQueue:
        assert self._queue, "open() comes first"
        return self._queue

    async def _try(self, request: Request, kind: object) -> tuple[Answer, Usage]:
        """Answers a request at once; if the server takes it, the others of its kind follow."""
        self._tries.add(request)
        try:
            answer, usage = await super().answer(request)
        finally:
            self._tries.discard(request)
        if answer.problem != "refused":
            self._tried.add(kind)
        return answer, usage

    async def _post(
        self, request: Request, path: str, body: JsonObject, read: Read
    ) -> tuple[Answer, list[JsonObject], int]:
        if request in self._tries:
            return await super()._post(request, path, body, read)
        replies: list[JsonObject] = []
        retries = 0
        while True:
            result = await self._batches.ask(self._key(request), f"/v1{path}", body)
            try:
                replies.append(result.reply())
                check_replies(replies)
                return read(replies[-1]), replies, retries
            except FilteredError as filtered:
                filtered.replies, filtered.retries = replies, retries
                raise
            except UnusableError as problem:
                if retries == _RETRIES:
                    reason = self._client.without_key(str(problem))
                    raise ModelError(
                        f"{self._client.base_url}: {reason} (in {retries + 1} batches)"
                    ) from None
                retries += 1

    def _key(self, request: Request) -> str:
        """The name of a request in a batch: a digest of all that its answer depends on."""
        content = json.dumps([self.fingerprint, *request._replace(breaks=())])
        return blake2b(content.encode(), digest_size=16).hexdigest()
