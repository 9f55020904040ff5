"""One server of a client: its address and key, its pace, and what its replies mean."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import IO

from rankprompt.llm.openai.address import Address, call_headers, read_key
from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.call_errors import (
    BusyError,
    FilteredError,
    JsonObject,
    RefusedError,
    UnreachableError,
    UnusableError,
)
from rankprompt.llm.openai.environment import proxy_for
from rankprompt.llm.openai.pacing import Pace, exhausted_wait, requested_wait
from rankprompt.llm.openai.refusals import error_message, is_filter, raise_for
from rankprompt.llm.openai.transport import HttpReply, Transport

__all__ = ["DOUBTFUL_RETRIES", "Endpoint"]

DOUBTFUL_RETRIES = 2
"""How often a doubtful call is retried: an address that never answered is probably mistyped."""

_TRANSIENT = {408, 409, 425}
# Some servers answer 500 to requests that they will never accept.
_PERMANENT = re.compile(r"not support|unsupported|only .{0,20}support|not implemented", re.I)
# A pause helps against neither.
_SPENT = re.compile(r"insufficient_quota|billing_(hard_limit|not_active)|request too large", re.I)
# Seconds of a pause that a server asks for where it fails.
_MAX_REST = 120.0
# Failures in a row after which a server is left out where there are others: one whose calls fail at
# once would otherwise get most.
_MOST_FAILURES = 3


class Endpoint:
    """A server: calls to it know its address, its key and its pace.

    The key comes from the environment. It and the headers are sent to this address only: redirects
    are not followed.

    Args:
        address: its query is sent with each call.
        transport: makes the calls.
        headers: to send with each call; their values are secrets.
        pause: returns the seconds to wait before a retry, given how many came before it.
        patience: the seconds without a success for which a busy server is asked.
        left_out: the seconds for which it gets no calls once it fails, where there are others.
        list_name: where a reply is a list, it is read as an object with the list by this name;
            None where no list is a reply.

    Attributes:
        address: as given.
        base_url: in its normal form, without its query.
        key_source: the environment variable that the key came from; None without a key.
        pace: how fast it may be asked.
        in_flight: the calls that wait for it or are under way.
        calls: how many were made.
        checked: whether it was found to have the model that is meant, since it last failed.

    Raises:
        ModelError: the key or the environment's proxy cannot be used.
    """

    def __init__(
        self,
        address: Address,
        transport: Transport,
        *,
        headers: Mapping[str, str] | None,
        pause: Callable[[int], float],
        patience: float,
        left_out: float,
        list_name: str | None,
    ) -> None:
        self.address, self.base_url = address, address.base
        self.key_source, key = read_key(self.address.keys)
        self.pace = Pace(pause, patience=patience)
        self.in_flight = self.calls = 0
        self.checked = False
        self._transport, self._pause, self._list_name = transport, pause, list_name
        self._left_out = left_out
        self._headers = call_headers(self.address, key, headers)
        self._proxy = proxy_for(self.base_url)
        # A header may hold a scheme before the key, as in "Bearer KEY".
        values = {
            part for value in (headers or {}).values() for part in (value, *value.split()[1:])
        }
        long_enough = sorted((one for one in values if len(one) >= 4), key=len, reverse=True)
        self._secrets = [*([key] if key else []), *long_enough]
        self._reached = False
        # Since the last reply; and when a server that is left out is tried again, 0 for one in use.
        self._failures, self._unreachable, self._back = 0, False, 0.0

    @property
    def is_ready(self) -> bool:
        """Whether calls may go to it; one that was left out gets one, which shows if it is back."""
        return not self._back or (self.in_flight == 0 and time.monotonic() >= self._back)

    @property
    def fails(self) -> bool:
        """Whether the last calls have shown that it had better be left out for a while."""
        return self._unreachable or self._failures >= _MOST_FAILURES

    def leave_out(self) -> bool:
        """Gives no call to it for a while; returns whether it had any until now."""
        had = not self._back
        self._back, self.checked = time.monotonic() + self._left_out, False
        return had

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Waits until a call may begin, as ``Pace.turn``, and counts it from before the wait."""
        self.in_flight += 1
        self.calls += 1
        try:
            async with self.pace.turn() as began:
                yield began
        finally:
            self.in_flight -= 1

    async def get(self, path: str) -> JsonObject:
        """Gets a path below the base URL, with a few retries.

        Raises:
            RefusedError, FilteredError, UnusableError: there is no reply that can be used.
        """
        for retries in range(DOUBTFUL_RETRIES):
            try:
                return await self.send("GET", path, b"")
            except UnusableError as problem:
                if problem.doubtful:
                    raise
                await asyncio.sleep(self._pause(retries))
        return await self.send("GET", path, b"")

    async def send(self, method: str, path: str, body: bytes) -> JsonObject:
        """Makes one call, and reads its reply as JSON.

        Raises:
            RefusedError, FilteredError, BusyError, UnusableError: there is no reply that can be
                used.
        """
        try:
            reply = await self._send(method, path, body)
        except UnusableError as problem:
            self._unreachable = isinstance(problem, UnreachableError)
            self._failures += not isinstance(problem, BusyError)
            raise
        self._unreachable, self._failures, self._back = False, 0, 0.0
        return reply

    async def transfer(
        self, method: str, path: str, body: bytes, content_type: str, into: IO[bytes]
    ) -> None:
        """Makes one call whose body or reply may be large, as ``send``.

        Args:
            method: GET or POST.
            path: below the base URL.
            body: what is sent.
            content_type: of the body.
            into: receives the reply.

        Raises:
            RefusedError, FilteredError, BusyError, UnusableError: as ``send``.
        """
        headers = {**self._headers, "content-type": content_type}
        await self._call(method, path, body, headers, into)

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        into: IO[bytes] | None = None,
    ) -> HttpReply:
        try:
            reply = await self._transport.call(
                method,
                self.address.url(path),
                body,
                headers,
                self._proxy,
                into=into,
            )
        except UnreachableError as error:
            reason = self.one_line(str(error))
            raise UnreachableError(reason, doubtful=not self._reached) from None
        self._reached = True
        if not reply.is_success:
            self._raise_for_status(reply)
        return reply

    async def _send(self, method: str, path: str, body: bytes) -> JsonObject:
        reply = await self._call(method, path, body, self._headers)
        self.pace.rest(exhausted_wait(reply.headers))
        try:
            content = parse_json(reply.content)
        except ValueError:
            raise UnusableError("a reply that is not JSON") from None
        if isinstance(content, list) and self._list_name:
            content = {self._list_name: content}
        elif isinstance(content, list) and len(content) == 1:
            content = content[0]  # as Gemini sends its errors
        if not isinstance(content, dict):
            raise UnusableError("a reply that is not a JSON object")
        if problem := content.get("error"):
            raise_for(problem, content, self.one_line(error_message(content)))
        return content

    def _raise_for_status(self, reply: HttpReply) -> None:
        status, text = reply.status, reply.content.decode("utf-8", "replace")
        try:
            content = parse_json(reply.content)
            explanation = error_message(content)
        except (ValueError, RecursionError):
            content = explanation = text
        message = self.one_line(explanation) or reply.reason
        target = reply.headers.get("location", "")
        if 300 <= status < 400 and target:
            message = f"a redirect to {self.one_line(target)}: name that if it is right"
        if is_filter(status, content):
            raise FilteredError(f"{status}: {message}")
        wait = requested_wait(reply.headers, text)
        if (status == 429 and not _SPENT.search(text)) or (status == 503 and wait):
            raise BusyError(f"{status}: {message}", wait)
        failed = status >= 500 and status != 501 and not _PERMANENT.search(message)
        if not (failed or status in _TRANSIENT):
            raise RefusedError(status, message, self._hide(text[:10_000]), self.base_url)
        self.pace.rest(min(wait, _MAX_REST))
        raise UnusableError(f"{status}: {message}")

    def one_line(self, text: str) -> str:
        """Makes a server's text fit for a message: one short line, without secrets."""
        text = " ".join(self._hide(text[:10_000]).split())
        return text if len(text) <= 200 else f"{text[:200]}..."

    def without_key(self, text: str) -> str:
        """Removes secrets that are long enough to be some (some users set "none")."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]") if len(secret) >= 8 else text
        return text

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text
