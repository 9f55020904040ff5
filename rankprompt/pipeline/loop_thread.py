"""An event loop on a thread of its own, in which the calls of several threads run at a time."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from rankprompt.llm.model_thread import Call

__all__ = ["CallRunner", "LoopThread"]

R = TypeVar("R")


class LoopThread:
    """Runs an event loop on a thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="rankprompt-loop", daemon=True
        )
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, R], call: Call | None = None) -> R:
        """Runs a coroutine in the loop, and waits for its result.

        Raises:
            CancelledError: the call was cancelled; so is the coroutine.
        """
        if call and call.cancelled:
            coroutine.close()
        call = call or Call()
        result: R = call.result_of(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        return result

    def close(self) -> None:
        """Ends the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class CallRunner:
    """Runs the coroutines of one call in a shared loop."""

    def __init__(self, loop: LoopThread, call: Call) -> None:
        self._loop, self._call = loop, call

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """As ``LoopThread.run``."""
        return self._loop.run(coroutine, self._call)
