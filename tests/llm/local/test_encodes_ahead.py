"""The next chunk is encoded while the model answers, and changes nothing."""

from collections.abc import Sequence
from threading import Event, current_thread, main_thread

from rankprompt.llm.base import Request
from rankprompt.llm.local.encodes_ahead import EncodesAhead

REQUESTS = [Request("A", (" B",)), Request("B", (" A",))]


def test_requests_are_encoded_on_another_thread_by_the_time_they_are_planned() -> None:
    told, found = Event(), []

    def encode(requests: Sequence[Request]) -> None:
        told.wait(9)
        found.append((requests, current_thread() is main_thread()))

    ahead = EncodesAhead(encode)
    ahead.wait()
    ahead.begin(REQUESTS)
    ahead.begin(REQUESTS[:1])  # one at a time: it would only delay the model
    assert not found
    told.set()
    ahead.wait()
    assert found == [(REQUESTS, False)]
    ahead.begin([])
    ahead.begin(REQUESTS[1:])
    ahead.wait()
    assert [requests for requests, _ in found] == [REQUESTS, REQUESTS[1:]]


def test_a_failure_is_left_to_the_plan() -> None:
    def encode(_: Sequence[Request]) -> None:
        raise ValueError("an option is empty")

    ahead = EncodesAhead(encode)
    ahead.begin(REQUESTS)
    ahead.wait()
