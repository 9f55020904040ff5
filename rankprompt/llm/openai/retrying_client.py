"""Posts JSON to a server and retries what failed in passing; no message ever contains the key."""

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
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

import httpx2 as httpx

from rankprompt.errors import ModelError
from rankprompt.llm.openai.bounded_json import parse_json

__all__ = ["KEYS", "JsonObject", "RefusedError", "RetryingClient", "UnusableError", "full_jitter"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")
JsonObject: TypeAlias = dict[str, object]

KEYS = ("RANKPROMPT_API_KEY", "OPENAI_API_KEY")
"""The environment variables that may contain the key; the first that is set counts."""

# If a server wants a longer pause, the run ends with a message.
_MAX_WAIT = 120.0
_TRANSIENT = {408, 409, 425, 429}
# Some servers answer 500 to requests that they will never accept.
_PERMANENT = re.compile(r"not support|unsupported|only .{0,20}support|not implemented", re.I)
# How often a doubtful call is retried: an address that never answered is probably mistyped.
_DOUBTFUL_RETRIES = 2


class RefusedError(Exception):
    """The server refuses the request by an HTTP status, and would refuse it again.

    ``message`` is the server's explanation, as one line.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class UnusableError(Exception):
    """There was no usable reply, and a retry may bring one.

    Args:
        reason: one line, for the message after the last retry.
        wait: seconds that the server asked the client to wait.
        doubtful: a retry will probably fail as well, so only a few are made.
    """

    def __init__(self, reason: str, *, wait: float = 0.0, doubtful: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.doubtful = wait, doubtful


def full_jitter(retries: int) -> float:
    """Returns random seconds before the next retry, up to 0.5 s, 1 s, 2 s ... and at most 60 s."""
    return random.uniform(0, min(60.0, 0.5 * 2**retries))


class RetryingClient:
    """A client for one server.

    The key comes from the environment and is sent to ``base_url`` only: redirects are not followed.

    Args:
        base_url: such as ``http://localhost:8080/v1``.
        timeout: seconds that a call may take in all.
        retries: how often a call may be retried.
        pause: returns the seconds to wait before a retry, given how many came before it.

    Attributes:
        base_url: in its normal form.
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
        pause: Callable[[int], float] = full_jitter,
    ) -> None:
        self.base_url = _normalise(base_url)
        self._timeout, self._retries, self._pause = timeout, retries, pause
        self.key_source = next((name for name in KEYS if os.environ.get(name)), None)
        self._key = os.environ[self.key_source].strip() if self.key_source else ""
        if not re.fullmatch(r"[!-~]*", self._key):
            raise ModelError(f"the key in {self.key_source} holds characters that no key has")
        self._reached = False
        try:
            self._client = httpx.AsyncClient(
                # How many calls run concurrently is decided elsewhere.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
                timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
                follow_redirects=False,
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
            The content; all replies, since the unusable ones are paid for as well; the retries.

        Raises:
            RefusedError: the request is at fault.
            ModelError: there was no usable reply after the last retry.
        """
        replies: list[JsonObject] = []
        for retries in count():
            try:
                reply = await self._post_once(path, body)
                replies.append(reply)
                return read(reply), replies, retries
            except UnusableError as problem:
                if problem.wait > _MAX_WAIT:
                    raise ModelError(
                        f"{self.base_url}: it wants a pause of {problem.wait:.0f} seconds "
                        f"({problem}); all answers so far are kept: start the same command again "
                        "after the pause"
                    ) from None
                limit = min(_DOUBTFUL_RETRIES, self._retries) if problem.doubtful else self._retries
                if retries >= limit:
                    times = f"{retries + 1} times" if retries else "once"
                    reason = self.without_key(str(problem))
                    raise ModelError(f"{self.base_url}: {reason} (tried {times})") from None
                log.debug("%s: %s; retrying", self.base_url, problem)
                # A random pause on top of the server's, so that calls do not return all at once.
                await asyncio.sleep(problem.wait + self._pause(retries))
        raise AssertionError  # count() does not end

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _post_once(self, path: str, body: Mapping[str, object]) -> JsonObject:
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        try:
            # httpx limits the wait for each chunk only, so a slow trickle would never time out.
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    self.base_url + path, content=json.dumps(body).encode(), headers=headers
                )
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
            self._raise_for_status(response)
        try:
            reply = parse_json(response.content)
        except ValueError:
            raise UnusableError("a reply that is not JSON") from None
        if not isinstance(reply, dict):
            raise UnusableError("a reply that is not a JSON object")
        if problem := reply.get("error"):
            code = problem.get("code") if isinstance(problem, dict) else None
            message = self._one_line(_error_message(reply))
            if isinstance(code, int) and 400 <= code < 500 and code not in _TRANSIENT:
                raise RefusedError(code, message)
            raise UnusableError(f"an error in place of an answer: {message}")
        return reply

    def _raise_for_status(self, response: httpx.Response) -> None:
        status = response.status_code
        try:
            explanation = _error_message(parse_json(response.content))
        except ValueError:
            explanation = response.content.decode("utf-8", "replace")
        message = self._one_line(explanation) or response.reason_phrase
        if response.is_redirect:
            target = self._one_line(response.headers.get("location", ""))
            message = f"a redirect to {target}: name that if it is right"
        failed = status >= 500 and status != 501 and not _PERMANENT.search(message)
        if not (failed or status in _TRANSIENT) or "insufficient_quota" in explanation:
            raise RefusedError(status, message)
        wait = _retry_after(response.headers.get("retry-after"))
        raise UnusableError(f"{status}: {message}", wait=wait)

    def _one_line(self, text: str) -> str:
        """Makes a server's text fit for a message: one short line, without the key."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = " ".join(text.split())
        return text if len(text) <= 200 else f"{text[:200]}..."

    def without_key(self, text: str) -> str:
        """Removes the key if it is long enough to be a secret (some users set "none")."""
        return text.replace(self._key, "[key]") if len(self._key) >= 8 else text


def _normalise(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        raise ModelError("the base URL cannot be read; http://localhost:8080/v1 is one") from None
    if "@" in base_url:
        # The URL is not shown, because it contains a password.
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


def _error_message(reply: object) -> str:
    """Finds a server's explanation of an error; servers use different forms."""
    for name in ("error", "message", "detail", "msg"):
        if isinstance(reply, dict) and reply.get(name):
            reply = reply[name]
    return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)


def _retry_after(header: str | None) -> float:
    """Parses a Retry-After header, seconds or a date (RFC 9110, section 10.2.3), as seconds."""
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(str(header)).timestamp() - time.time())
    except ValueError:
        return 0.0
