"""Encodes the next chunk of requests on a thread of its own, while the model answers this one."""

from collections.abc import Callable, Sequence
from threading import Thread

from rankprompt.llm.base import Request

__all__ = ["EncodesAhead"]


class EncodesAhead:
    """One thread at a time, which encodes requests so that they are known when they are planned.

    Args:
        encode: encodes requests, and keeps the results; for several threads.
    """

    def __init__(self, encode: Callable[[Sequence[Request]], object]) -> None:
        self._encode = encode
        self._thread: Thread | None = None

    def begin(self, requests: Sequence[Request]) -> None:
        """Begins to encode requests, unless others are being encoded."""
        if requests and not (self._thread and self._thread.is_alive()):
            self._thread = Thread(target=self._run, args=(requests,), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Waits until all that was begun is encoded."""
        if thread := self._thread:
            thread.join()

    def _run(self, requests: Sequence[Request]) -> None:
        try:
            self._encode(requests)
        except Exception:  # whoever plans these requests meets it again, and tells of it
            return
