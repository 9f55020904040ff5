"""Calls over HTTP by aiohttp: connections that are used again, and a bound for time and size."""

import io
from collections.abc import Mapping
from typing import IO, NamedTuple

import aiohttp

from rankprompt.llm.openai.call_errors import UnreachableError, UnusableError
from rankprompt.llm.openai.environment import certificates

__all__ = ["HttpReply", "Transport"]

# Seconds until there must be a connection.
_CONNECT = 10.0
# Seconds that a connection waits for its next call: servers such as uvicorn end one after 5, and a
# call that was just sent would be lost.
_IDLE = 4.0
# Bytes that are read of a reply, and of an error; of a header.
_MAX_REPLY, _MAX_ERROR, _MAX_HEADER = 64 << 20, 1 << 20, 64 << 10
_MAX_FILE = 4 << 30
# Seconds without a byte, after which a large transfer has failed: a server may check a file first.
_STILL = 300.0
# Bytes of a body from which on aiohttp wants a file, which it sends in parts.
_LARGE = 1 << 20


class HttpReply(NamedTuple):
    """A server's reply, whatever its status.

    Attributes:
        status: of HTTP.
        reason: the status in words, as the server says it.
        headers: by their names in any case.
        content: the body, at most 64 MiB of it, or 1 MiB of an error.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status < 300


class Transport:
    """Sends calls, as many at a time as are asked for, over connections that are used again.

    No redirect is followed and no cookie is kept. Connections belong to the event loop of the
    first call; after ``close`` another loop may begin anew.

    Args:
        timeout: seconds that a call may take in all.
    """

    def __init__(self, timeout: float) -> None:
        self._seconds = timeout
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, _CONNECT))
        self._patient = aiohttp.ClientTimeout(
            total=None, sock_connect=min(timeout, _CONNECT), sock_read=max(timeout, _STILL)
        )
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        proxy: str | None,
        *,
        into: IO[bytes] | None = None,
    ) -> HttpReply:
        """Makes a call, and reads its reply.

        Args:
            method: GET or POST.
            url: the whole address.
            body: what is sent.
            headers: sent with it.
            proxy: the URL of the proxy that is asked; None for the server itself.
            into: receives the reply's content unless it is an error, up to 4 GiB of it: a large
                body or reply may then take long, but must not stand still.

        Raises:
            UnreachableError: the server cannot be reached.
            UnusableError: the connection broke, the time was over, or the reply is too long. No
                message holds a text of the server's.
        """
        try:
            response = await self._open().request(
                method,
                url,
                data=body if len(body) <= _LARGE else io.BytesIO(body),
                headers=headers,
                proxy=proxy,
                allow_redirects=False,
                timeout=self._patient if into else self._timeout,
            )
            limit = _MAX_ERROR
            if response.ok:
                limit = _MAX_FILE if into else _MAX_REPLY
            content = await _read(response, limit, into if response.ok else None)
        except aiohttp.ConnectionTimeoutError:
            raise UnreachableError("cannot be reached: no answer") from None
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(f"cannot be reached: {_reason(error)}") from None
        except aiohttp.ClientHttpProxyError as error:
            raise UnreachableError(f"cannot be reached: its proxy answers {error.status}") from None
        except TimeoutError:
            raise UnusableError(f"no answer within {self._seconds:g} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnusableError(f"the connection broke ({type(error).__name__})") from None
        size = into.tell() if into and response.ok else len(content)
        if size > limit and response.ok:
            raise UnusableError(f"a reply of more than {limit >> 20} MiB", doubtful=True)
        return HttpReply(response.status, response.reason or "", response.headers, content)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # How many calls run concurrently is decided elsewhere.
                connector=aiohttp.TCPConnector(
                    limit=0, ssl=certificates(), keepalive_timeout=_IDLE
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                max_line_size=_MAX_HEADER,
                max_field_size=_MAX_HEADER,
            )
        return self._session


async def _read(
    response: aiohttp.ClientResponse, limit: int, into: IO[bytes] | None = None
) -> bytes:
    """Reads a body, or writes it into a file, and stops soon after ``limit`` bytes."""
    content, size = bytearray(), 0
    try:
        while part := await response.content.readany():
            size += len(part)
            if into:
                into.write(part)
            else:
                content += part
            if size > limit:
                response.close()
                break
    except BaseException:
        response.close()
        raise
    return bytes(content)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause: Exception = error.certificate_error
    else:
        cause = error.os_error
    return " ".join(str(cause).split())[:200] or type(cause).__name__
