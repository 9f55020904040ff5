"""The calls of the batch API: upload requests, create a batch, ask how far it is, get its results.

OpenAI describes them at https://platform.openai.com/docs/api-reference/batch.
"""

import asyncio
import json
import logging
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import IO, Annotated, Literal, TypeVar

from pydantic import BaseModel, StringConstraints

from rankprompt.errors import ModelError
from rankprompt.llm.openai.batches.records import ServerId
from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.call_errors import FilteredError, RefusedError, UnusableError
from rankprompt.llm.openai.endpoint import Endpoint
from rankprompt.llm.openai.schema import checked, one_line

__all__ = ["BatchCalls", "BatchStatus"]

log = logging.getLogger("rankprompt.batches")

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

# Seconds without any answer, after which a run ends; its batches go on at the server.
_PATIENCE = 3600.0
_JSON = "application/json"
_MOST_REASONS = 3
_FileId = ServerId | Literal[""] | None


class _File(BaseModel):
    id: ServerId


class BatchStatus(BaseModel):
    """A batch as its server describes it; compatible servers write counts and errors in their way.

    Attributes:
        id: of the batch.
        status: one of OpenAI's, in small letters.
        input_file_id: the requests.
        output_file_id: their results; "" or None where there are none, as below.
        error_file_id: the results of requests that failed.
        request_counts: of the requests that were answered, by what became of them.
        errors: why the batch failed.
    """

    id: ServerId
    status: Annotated[str, StringConstraints(to_lower=True)]
    input_file_id: str | None = None
    output_file_id: _FileId = None
    error_file_id: _FileId = None
    request_counts: object = None
    errors: object = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("completed", "failed", "expired", "cancelled")

    @property
    def found_queue_full(self) -> bool:
        """Whether it failed because more tokens would have waited than the account may queue."""
        return self.status == "failed" and any(
            one.get("code") == "token_limit_exceeded" for one in self._errors
        )

    @property
    def reasons(self) -> str:
        """Why it failed, as one line."""
        told = [
            (f"line {one['line']}: " if one.get("line") else "")
            + str(one.get("message") or one.get("code") or "")
            for one in self._errors[:_MOST_REASONS]
        ]
        other = self.errors if isinstance(self.errors, str) else ""
        return one_line("; ".join(filter(None, told)) or other) or "no reason is given"

    @property
    def answered(self) -> int:
        """The number of requests that have a result, as far as the server says."""
        counts = self.request_counts if isinstance(self.request_counts, dict) else {}
        numbers = (counts.get(name) for name in ("completed", "failed"))
        return sum(one for one in numbers if isinstance(one, int))

    @property
    def _errors(self) -> list[dict[str, object]]:
        data = self.errors.get("data") if isinstance(self.errors, dict) else None
        return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


class _List(BaseModel):
    data: list[dict[str, object]]


class BatchCalls:
    """Makes the calls, and repeats those that failed in passing.

    A batch is created at most once for a file, even if the reply was lost: before the call is
    repeated, the server's list is searched for the batch with that file.

    Args:
        server: the server.
        pause: returns the seconds to wait before a retry, given how many came before it.
    """

    def __init__(self, server: Endpoint, pause: Callable[[int], float]) -> None:
        self._server, self._pause = server, pause

    @property
    def address(self) -> str:
        """The server's base URL."""
        return self._server.base_url

    async def upload(self, content: bytes) -> str:
        """Uploads the lines of requests.

        Returns:
            The id of the file.

        Raises:
            ModelError: the server refuses it, or has not answered for an hour.
        """
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{boundary}\r\ncontent-disposition: form-data; name="file"; '
            'filename="requests.jsonl"\r\ncontent-type: application/jsonl\r\n\r\n'
        )
        body = b"".join((head.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
        kind = f"multipart/form-data; boundary={boundary}"

        async def upload() -> _File:
            return await self._call(_File, "POST", "/files", body, content_type=kind)

        try:
            return (await self._until_answered(upload)).id
        except RefusedError as refused:
            raise self.refusal(refused) from None

    async def create(self, file: str, endpoint: str, *, may_exist: bool) -> BatchStatus:
        """Creates the batch of an uploaded file.

        Args:
            file: the id of the file.
            endpoint: of its requests, such as ``/v1/chat/completions``.
            may_exist: whether the call may have been made before: the batch is looked for first.

        Raises:
            ModelError: as ``upload``.
            RefusedError: the server does not create it.
        """
        fields = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
        content = json.dumps(fields).encode()

        async def create() -> BatchStatus:
            nonlocal may_exist
            if may_exist and (found := await self._find(file)):
                return found
            may_exist = True
            return await self._call(BatchStatus, "POST", "/batches", content)

        return await self._until_answered(create)

    async def status(self, batch: str) -> BatchStatus | None:
        """How far a batch is; None where the server has no such batch.

        Raises:
            ModelError: as ``upload``.
        """

        async def get() -> BatchStatus:
            return await self._call(BatchStatus, "GET", f"/batches/{batch}")

        return await self._unless_gone(get)

    async def download(self, file: str) -> IO[bytes] | None:
        """Copies a file of results to the disk; None where the server has no such file.

        Returns:
            An unnamed file, at its start, which the caller closes.

        Raises:
            ModelError: as ``upload``.
        """
        path = f"/files/{file}/content"
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it

        async def get() -> IO[bytes]:
            copy.seek(0)
            copy.truncate()
            await self._server.transfer("GET", path, b"", _JSON, copy)
            copy.seek(0)
            return copy

        try:
            found = await self._unless_gone(get)
        except BaseException:
            copy.close()
            raise
        if found is None:
            copy.close()
        return found

    async def _find(self, file: str) -> BatchStatus | None:
        """The batch of an uploaded file, if it is among the newest that the server lists."""
        try:
            listed = await self._call(_List, "GET", "/batches")
        except RefusedError:
            return None  # it lists none
        for one in listed.data:
            if one.get("input_file_id") == file:
                return checked(BatchStatus, one)
        return None

    async def _call(
        self, schema: type[M], method: str, path: str, body: bytes = b"", content_type: str = _JSON
    ) -> M:
        reply = BytesIO()
        await self._server.transfer(method, path, body, content_type, reply)
        try:
            return checked(schema, parse_json(reply.getvalue()))
        except ValueError:
            raise UnusableError("a reply that is not JSON") from None

    async def _unless_gone(self, call: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await self._until_answered(call)
        except RefusedError as refused:
            if refused.status in (404, 410):
                return None
            raise self.refusal(refused) from None

    async def _until_answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call that failed in passing.

        Raises:
            RefusedError: the server refuses it.
            ModelError: the server has not answered for an hour.
        """
        began, tries = time.monotonic(), 0
        while True:
            try:
                return await call()
            except FilteredError as filtered:  # no prompt is in these calls: a refusal as others
                raise RefusedError(403, str(filtered)) from None
            except UnusableError as problem:
                if time.monotonic() - began > _PATIENCE:
                    raise ModelError(
                        f"{self._server.base_url}: {problem}; that has gone on for an hour: start "
                        "the same command again later, its batches go on at the server"
                    ) from None
                if not tries:
                    log.warning("%s: %s; trying again", self._server.base_url, problem)
                await asyncio.sleep(self._pause(tries))
                tries += 1

    def refusal(self, refused: RefusedError) -> ModelError:
        """What the refusal of a call means, and what to do."""
        server, status = self._server, refused.status
        if status == 401:
            source = server.key_source or " or ".join(server.address.keys)
            reason = f"the key is refused (401); see {source}"
        elif status in (404, 405, 501):
            reason = (
                f"no batch API at this server ({status}: {refused.message}); leave out `batch_api`"
            )
        else:
            reason = f"the batch API refuses a call ({status}: {refused.message})"
        return ModelError(f"{server.base_url}: {reason}")
