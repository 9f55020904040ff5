"""What is noted of a request, for the log and the metrics: numbers, and no texts."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from rankprompt.api.results import Usage

__all__ = ["RequestRecord"]


@dataclass
class RequestRecord:
    """What is noted of a request.

    Attributes:
        endpoint: its path; "other" where the server has none of that name.
        id: names the request in its answer and in the log.
        started: when it came, by ``time.perf_counter``.
        status: of the answer; 499 where the client went away.
        documents: how many it has.
        usage: what it cost until it was answered.
        late: is called with what it cost where that is known after it was answered, because its
            time was over or its client went away.
    """

    endpoint: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.perf_counter)
    status: int = 500
    documents: int = 0
    usage: Usage = field(default_factory=Usage)
    late: Callable[["RequestRecord", Usage], None] = lambda *_: None
    _answered: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, usage: Usage) -> None:
        """Notes what it cost, from any thread."""
        with self._lock:
            if not self._answered:
                self.usage = usage
                return
        self.late(self, usage)

    def finish(self) -> None:
        """Notes that it was answered."""
        with self._lock:
            self._answered = True

    @property
    def seconds(self) -> float:
        """The time since it came."""
        return time.perf_counter() - self.started
