"""Posts JSON to a server, again where that may help; its key stays out of all that is told."""

import asyncio
import json
import logging
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

import httpx2 as httpx

from rankprompt.errors import ModelError

__all__ = ["KEYS", "Posted", "RefusedError", "Server", "Transport", "UnusableError", "full_jitter"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")
Transport: TypeAlias = httpx.AsyncBaseTransport

KEYS = ("RANKPROMPT_API_KEY", "OPENAI_API_KEY")
"""The environment variables that may hold the key; the first that is set counts."""

# Of a server that wants a longer pause, we had better tell the user.
_LONGEST_WAIT = 120.0
_PASSING = {408, 409, 425, 429}
# Some servers answer 500 to what they will never do.
_FOR_GOOD = re.compile(r"not support|unsupported|only .{0,20}support|not implemented", re.I)
# An address that never answered is likelier mistyped than busy.
_DOUBTED = 2


class RefusedError(Exception):
    """The server will not do it, however often it is asked.

    Args:
        status: the HTTP status.
        message: what the server says, as one line.
        key_source: the environment variable that the key came from; None where there is no key.
    """

    def __init__(self, status: int, message: str, *, key_source: str | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message, self.key_source = status, message, key_source


class UnusableError(Exception):
    """What came was not an answer, and another try may bring one.

    Args:
        reason: one line, for when no other try does.
        wait: the seconds that the server asked for.
        doubtful: it may well be so for good; do not try for long.
    """

    def __init__(self, reason: str, *, wait: float = 0.0, doubtful: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.doubtful = wait, doubtful


class Posted(NamedTuple, Generic[T]):
    """What came of it, all replies paid for on the way (it is the last's), and the repetitions."""

    content: T
    replies: list[dict[str, Any]]
    repeated: int


def full_jitter(repeated: int) -> float:
    """Seconds before the next try: random, at most 0.5 s and twice that each time, up to 60 s."""
    return random.uniform(0, min(60.0, 0.5 * 2**repeated))


class Server:
    """A server's address and key.

    The key is taken from the environment, and sent to ``base_url`` alone: no redirect is followed.

    Args:
        base_url: such as ``http://localhost:8080/v1``.
        timeout: seconds that a call may take in all.
        retries: how often a call may be repeated.
        pause: gives the seconds to wait before a repetition, by how many there were.
        transport: how bytes travel, where it is not the ordinary way.

    Attributes:
        base_url: in its normal form.
        key_source: the environment variable that the key came from; None where there is no key.

    Raises:
        ModelError: the address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float,
        retries: int,
        pause: Callable[[int], float] = full_jitter,
        transport: Transport | None = None,
    ) -> None:
        self.base_url = _normalised(base_url)
        self._timeout, self._retries, self._pause = timeout, retries, pause
        self.key_source = next((one for one in KEYS if os.environ.get(one)), None)
        self._key = os.environ[self.key_source].strip() if self.key_source else ""
        if not re.fullmatch(r"[!-~]*", self._key):
            raise ModelError(f"the key in {self.key_source} holds characters that no key has")
        self._reached = False
        try:
            self._client = httpx.AsyncClient(
                transport=transport,
                # How many calls there are at a time is not decided here.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
                timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
                follow_redirects=False,
            )
        except (ImportError, ValueError) as error:  # a proxy that httpx cannot use
            raise ModelError(f"cannot reach {self.base_url}: {error}") from error

    async def post(
        self, path: str, body: Mapping[str, Any], read: Callable[[dict[str, Any]], T]
    ) -> Posted[T]:
        """Posts, until there is a reply that can be read.

        Args:
            path: below the base.
            body: to send as JSON.
            read: what to make of a reply; raises UnusableError where it is not one.

        Raises:
            RefusedError: the request is at fault.
            ModelError: no reply, after all repetitions.
        """
        replies: list[dict[str, Any]] = []
        for repeated in count():
            try:
                reply = await self._once(path, body)
                replies.append(reply)
                return Posted(read(reply), replies, repeated)
            except UnusableError as problem:
                if problem.wait > _LONGEST_WAIT:
                    hint = "what was answered is kept: start the same command again then"
                    told = f"it wants a pause of {problem.wait:.0f} seconds ({problem}); {hint}"
                    raise ModelError(self.told(told)) from None
                limit = min(_DOUBTED, self._retries) if problem.doubtful else self._retries
                if repeated >= limit:
                    times = f"{repeated + 1} times" if repeated else "once"
                    raise ModelError(self.told(f"{problem} (tried {times})")) from None
                log.debug("%s: %s; asking again", self.base_url, problem)
                # On top of what the server wants: not all calls should come back at one moment.
                await asyncio.sleep(problem.wait + self._pause(repeated))
        raise AssertionError  # count() does not end

    async def close(self) -> None:
        """Ends the connections."""
        await self._client.aclose()

    async def _once(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        try:
            # httpx limits the wait for each piece; one that drips would hold us up for ever.
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    self.base_url + path, content=json.dumps(body).encode(), headers=headers
                )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = self.line(str(error)) or "no answer"
            raise UnusableError(
                f"cannot be reached: {reason}", doubtful=not self._reached
            ) from None
        except (TimeoutError, httpx.TimeoutException):
            raise UnusableError(f"no answer within {self._timeout:g} seconds") from None
        except httpx.RequestError as error:
            raise UnusableError(f"the connection broke ({type(error).__name__})") from None
        self._reached = True
        if not response.is_success:
            self._fail(response)
        try:
            reply = json.loads(response.content)
        except ValueError:
            raise UnusableError("a reply that is not JSON") from None
        if not isinstance(reply, dict):
            raise UnusableError("a reply that is not a JSON object")
        if problem := reply.get("error"):
            code = problem.get("code") if isinstance(problem, dict) else None
            message = self.line(_message(reply))
            if isinstance(code, int) and 400 <= code < 500 and code not in _PASSING:
                raise self._refused(code, message)
            raise UnusableError(f"an error in place of an answer: {message}")
        return reply

    def _fail(self, response: httpx.Response) -> None:
        status = response.status_code
        try:
            said = _message(json.loads(response.content))
        except ValueError:
            said = response.content.decode("utf-8", "replace")
        message = self.line(said) or response.reason_phrase
        if response.is_redirect:
            target = self.line(response.headers.get("location", ""))
            raise self._refused(status, f"a redirect to {target}: name that if it is right")
        passing = status in _PASSING or (status >= 500 and not _FOR_GOOD.search(message))
        if not passing or status == 501 or "insufficient_quota" in said:
            raise self._refused(status, message)
        raise UnusableError(f"{status}: {message}", wait=_wait(response.headers.get("retry-after")))

    def _refused(self, status: int, message: str) -> RefusedError:
        return RefusedError(status, message, key_source=self.key_source)

    def told(self, problem: str) -> str:
        """A problem with this server, as one line."""
        return f"{self.base_url}: {problem}"

    def line(self, text: str) -> str:
        """A foreign text as one line that is fit to be shown: short, and without the key."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = " ".join(text.split())
        return text if len(text) <= 200 else f"{text[:200]}..."

    def scrubbed(self, text: str) -> str:
        """A text without the key, where that is long enough to be a secret (some set "none")."""
        return text.replace(self._key, "[key]") if len(self._key) >= 8 else text


def _normalised(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        _ = parts.port  # complains where it is not a number
    except ValueError:
        raise ModelError("the base URL cannot be read; http://localhost:8080/v1 is one") from None
    if "@" in base_url:
        # Not shown: it would show the password.
        raise ModelError(
            "the base URL must not hold a user name or password; "
            f"the key goes into {KEYS[0]} or {KEYS[1]}"
        )
    if parts.query or parts.fragment:
        raise ModelError("the base URL must not hold a ? or # part")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(
            f"not a base URL: {base_url!r}; it begins with http:// or https:// and mostly ends "
            "in /v1"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _message(reply: Any) -> str:
    """What a server says about an error; each has its own form."""
    for name in ("error", "message", "detail", "msg"):
        if isinstance(reply, dict) and reply.get(name):
            reply = reply[name]
    if isinstance(reply, str):
        return reply
    return json.dumps(reply, ensure_ascii=False)


def _wait(header: str | None) -> float:
    """The seconds of a Retry-After header: a number, or a date (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(str(header)).timestamp() - time.time())
    except ValueError:
        return 0.0
