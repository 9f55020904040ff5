"""The pace of calls to a server: slower where it says that there are too many, then faster again.

The number of calls in flight follows TCP's rule (additive increase, multiplicative decrease;
Chiu and Jain, 1989): each success raises it a little, and a refusal halves it. All calls of a
client share it, and share the pauses that the server asks for.
"""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

from rankprompt.errors import ModelError
from rankprompt.llm.openai.call_errors import BusyError

__all__ = ["Pace", "exhausted_wait", "requested_wait"]

# If a server wants a longer pause, the run ends with a message.
_MAX_WAIT = 120.0
# A reset says when all is allowed again, and a part is allowed sooner.
_MAX_RESET = 60.0
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)"
# Google names the pause in the body of the error.
_RETRY_DELAY = re.compile(rf'"retryDelay":\s*"({_PART})"')


class Pace:
    """Lets calls begin, as many and as soon as the server allows.

    Args:
        pause: returns seconds to wait where the server names none, given how often it has refused
            calls since the last success.
        patience: the seconds without a success, while the server refuses calls, until it ends.
    """

    def __init__(self, pause: Callable[[int], float], *, patience: float) -> None:
        self._pause, self._patience = pause, patience
        self._limit, self._in_flight = math.inf, 0
        self._resume = self._slowed = 0.0
        self._refusals = 0
        self._busy_since: float | None = None
        self._queue, self._ended = asyncio.Lock(), asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Waits until a call may begin, and counts it as in flight; gives the time it began."""
        async with self._queue:  # first come, first served
            while (wait := self._resume - time.monotonic()) > 0 or self._in_flight >= self._limit:
                if wait > 0:
                    await asyncio.sleep(wait)
                else:
                    self._ended.clear()
                    await self._ended.wait()
            self._in_flight += 1
        try:
            yield time.monotonic()
        finally:
            self._in_flight -= 1
            self._ended.set()

    @property
    def is_open(self) -> bool:
        """Whether a call may begin at once."""
        return self._in_flight < self._limit and time.monotonic() >= self._resume

    def succeed(self) -> None:
        """Speeds up a little."""
        self._refusals, self._busy_since = 0, None
        self._limit += 1 / self._limit

    def rest(self, wait: float) -> None:
        """Lets no call begin for so many seconds."""
        self._resume = max(self._resume, time.monotonic() + wait)

    def slow_down(self, busy: BusyError, began: float) -> None:
        """Halves the calls in flight and rests; once for all calls that began before that.

        Args:
            busy: what the server said to a call.
            began: when the call began.

        Raises:
            ModelError: the server wants a long pause, or has refused all calls for too long.
        """
        now = time.monotonic()
        if busy.wait > _MAX_WAIT:
            raise ModelError(
                f"it wants a pause of {busy.wait:g} seconds ({busy}); all answers so far are "
                "kept: start the same command again after the pause"
            )
        self._busy_since = now if self._busy_since is None else self._busy_since
        if now - self._busy_since > self._patience:
            raise ModelError(
                f"it has refused every call for {self._patience / 60:g} minutes ({busy}); all "
                "answers so far are kept: start the same command again later"
            )
        self.rest(busy.wait)
        if began >= self._slowed:
            # This call has ended, and was in flight.
            self._limit = max(1.0, min(self._limit, self._in_flight + 1) / 2)
            self.rest(busy.wait or self._pause(self._refusals))
            self._slowed = time.monotonic()
            self._refusals += 1


def requested_wait(headers: Mapping[str, str], body: str) -> float:
    """The seconds that a server asks a client to wait, 0 if it names none.

    They are in Retry-After (seconds or a date; RFC 9110, section 10.2.3), retry-after-ms, Google's
    ``retryDelay``, or the reset of a limit that is used up.
    """
    milliseconds = _seconds(headers.get("retry-after-ms")) / 1000
    asked = milliseconds or _seconds(headers.get("retry-after"))
    if not asked and (found := _RETRY_DELAY.search(body)):
        asked = _seconds(found[1])
    return asked or exhausted_wait(headers)


def exhausted_wait(headers: Mapping[str, str]) -> float:
    """The seconds until a limit that is used up allows calls again; 0 if none is."""
    waits = [
        _seconds(headers.get(f"x-ratelimit-reset{name}"))
        for name in ("", "-requests", "-tokens")
        if re.fullmatch(r"\s*(0+|-\d+)\s*", headers.get(f"x-ratelimit-remaining{name}", ""))
    ]
    return min(_MAX_RESET, max(waits, default=0.0))


def _seconds(text: str | None) -> float:
    """Parses seconds ("2.5"), a duration ("6m0s", "120ms") or a date; 0 for what is none."""
    text = (text or "").strip()
    if re.fullmatch(rf"(?:{_PART})+", text):
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text))
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, OSError, IndexError):
            return 0.0
    return seconds if seconds > 0 else 0.0  # "nan" is not
