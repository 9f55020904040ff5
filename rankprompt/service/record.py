"""What is noted of a request, for the log and the metrics: numbers, and no texts."""

import time
import uuid
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
        usage: what it cost.
    """

    endpoint: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.perf_counter)
    status: int = 500
    documents: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def seconds(self) -> float:
        """The time since it came."""
        return time.perf_counter() - self.started
