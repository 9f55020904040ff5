"""Posts JSON to a server and retries what failed in passing; no message ever contains a secret."""

import asyncio
import json
import logging
import random
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeVar

import httpx2 as httpx

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import KEYS, call_headers, parse_address, read_key
from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.call_errors import (
    BusyError,
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)
from rankprompt.llm.openai.pacing import Pace, exhausted_wait, requested_wait
from rankprompt.llm.openai.refusals import (
    check_replies,
    error_message,
    is_filter,
    raise_for,
)

__all__ = ["KEYS", "JsonObject", "RefusedError", "RetryingClient", "UnusableError", "full_jitter"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")

_TRANSIENT = {408, 409, 425}
# Some servers answer 500 to requests that they will never accept.
_PERMANENT = re.compile(r"not support|unsupported|only .{0,20}support|not implemented", re.I)
# A pause helps against neither.
_SPENT = re.compile(r"insufficient_quota|billing_(hard_limit|not_active)|request too large", re.I)
# How often a doubtful call is retried: an address that never answered is probably mistyped.
_DOUBTFUL_RETRIES = 2
# Seconds of a pause that a server asks for where it fails.
_MAX_REST = 120.0
# Bytes that are read of a reply, and of an error.
_MAX_REPLY, _MAX_ERROR = 64 << 20, 1 << 20


def full_jitter(retries: int) -> float:
    """Returns random seconds before the next retry, up to 0.5 s, 1 s, 2 s ... and at most 60 s."""
    return random.uniform(0, min(60.0, 0.5 * 2 ** min(retries, 10)))


@cache  # most of the time that a client takes to make
def _certificates() -> ssl.SSLContext:
    """Returns the certificates that servers are verified by, the same for all clients."""
    return httpx.create_ssl_context()


class RetryingClient:
    """A client for one server.

    The key comes from the environment. It and the headers are sent to ``base_url`` only: redirects
    are not followed. A server that is busy (429, or 503 with Retry-After) is asked more slowly,
    which is no retry (``Pace`` says how).

    Args:
        base_url: such as ``http://localhost:8080/v1``; its query is sent with each call.
        timeout: seconds that a call may take in all.
        retries: how often a call may be retried.
        headers: to send with each call; their values are secrets.
        pause: returns the seconds to wait before a retry, given how many came before it.
        patience: the seconds without a success for which a busy server is asked.
        check: raises what a reply of status 200 says of an error, as ``check_replies`` does.
        list_name: where a reply is a list, it is read as an object with the list by this name;
            None where no list is a reply.

    Attributes:
        base_url: in its normal form, without its query.
        key_source: the environment variable that the key came from; None without a key.

    Raises:
        ModelError: the address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float,
        retries: int,
        headers: Mapping[str, str] | None = None,
        pause: Callable[[int], float] = full_jitter,
        patience: float = 900.0,
        check: Callable[[Sequence[JsonObject]], None] = check_replies,
        list_name: str | None = None,
    ) -> None:
        self.address = parse_address(base_url)
        self.base_url = self.address.base
        self._timeout, self._retries, self._pause = timeout, retries, pause
        self._check, self._list_name = check, list_name
        self.key_source, key = read_key(self.address.keys)
        self._headers = call_headers(self.address, key, headers)
        # A header may hold a scheme before the key, as in "Bearer KEY".
        values = {
            part for value in (headers or {}).values() for part in (value, *value.split()[1:])
        }
        long_enough = sorted((one for one in values if len(one) >= 4), key=len, reverse=True)
        self._secrets = [*([key] if key else []), *long_enough]
        self._pace = Pace(pause, patience=patience)
        self._reached = False
        try:
            self._client = httpx.AsyncClient(
                # How many calls run concurrently is decided elsewhere.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
                timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
                follow_redirects=False,
                verify=_certificates(),
            )
        except (ImportError, ValueError) as error:  # a proxy that httpx cannot use
            raise ModelError(f"cannot reach {self.base_url}: {error}") from error

    async def post(
        self, path: str, body: Mapping[str, object], read: Callable[[JsonObject], T]
    ) -> tuple[T, list[JsonObject], int]:
        """Posts a body as JSON until there is a reply that can be read.

        Args:
            path: below the base URL.
            body: the request.
            read: extracts a reply's content; raises UnusableError if it has none.

        Returns:
            The content; all replies, since the unusable ones are paid for as well; the retries,
            those of a busy server included.

        Raises:
            RefusedError: the request is at fault.
            FilteredError: a content filter refused the prompt or the answer.
            ModelError: there was no usable reply after the last retry.
        """
        content = json.dumps(body).encode()
        replies: list[JsonObject] = []
        tries = busy = 0
        began = 0.0
        while True:
            try:
                async with self._pace.turn() as began:
                    reply = await self._send("POST", path, content)
                replies.append(reply)
                self._check(replies)
                result = read(reply)
                self._pace.succeed()
                return result, replies, tries + busy
            except FilteredError as filtered:
                filtered.replies, filtered.retries = replies, tries + busy
                raise
            except BusyError as problem:
                busy += 1
                log.debug("%s: %s; slower", self.base_url, problem)
                try:
                    self._pace.slow_down(problem, began)
                except ModelError as error:
                    raise ModelError(f"{self.base_url}: {error}") from None
            except UnusableError as problem:
                limit = min(_DOUBTFUL_RETRIES, self._retries) if problem.doubtful else self._retries
                if tries >= limit:
                    times = f"{tries + 1} times" if tries else "once"
                    reason = self.without_key(str(problem))
                    raise ModelError(f"{self.base_url}: {reason} (tried {times})") from None
                log.debug("%s: %s; retrying", self.base_url, problem)
                await asyncio.sleep(self._pause(tries))
                tries += 1

    async def get(self, path: str) -> JsonObject:
        """Gets a path below the base URL, with a few retries.

        Raises:
            RefusedError, FilteredError, UnusableError: there is no reply that can be used.
        """
        for retries in range(_DOUBTFUL_RETRIES):
            try:
                return await self._send("GET", path, b"")
            except UnusableError as problem:
                if problem.doubtful:
                    raise
                await asyncio.sleep(self._pause(retries))
        return await self._send("GET", path, b"")

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _send(self, method: str, path: str, body: bytes) -> JsonObject:
        try:
            # httpx limits the wait for each chunk only, so a slow trickle would never time out.
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    method, self.address.url(path), content=body, headers=self._headers
                ) as response,
            ):
                limit = _MAX_REPLY if response.is_success else _MAX_ERROR
                content = await _read(response, limit)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = self._one_line(str(error)) or "no answer"
            raise UnusableError(
                f"cannot be reached: {reason}", doubtful=not self._reached
            ) from None
        except (TimeoutError, httpx.TimeoutException):
            raise UnusableError(f"no answer within {self._timeout:g} seconds") from None
        except httpx.RequestError as error:
            raise UnusableError(f"the connection broke ({type(error).__name__})") from None
        self._reached = True
        if not response.is_success:
            self._raise_for_status(response, content)
        if len(content) > limit:
            raise UnusableError(f"a reply of more than {limit >> 20} MiB", doubtful=True)
        self._pace.rest(exhausted_wait(response.headers))
        try:
            reply = parse_json(content)
        except ValueError:
            raise UnusableError("a reply that is not JSON") from None
        if isinstance(reply, list) and self._list_name:
            reply = {self._list_name: reply}
        elif isinstance(reply, list) and len(reply) == 1:
            reply = reply[0]  # as Gemini sends its errors
        if not isinstance(reply, dict):
            raise UnusableError("a reply that is not a JSON object")
        if problem := reply.get("error"):
            raise_for(problem, reply, self._one_line(error_message(reply)))
        return reply

    def _raise_for_status(self, response: httpx.Response, content: bytes) -> None:
        status, text = response.status_code, content.decode("utf-8", "replace")
        try:
            reply = parse_json(content)
            explanation = error_message(reply)
        except (ValueError, RecursionError):
            reply = explanation = text
        message = self._one_line(explanation) or response.reason_phrase
        if response.is_redirect:
            target = self._one_line(response.headers.get("location", ""))
            message = f"a redirect to {target}: name that if it is right"
        if is_filter(status, reply):
            raise FilteredError(f"{status}: {message}")
        wait = requested_wait(response.headers, text)
        if (status == 429 and not _SPENT.search(text)) or (status == 503 and wait):
            raise BusyError(f"{status}: {message}", wait)
        failed = status >= 500 and status != 501 and not _PERMANENT.search(message)
        if not (failed or status in _TRANSIENT):
            raise RefusedError(status, message, self._hide(text[:10_000]))
        self._pace.rest(min(wait, _MAX_REST))
        raise UnusableError(f"{status}: {message}")

    def _one_line(self, text: str) -> str:
        """Makes a server's text fit for a message: one short line, without secrets."""
        text = " ".join(self._hide(text[:10_000]).split())
        return text if len(text) <= 200 else f"{text[:200]}..."

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def without_key(self, text: str) -> str:
        """Removes secrets that are long enough to be some (some users set "none")."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]") if len(secret) >= 8 else text
        return text


async def _read(response: httpx.Response, limit: int) -> bytes:
    """Reads a body, and stops soon after ``limit`` bytes."""
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > limit:
            break
    return bytes(content)
