"""An event loop on a thread of its own, in which the calls of several threads run at a time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from rankprompt.llm.model_thread import Call

__all__ = ["CallRunner", "LoopThread"]

R = TypeVar("R")


class LoopThread:
    """Runs an event loop on a thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock, self._closed = threading.Lock(), False
        self._endings: list[Callable[[], Awaitable[None]]] = []
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="rankprompt-loop", daemon=True
        )
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, R], call: Call | None = None) -> R:
        """Runs a coroutine in the loop, and waits for its result.

        Raises:
            CancelledError: the call was cancelled, or the loop was closed; so is the coroutine.
        """
        with self._lock:
            if self._closed or (call and call.cancelled):
                coroutine.close()
                raise CancelledError
            future: Future[R] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        result: R = (call or Call()).result_of(future)
        return result

    def on_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Calls this when the loop ends, such as what closes connections; twice does no harm."""
        self._endings.append(close)

    def cancel_all(self) -> None:
        """Cancels what runs in the loop, and waits until it has ended."""
        self.run(_cancel_all())

    def close(self, *, wait: bool = True) -> None:
        """Cancels what runs in the loop, and ends the loop and its thread.

        Args:
            wait: return when they have ended.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            ending = asyncio.run_coroutine_threadsafe(_end(self._endings), self._loop)
        ending.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        if wait:
            self._thread.join()
            self._loop.close()


class CallRunner:
    """Runs the coroutines of one call in a shared loop."""

    def __init__(self, loop: LoopThread, call: Call) -> None:
        self._loop, self._call = loop, call

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """As ``LoopThread.run``."""
        return self._loop.run(coroutine, self._call)


async def _end(endings: Sequence[Callable[[], Awaitable[None]]]) -> None:
    await _cancel_all()
    for close in endings:
        await close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
