"""A server that answers with given bytes, and calls to it by a transport."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rankprompt.llm.openai.environment import proxy_for
from rankprompt.llm.openai.transport import HttpReply, Transport

__all__ = ["GOOD", "call", "raw"]

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Raw:
    """Answers each connection's requests with given bytes; ``heads`` are the requests."""

    def __init__(self, answer: bytes, *, host: str, tls: ssl.SSLContext | None) -> None:
        self.answer, self.heads, self.connections = answer, list[str](), 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family)
        self.port, self._tls = self._socket.getsockname()[1], tls
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                buffer = b""
                while part := connection.recv(1 << 16):
                    buffer += part
                    head, end, rest = buffer.partition(b"\r\n\r\n")
                    if end and rest.endswith((b"!", b"\x00")):  # the end of a body
                        self.heads.append(head.decode())
                        buffer = b""
                        connection.sendall(self.answer)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


@contextmanager
def raw(
    answer: bytes = GOOD, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Raw]:
    server = Raw(answer, host=host, tls=tls)
    try:
        yield server
    finally:
        server.close()


def call(*urls: str, timeout: float = 5.0, body: bytes = b"!") -> list[HttpReply]:
    async def go() -> list[HttpReply]:
        transport = Transport(timeout)
        try:
            return [
                await transport.call("POST", url, body, {"x-own": "1"}, proxy_for(url))
                for url in urls
            ]
        finally:
            await transport.close()

    return asyncio.run(go())
