"""Posts JSON to servers and retries what failed in passing; no message ever contains a secret."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import KEYS, parse_addresses
from rankprompt.llm.openai.call_errors import (
    BusyError,
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)
from rankprompt.llm.openai.endpoint import DOUBTFUL_RETRIES, Endpoint
from rankprompt.llm.openai.refusals import check_replies
from rankprompt.llm.openai.transport import Transport

__all__ = ["KEYS", "JsonObject", "RefusedError", "RetryingClient", "UnusableError", "full_jitter"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")


def full_jitter(retries: int) -> float:
    """Returns random seconds before the next retry, up to 0.5 s, 1 s, 2 s ... and at most 60 s."""
    return random.uniform(0, min(60.0, 0.5 * 2 ** min(retries, 10)))


class RetryingClient:
    """A client for one server, or for several that have the same model.

    A call goes to the server with the fewest calls in flight. One that cannot be reached, or fails
    again and again, is left out for a while, and its calls go to the others. A server that is busy
    (429, or 503 with Retry-After) is asked more slowly, which is no retry (``Pace`` says how).

    Args:
        base_url: such as ``http://localhost:8080/v1``; or several.
        timeout: seconds that a call may take in all.
        retries: how often a call may be retried.
        headers: to send with each call; their values are secrets.
        pause: returns the seconds to wait before a retry, given how many came before it.
        patience: the seconds without a success for which a busy server is asked.
        left_out: the seconds for which a server that fails gets no calls, where there are others.
        check: raises what a reply of status 200 says of an error, as ``check_replies`` does.
        list_name: where a reply is a list, it is read as an object with the list by this name;
            None where no list is a reply.

    Attributes:
        servers: one for each base URL.
        base_url: the first one's, in its normal form, without its query.
        address: the first one's.
        key_source: the environment variable that the key came from; None without a key.
        check_server: checks a server before it is used, and after it was left out; None where
            nothing is to be checked.

    Raises:
        ModelError: as ``parse_addresses``; or a key or a proxy cannot be used.
    """

    def __init__(
        self,
        base_url: str | Sequence[str],
        *,
        timeout: float,
        retries: int,
        headers: Mapping[str, str] | None = None,
        pause: Callable[[int], float] = full_jitter,
        patience: float = 900.0,
        left_out: float = 30.0,
        check: Callable[[Sequence[JsonObject]], None] = check_replies,
        list_name: str | None = None,
    ) -> None:
        self._transport = Transport(timeout)
        self.servers = tuple(
            Endpoint(
                address, self._transport,
                headers=headers, pause=pause, patience=patience, left_out=left_out,
                list_name=list_name,
            )
            for address in parse_addresses(base_url)
        )  # fmt: skip
        first = self.servers[0]
        self.base_url, self.address, self.key_source = (
            first.base_url, first.address, first.key_source,
        )  # fmt: skip
        self.without_key = first.without_key
        self._retries, self._pause, self._check = retries, pause, check
        self.check_server: Callable[[Endpoint], Awaitable[None]] | None = None

    @property
    def description(self) -> str:
        """The addresses of all servers, in an order of their own, for a fingerprint."""
        return " ".join(sorted(str(server.address) for server in self.servers))

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
        tries = others = 0
        began = 0.0
        while True:
            server = self._choose()
            try:
                async with server.turn() as began:
                    if self.check_server and not server.checked:
                        await self.check_server(server)
                    reply = await server.send("POST", path, content)
                replies.append(reply)
                self._check(replies)
                result = read(reply)
                server.pace.succeed()
                return result, replies, tries + others
            except FilteredError as filtered:
                filtered.replies, filtered.retries = replies, tries + others
                raise
            except BusyError as problem:
                others += 1
                log.debug("%s: %s; slower", server.base_url, problem)
                try:
                    server.pace.slow_down(problem, began)
                except ModelError as error:
                    raise ModelError(f"{server.base_url}: {error}") from None
            except UnusableError as problem:
                if self._go_elsewhere(server, problem):
                    others += 1
                    continue
                limit = min(DOUBTFUL_RETRIES, self._retries) if problem.doubtful else self._retries
                if tries >= limit:
                    times = f"{tries + 1} times" if tries else "once"
                    reason = self.without_key(str(problem))
                    raise ModelError(f"{server.base_url}: {reason} (tried {times})") from None
                log.debug("%s: %s; retrying", server.base_url, problem)
                await asyncio.sleep(self._pause(tries))
                tries += 1

    async def get(self, path: str) -> JsonObject:
        """Gets a path below a server's base URL, with a few retries.

        Raises:
            RefusedError, FilteredError, UnusableError: there is no reply that can be used.
        """
        return await self._choose().get(path)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    def _choose(self) -> Endpoint:
        """The server with the fewest calls in flight; in turn, where several have as few."""
        if len(self.servers) == 1:
            return self.servers[0]
        ready = [server for server in self.servers if server.is_ready] or self.servers
        return min(ready, key=lambda one: (not one.pace.is_open, one.in_flight, one.calls))

    def _go_elsewhere(self, server: Endpoint, problem: UnusableError) -> bool:
        """Leaves a failing server out where another can be asked; returns whether that is so."""
        if len(self.servers) == 1 or not server.fails:
            return False
        if server.leave_out():
            log.warning("%s: %s; it is left out until it answers again", server.base_url, problem)
        return any(one.is_ready for one in self.servers if one is not server)
