"""A small HTTP server in a thread, which counts its calls and misbehaves when it is told to."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple, Self

from rankprompt.rankers.seeded_random import uniform

__all__ = ["FAULTS", "ProtocolServer", "Reply", "reply"]

Body = dict[str, Any]


class Reply(NamedTuple):
    """What goes back to a client."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


def reply(content: Any, status: int = 200, **headers: str) -> Reply:
    """A reply whose body is JSON; underscores in the headers' names stand for hyphens."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(content).encode(), names)


def _no_logprobs(good: Body) -> Body:
    return {
        **good,
        "choices": [
            {name: value for name, value in choice.items() if name != "logprobs"}
            for choice in good["choices"]
        ],
    }


def _said(text: str) -> Body:
    return {"error": {"message": text, "code": text}}


FAULTS: dict[str, Callable[[Body], Reply]] = {
    "429": lambda _: reply(_said("slow down"), 429, retry_after="0"),
    "429 with a date": lambda _: reply(_said("slow"), 429, retry_after=formatdate(0, usegmt=True)),
    "500": lambda _: Reply(500, b"<html>Oops</html>"),
    "503": lambda _: reply({"detail": "loading"}, 503),
    "silence": lambda good: reply(good),
    "dropped": lambda good: reply(good),
    "broken": lambda good: Reply(200, json.dumps(good).encode()[:-20]),
    "empty": lambda good: reply({**good, "choices": []}),
    "error": lambda _: reply(_said("overloaded")),
    "no logprobs": lambda good: reply(_no_logprobs(good)),
}
"""What may be made of a good reply; "silence" sends nothing, "dropped" half of it."""


class ProtocolServer:
    """Serves on the loopback until it is stopped.

    Args:
        respond: gives the reply to a path and a body; it runs on the server's thread.
        slots: calls worked at in one moment; others wait.
        latency: seconds that a call takes, of itself or by its body; or what it waits for.
        faults: of which kinds, in place of good replies.
        rate: how many of the calls; which, is a matter of seed, body, and how often it has come.
        seed: of the faults.
        port: to listen at; 0 for any.
        models: the list of models, which no other count includes; None for a server without one.
        tokenizes: whether ``respond`` serves ``/tokenize``; a server without it says 404, which no
            count includes.
        pages: what GET brings at other paths, such as ``/version``; no count includes these.
    """

    def __init__(
        self,
        respond: Callable[[str, Body], Body | Reply],
        *,
        slots: int = 1000,
        latency: float | Callable[[Body], float | Awaitable[None]] = 0.0,
        faults: tuple[str, ...] = tuple(FAULTS),
        rate: float = 0.0,
        seed: int = 0,
        port: int = 0,
        models: Body | None = None,
        tokenizes: bool = False,
        pages: Mapping[str, Body] | None = None,
    ) -> None:
        self._tokenizes = tokenizes
        self._pages = dict(pages or {})
        self.port, self._models = port, models
        self.calls = self.now = self.most = 0
        self.came: Counter[bytes] = Counter()
        self.failed: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self._respond, self._slots, self._latency = respond, slots, latency
        self._faults, self.rate, self._seed = faults, rate, seed
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def repeated(self) -> int:
        """Calls beyond the first with the same body."""
        return self.calls - len(self.came)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listens, at the same port as before."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Drops all connections, and listens no more; may be called again."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._room = asyncio.Semaphore(self._slots)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _drop(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # it was stopped, or the client went away
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if head[0].startswith("GET "):
            path = head[0].split()[1]
            known = self._models if path == "/v1/models" else self._pages.get(path)
            listed = reply(known) if known else reply({"detail": "Not Found"}, 404)
            writer.write(_bytes(listed))
            await writer.drain()
            return True
        if head[0].startswith("POST /tokenize") and not self._tokenizes:
            writer.write(_bytes(reply({"detail": "Not Found"}, 404)))
            await writer.drain()
            return True
        self.headers.append(headers)
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            fault, answer = await self._answer(head[0].split()[1], body)
            if fault == "silence":
                await reader.read(1)  # until the client has had enough
                return False
        finally:
            self.now -= 1
        writer.write(_bytes(answer)[: -len(answer.body) // 2 if fault == "dropped" else None])
        await writer.drain()
        return fault != "dropped"

    async def _answer(self, path: str, body: bytes) -> tuple[str | None, Reply]:
        self.came[body] += 1
        draw = (self._seed, body.decode(), str(self.came[body]))
        content = json.loads(body)
        latency = self._latency(content) if callable(self._latency) else self._latency
        async with self._room:
            await (asyncio.sleep(latency) if isinstance(latency, float) else latency)
        good = self._respond(path, content)
        if isinstance(good, Reply):
            return None, good
        if uniform(draw[0], "fault", *draw[1:]) >= self.rate:
            return None, reply(good)
        fault = self._faults[int(uniform(draw[0], "kind", *draw[1:]) * len(self._faults))]
        self.failed[fault] += 1
        return fault, FAULTS[fault](good)


def _bytes(answer: Reply) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} Status",
        "content-type: application/json",
        f"content-length: {len(answer.body)}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body
