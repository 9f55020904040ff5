"""Questions rendered together, and what was read about each of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from rankprompt.journal.cached_model import Reply
from rankprompt.judges.adapters.base import ParsedAnswer
from rankprompt.llm.base import Request
from rankprompt.types import Question

__all__ = ["Chunk", "ReadReplies", "announced"]

Q = TypeVar("Q", bound=Question)
A = TypeVar("A")


class Chunk(NamedTuple, Generic[Q]):
    """Questions, and the requests about each by order."""

    questions: Sequence[Q]
    rendered: Sequence[Mapping[bool, Sequence[Request]]]

    @property
    def groups(self) -> list[tuple[Q, Sequence[Request]]]:
        """The orders one by one."""
        pairs = zip(self.questions, self.rendered, strict=True)
        return [(question, order) for question, orders in pairs for order in orders.values()]

    @property
    def requests(self) -> list[Request]:
        """All requests."""
        return [request for _, order in self.groups for request in order]


class ReadReplies(NamedTuple, Generic[A]):
    """The replies to a question by order, and what was parsed of them."""

    replies: dict[bool, list[Reply]]
    parsed: dict[bool, ParsedAnswer[A] | None]


def announced(
    chunks: Iterator[Chunk[Q]], prepare: Callable[[Sequence[Request]], None]
) -> Iterator[Chunk[Q]]:
    """The chunks; the model is told of each one before it answers the one before."""
    current = next(chunks, None)
    while current:
        following = next(chunks, None)
        if following:
            prepare(following.requests)
        yield current
        current = following
