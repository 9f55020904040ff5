"""A server that answers every call at once, with the same reply, from a process of its own."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

__all__ = ["reply_of", "serving"]

_END = b"\r\n\r\n"


class _Instant(asyncio.Protocol):
    """Parses no more of a request than where it ends."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self._buffer = answer, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_END)) >= 0:
            head = self._buffer[:end].lower()
            _, _, after = head.partition(b"content-length:")
            whole = end + len(_END) + int(after.partition(b"\r")[0] or 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._transport.write(self._answer if head.startswith(b"post") else _NOT_FOUND)


def reply_of(content: object, status: str = "200 OK") -> bytes:
    """A whole reply, with its head, whose body is JSON."""
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


_NOT_FOUND = reply_of({"detail": "Not Found"}, "404 Not Found")


def _serve(pipe: Connection, answer: bytes, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})

    async def go() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Instant(answer), "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)

    asyncio.run(go())


@contextmanager
def serving(answer: bytes, core: int | None) -> Iterator[str]:
    """The base URL of a server while the context is open.

    Args:
        answer: what every POST receives, as ``reply_of`` makes it; other calls get a 404.
        core: where it runs; None for anywhere.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, answer, core))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        ours.send("stop")
        process.join(10)
        process.terminate()
