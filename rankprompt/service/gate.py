"""What every request passes: key, queue, size, time, a client that goes away, and the log."""

import asyncio
import hmac
import math
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import deque
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankprompt.api.results import Usage
from rankprompt.service.errors import RequestError, error_response
from rankprompt.service.record import RequestRecord
from rankprompt.service.schemas import MAX_DOCUMENTS
from rankprompt.service.settings import ServiceSettings

__all__ = ["Gate", "Queue"]

_GONE = 499  # of a client that went away; it sees no status
_OPEN = frozenset({"/", "/health", "/ready", "/openapi.json"})
_OPEN_FOLDER = "/page/"
_RECENT = 64  # latencies, for the estimate of a wait


class Queue:
    """Counts the requests that wait or are answered, up to a bound.

    Args:
        bound: the most at a time.
    """

    def __init__(self, bound: int) -> None:
        self.length, self._bound = 0, bound
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def enter(self) -> None:
        """Takes a place.

        Raises:
            RequestError: there is none.
        """
        self.check()
        self.length += 1

    def check(self) -> None:
        """Checks that there is a place.

        Raises:
            RequestError: there is none.
        """
        if self.length >= self._bound:
            mean = sum(self._recent) / len(self._recent) if self._recent else 1.0
            raise RequestError(
                429,
                f"{self.length:,} requests wait, as many as this server takes; try again later",
                {"Retry-After": str(min(60, max(1, math.ceil(mean))))},
            )

    def leave(self, seconds: float) -> None:
        """Gives the place back, after a time in seconds."""
        self.length -= 1
        self._recent.append(seconds)


class Gate:
    """What every request passes on its way to the endpoints: an ASGI middleware.

    Args:
        app: the endpoints.
        settings: the limits and keys.
        queue: counts the requests.
        queued: the paths whose requests take a place in the queue.
        known: the paths that have a name in metrics.
        finished: is called with the record of each request when it is answered.
        late: is called with what one has cost where that is known only later.
        failed: is called with an error that no handler took.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        queue: Queue,
        queued: frozenset[str],
        known: frozenset[str],
        finished: Callable[[RequestRecord], None],
        late: Callable[[RequestRecord, Usage], None],
        failed: Callable[[RequestRecord, Exception], None],
    ) -> None:
        self._app, self._settings, self._queue = app, settings, queue
        self._queued, self._known = queued, known
        self._finished, self._late, self._failed = finished, late, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        record = RequestRecord(path if path in self._known else "other", late=self._late)
        scope["state"] = {**scope.get("state", {}), "record": record}
        MAX_DOCUMENTS.set(self._settings.max_documents)
        connection = _Connection(receive, send, record, self._settings.max_body)
        try:
            await self._pass(scope, connection, record)
        finally:
            record.finish()
            self._finished(record)

    async def _pass(self, scope: Scope, connection: "_Connection", record: RequestRecord) -> None:
        path, entered = scope["path"], False
        try:
            self._check_key(path, scope)
            _check_headers(_headers(scope), self._settings)
            if path in self._queued and scope["method"] == "POST":
                self._queue.check()
                await self._upload(connection)
                if connection.gone:
                    record.status = _GONE
                    return
                self._queue.enter()  # now, since a slow upload would keep others out
                entered = True
            await self._answer(scope, connection, record)
        except RequestError as error:
            await connection.refuse(scope, error)
        except Exception as error:  # whatever it is, neither a traceback nor a text may be shown
            self._failed(record, error)
            await connection.refuse(scope, RequestError(500, "the server failed; its log says how"))
        finally:
            if entered:
                self._queue.leave(record.seconds)

    async def _upload(self, connection: "_Connection") -> None:
        try:
            await asyncio.wait_for(connection.read_body(), self._settings.timeout)
        except TimeoutError:
            raise self._too_late() from None

    def _too_late(self) -> RequestError:
        return RequestError(
            504, f"no answer within the {self._settings.timeout:g} s of this server"
        )

    async def _answer(self, scope: Scope, connection: "_Connection", record: RequestRecord) -> None:
        work = asyncio.ensure_future(self._app(scope, connection.receive, connection.send))
        gone = asyncio.ensure_future(connection.wait_until_gone())
        try:
            await asyncio.wait(
                {work, gone},
                timeout=max(0, self._settings.timeout - record.seconds)
                if record.endpoint in self._queued
                else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if work.done():
                work.result()
            elif gone.done():
                record.status = _GONE
            else:
                raise self._too_late()
        finally:
            unfinished = [task for task in (work, gone) if not task.done()]
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
            if connection.gone:
                record.status = _GONE

    def _check_key(self, path: str, scope: Scope) -> None:
        keys = self._settings.keys
        if not keys or path in _OPEN or path.startswith(_OPEN_FOLDER):
            return
        given = _headers(scope).get(b"authorization", b"")
        scheme, _, key = given.partition(b" ")
        # Each key is compared, so that the time tells nothing of which one is near.
        same = [hmac.compare_digest(key.strip(), known.encode()) for known in keys]
        if scheme.lower() != b"bearer" or not any(same):
            raise RequestError(
                401,
                "this server needs a key; send the header Authorization: Bearer KEY",
                {"WWW-Authenticate": "Bearer"},
            )


class _Connection:
    """A request's body, up to a size, and its answer; notices a client that goes away."""

    def __init__(self, receive: Receive, send: Send, record: RequestRecord, most: int) -> None:
        self._receive, self._send, self._record, self._most = receive, send, record, most
        self._read, self._first = 0, b""
        self._parts: deque[Message] = deque()
        self._complete = asyncio.Event()
        self._started = False
        self.gone = False

    async def read_body(self) -> None:
        """Reads the body, which ``receive`` then gives.

        Raises:
            RequestError: it is too large, or no text in UTF-8.
        """
        messages: deque[Message] = deque()
        while not self._complete.is_set() and not self.gone:
            messages.append(await self.receive())
        self._parts = messages

    async def receive(self) -> Message:
        """The next part of the body."""
        if self._parts:
            return self._parts.popleft()
        if self._complete.is_set():
            await asyncio.Event().wait()  # what follows is for wait_until_gone
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = True
        else:
            part = message.get("body", b"")
            self._first = (self._first + part[:4])[:4]
            self._read += len(part)
            if self._read > self._most:
                raise RequestError(413, _too_large(self._most))
            if b"\0" in self._first or self._first[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
                raise RequestError(400, "the body is not JSON in UTF-8")
            if not message.get("more_body"):
                self._complete.set()
        return message

    async def wait_until_gone(self) -> None:
        """Returns when the client has gone away."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = not self._started

    async def send(self, message: Message) -> None:
        """Sends a part of the answer."""
        if message["type"] == "http.response.start":
            self._started = True
            self._record.status = message["status"]
            message.setdefault("headers", []).append((b"x-request-id", self._record.id.encode()))
        await self._send(message)

    async def refuse(self, scope: Scope, error: RequestError) -> None:
        """Answers with an error, unless an answer has begun or nobody is there."""
        if not self._started and not self.gone:
            headers = dict(error.headers)
            if not self._complete.is_set():
                headers["Connection"] = "close"  # the rest of the body is not read
            response = error_response(scope["path"], error.status, error.message, headers)
            await response(scope, self.receive, self.send)


def _check_headers(headers: Mapping[bytes, bytes], settings: ServiceSettings) -> None:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = re.sub(r":\d*$", "", host).strip("[]")
    if settings.hosts and host and name not in settings.hosts:
        # A page of another site, whose name was made that of this machine, could ask otherwise.
        raise RequestError(400, "the header Host names another server")
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared[:20]) > settings.max_body:
        raise RequestError(413, _too_large(settings.max_body))
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        raise RequestError(415, "the body must not be compressed: leave out Content-Encoding")


def _too_large(most: int) -> str:
    return f"the body has more than the {most:,} bytes that this server takes"


def _headers(scope: Scope) -> Mapping[bytes, bytes]:
    return dict(scope["headers"])
