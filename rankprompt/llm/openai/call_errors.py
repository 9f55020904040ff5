"""Why a call to a server brought no usable reply."""

from typing import TypeAlias

from rankprompt.llm.base import Usage

__all__ = [
    "BusyError", "FilteredError", "JsonObject", "RefusedError", "UnreachableError",
    "UnusableError",
]  # fmt: skip

JsonObject: TypeAlias = dict[str, object]


class RefusedError(Exception):
    """The server refuses the request by an HTTP status, and would refuse it again.

    ``message`` is the server's explanation, as one line; ``details`` is all that it said, which may
    hold the prompt. ``base_url`` is that of the server, where one of several refused.
    """

    def __init__(self, status: int, message: str, details: str = "", base_url: str = "") -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message, self.details = status, message, details
        self.base_url = base_url


class FilteredError(Exception):
    """A content filter refused the prompt or the answer.

    Attributes:
        replies: all that came, which are paid for.
        retries: how often the call was repeated.
        usage: what all that cost.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.replies: list[JsonObject] = []
        self.retries, self.usage = 0, Usage(0, 0)


class UnusableError(Exception):
    """There was no usable reply, and a retry may bring one.

    Args:
        reason: one line, for the message after the last retry.
        doubtful: a retry will probably fail as well, so only a few are made.
    """

    def __init__(self, reason: str, *, doubtful: bool = False) -> None:
        super().__init__(reason)
        self.doubtful = doubtful


class UnreachableError(UnusableError):
    """There is no connection to the server, which has seen nothing of the call."""


class BusyError(UnusableError):
    """The server wants fewer calls, which says nothing about this one: it is no try.

    Args:
        reason: one line.
        wait: seconds that the server asked the client to wait; 0 if it named none.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait
