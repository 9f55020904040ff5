"""The calls in flight to a server: a fixed limit, or one that finds out how many are worth it.

``concurrency`` auto compares the answers a second that two limits bring, each by Little's law
(1961): calls in flight divided by their mean seconds. More calls are kept where they bring at
least a quarter of the growth that they could; where they only wait longer, fewer do as well. The
limit doubles until that ends, as TCP's slow start does (Jacobson, 1988), and tries a quarter more
or less from then on, as congestion avoidance by delay does (Brakmo and Peterson's Vegas, 1994).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

__all__ = ["CallLimit", "Climb", "first_calls", "most_calls"]

# Where it begins, and the most calls in flight that it tries.
_START, _MOST = 16, 1024
# The least share of a growth of the calls by which the answers a second must grow.
_SHARE = 0.25
_FAST, _SLOW = 2.0, 1.25
# Of its own limit, as many sets of calls are measured between two trials of another.
_HOLD = 4
# The least share of the limit that must be wanted, so that a set says something about it.
_FULL = 0.9


class _Measured(NamedTuple):
    limit: int
    rate: float


class Climb:
    """Finds a limit of the calls in flight from the time that calls take.

    A limit is measured by a set of as many calls as it allows, after as many others that began
    under it: these come upon a server that has not felt it yet. Where fewer calls are asked for
    than the limit allows, nothing is learnt, and it stays.

    Args:
        start: the first limit.
        most: the largest.

    Attributes:
        limit: the limit now, from 1.

    Examples:
        >>> from rankprompt.journal.call_limit import Climb
        >>> climb = Climb(start=1, most=8)
        >>> def call():
        ...     climb.end(climb.begin(climb.limit), 1.0)
        >>> for _ in range(20): call()
        >>> climb.limit  # however many, each takes a second
        8
    """

    def __init__(self, *, start: int = _START, most: int = _MOST) -> None:
        self.limit, self._most = start, most
        self._kept: _Measured | None = None
        self._step, self._held = _FAST, 0
        # The calls of a set: its number, how many began, ended, and ended well, the calls that
        # were wanted when each began, added up, and the seconds.
        self._set = self._begun = self._ended = self._timed = self._wanted = 0
        self._seconds = 0.0
        self._begin_set()

    def begin(self, wanted: int) -> int:
        """Says that a call begins.

        Args:
            wanted: the calls that are in flight or wait, this one included.

        Returns:
            What ``end`` is to be told of it.
        """
        self._begun += 1
        if not self.limit < self._begun <= 2 * self.limit:
            return 0
        self._wanted += min(wanted, self.limit)
        return self._set

    def end(self, measured: int, seconds: float | None) -> None:
        """Says that a call has ended.

        Args:
            measured: what ``begin`` returned.
            seconds: how long it took; None if it failed.
        """
        if measured != self._set:
            return
        self._ended += 1
        if seconds is not None:
            self._timed += 1
            self._seconds += seconds
        if self._ended == self.limit:
            if self._timed and self._wanted >= _FULL * self.limit**2:
                self._decide(self._timed * self.limit / max(self._seconds, 1e-9))
            self._begin_set()

    def _decide(self, rate: float) -> None:
        """Compares a limit with the one that was kept, and chooses the next."""
        now, kept = _Measured(self.limit, rate), self._kept
        if kept is None or kept.limit == now.limit:
            self._kept, self._held = now, self._held + 1
            if kept is None or self._held >= _HOLD:
                self._held = 0
                self._try()
            return
        low, high = sorted((now, kept))
        needed = 1 + _SHARE * (high.limit / low.limit - 1)
        if (high if high.rate >= needed * low.rate else low) is now:
            self._kept = now
            self._try()  # further the same way
        else:
            # From here on by small steps: the next one the other way.
            self._step = 1 / _SLOW if now is high else _SLOW
            self.limit = kept.limit

    def _try(self) -> None:
        changed = round(self.limit * self._step)
        if changed == self.limit:
            changed += 1 if self._step > 1 else -1
        if not 1 <= changed <= self._most:
            self._step = 1 / _SLOW if changed > 1 else _SLOW
        self.limit = min(max(changed, 1), self._most)

    def _begin_set(self) -> None:
        self._set += 1
        self._begun = self._ended = self._timed = self._wanted = 0
        self._seconds = 0.0


class CallLimit:
    """Lets as many calls be in flight at a time as the concurrency says.

    Args:
        concurrency: a number, or "auto".
    """

    def __init__(self, concurrency: int | str) -> None:
        self._climb = Climb() if isinstance(concurrency, str) else None
        self._limit = first_calls(concurrency)
        self._room = asyncio.Semaphore(self._limit)
        # Places that are taken although the limit has fallen; below 0, places to give when it rose.
        self._wanted = self._surplus = 0

    @property
    def reached(self) -> int | None:
        """The calls in flight that "auto" has come to; None for a number."""
        return self._limit if self._climb else None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until a call may begin, and counts it as in flight while the context is open."""
        self._wanted += 1
        try:
            await self._room.acquire()
        except BaseException:
            self._wanted -= 1
            raise
        measured = self._climb.begin(self._wanted) if self._climb else 0
        began, seconds = time.monotonic(), None
        try:
            yield
            seconds = time.monotonic() - began
        finally:
            self._wanted -= 1
            if self._climb:
                self._climb.end(measured, seconds)
                self._surplus += self._limit - self._climb.limit
                self._limit = self._climb.limit
            if self._surplus > 0:  # its place is not given on
                self._surplus -= 1
            else:
                for _ in range(1 - self._surplus):
                    self._room.release()
                self._surplus = 0


def first_calls(concurrency: int | str) -> int:
    """The calls that may be in flight at first."""
    return _START if isinstance(concurrency, str) else concurrency


def most_calls(concurrency: int | str) -> int:
    """The most calls that may ever be in flight."""
    return _MOST if isinstance(concurrency, str) else concurrency
