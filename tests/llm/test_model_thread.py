"""A model on a thread: alone as the model itself, and merged batches for many callers."""

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.model_thread import Call, ModelThread
from tests.fakes import FakeModel, by_hash


class GatedModel(FakeModel):
    """Answers only while the gate is open, and says when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.begun = threading.Event(), threading.Event()

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        self.begun.set()
        assert self.gate.wait(20)
        if any(request.prompt == "too long" for request in requests):
            raise ModelError("a prompt does not fit")
        return super().answer(requests)


def requests_of(caller: int, number: int) -> list[Request]:
    return [Request(f"prompt {caller} {index}", max_tokens=1) for index in range(number)]


def test_a_caller_that_is_alone_has_its_batches_answered_as_they_are() -> None:
    alone, model = FakeModel(batch_size=8), FakeModel(batch_size=8)
    requests = requests_of(0, 20)
    thread = ModelThread(lambda: model)
    with thread.calling(Call()) as shared:
        batches = shared.plan(requests)
        answers = [shared.answer([requests[i] for i in batch]) for batch in batches]
    thread.close()
    assert batches == alone.plan(requests)
    assert answers == [alone.answer([requests[i] for i in batch]) for batch in batches]
    assert model.batches == alone.batches


def test_small_batches_that_wait_are_merged_and_equal_requests_asked_once() -> None:
    model = GatedModel()
    thread = ModelThread(lambda: model)
    same = Request("the same prompt", max_tokens=1)

    def call(caller: int) -> tuple[list[Answer], Usage]:
        with thread.calling(Call()) as shared:
            return shared.answer([*requests_of(caller, 1), same])

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(call, 0)
        assert model.begun.wait(20)
        others = [pool.submit(call, caller) for caller in range(1, 9)]
        while thread.waiting < 8:
            threading.Event().wait(0.001)
        model.gate.set()
        results = [one.result() for one in (first, *others)]
    thread.close()
    assert [len(batch) for batch in model.batches] == [2, 9]
    for caller, (answers, _) in enumerate(results):
        assert answers == [by_hash(*requests_of(caller, 1)), by_hash(same)]
    total = sum(usage.tokens for _, usage in results)
    assert total == sum(model.length(request) for batch in model.batches for request in batch)


def test_a_batch_that_fails_fails_for_its_own_caller_alone() -> None:
    model = GatedModel()
    thread = ModelThread(lambda: model)

    def call(request: Request) -> Answer:
        with thread.calling(Call()) as shared:
            return shared.answer([request])[0][0]

    good, bad = Request("good", max_tokens=1), Request("too long", max_tokens=1)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(call, Request("first", max_tokens=1))
        assert model.begun.wait(20)
        results = [pool.submit(call, good), pool.submit(call, bad)]
        while thread.waiting < 2:
            threading.Event().wait(0.001)
        model.gate.set()
        assert first.result() == by_hash(Request("first", max_tokens=1))
        assert results[0].result() == by_hash(good)
        with pytest.raises(ModelError, match="does not fit"):
            results[1].result()
    thread.close()


def test_requests_of_other_kinds_are_not_answered_together() -> None:
    model = GatedModel()
    thread = ModelThread(lambda: model)

    def call(request: Request) -> Answer:
        with thread.calling(Call()) as shared:
            return shared.answer([request])[0][0]

    kinds = [
        Request("scored", (" A", " B")),
        Request("written", max_tokens=1),
        Request("query", passage="passage"),
    ]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(call, Request("first", max_tokens=1))
        assert model.begun.wait(20)
        results = [pool.submit(call, one) for one in kinds]
        while thread.waiting < 3:
            threading.Event().wait(0.001)
        model.gate.set()
        assert [one.result() for one in (first, *results)][1:] == [by_hash(one) for one in kinds]
    thread.close()
    for batch in model.batches:
        assert len({(bool(one.options), one.passage is None) for one in batch}) == 1


def test_a_long_caller_delays_another_by_a_batch() -> None:
    order: list[str] = []

    class Noting(FakeModel):
        def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
            order.extend(sorted({request.prompt.split()[0] for request in requests}))
            return super().answer(requests)

    thread = ModelThread(Noting)
    started = threading.Barrier(2)

    def call(name: str, batches: int) -> None:
        with thread.calling(Call()) as shared:
            started.wait(20)
            for number in range(batches):
                shared.answer([Request(f"{name} {number} {i}", max_tokens=1) for i in range(64)])

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(call, "long", 20), pool.submit(call, "short", 2)]:
            one.result()
    thread.close()
    assert order.count("long") == 20
    assert order.index("short") <= 2
    assert len(order) - 1 - order[::-1].index("short") <= 6


def test_a_cancelled_call_ends_where_it_waits_and_asks_nothing_more() -> None:
    model = GatedModel()
    thread = ModelThread(lambda: model)
    cancelled = Call()

    def call(one: Call, prompt: str) -> None:
        with thread.calling(one) as shared:
            shared.answer([Request(prompt, max_tokens=1)])

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(call, Call(), "first")
        assert model.begun.wait(20)
        second = pool.submit(call, cancelled, "second")
        while not thread.waiting:
            threading.Event().wait(0.001)
        cancelled.cancel()
        with pytest.raises(CancelledError):
            second.result(20)
        model.gate.set()
        first.result(20)
    with pytest.raises(CancelledError):
        call(cancelled, "third")
    thread.close()
    assert [request.prompt for request in model.prompts] == ["first"]


def test_a_closed_model_answers_nobody() -> None:
    thread = ModelThread(FakeModel)
    thread.close()
    with thread.calling(Call()) as shared, pytest.raises(CancelledError):
        shared.answer([Request("late", max_tokens=1)])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=6))
def test_every_caller_receives_its_own_answers(rounds: list[list[int]]) -> None:
    model = FakeModel(batch_size=4)
    thread = ModelThread(lambda: model)

    def call(caller: int) -> list[tuple[list[Answer], Usage]]:
        with thread.calling(Call()) as shared:
            return [shared.answer(requests_of(caller % 2, number)) for number in rounds[caller]]

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(call, range(len(rounds))))
    thread.close()
    for caller, answered in enumerate(results):
        expected = [list(map(by_hash, requests_of(caller % 2, n))) for n in rounds[caller]]
        assert [answers for answers, _ in answered] == expected
    spent = sum(usage.tokens for answered in results for _, usage in answered)
    assert spent == sum(model.length(request) for request in model.prompts)


class PanicError(BaseException):
    """What a library in Rust raises where it fails: no Exception."""


def test_a_panic_of_the_model_ends_neither_its_thread_nor_other_callers() -> None:
    class Panicking(GatedModel):
        def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
            answered = super().answer(requests)
            if any(request.prompt == "bad" for request in requests):
                raise PanicError
            return answered

    model = Panicking()
    thread = ModelThread(lambda: model)

    def call(prompt: str) -> Answer:
        with thread.calling(Call()) as shared:
            return shared.answer([Request(prompt, max_tokens=1)])[0][0]

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(call, "first")
        assert model.begun.wait(20)
        bad, good = pool.submit(call, "bad"), pool.submit(call, "good")
        while thread.waiting < 2:
            threading.Event().wait(0.001)
        model.gate.set()
        first.result(20)
        good.result(20)
        with pytest.raises(PanicError):
            bad.result(20)
    assert call("later") == by_hash(Request("later", max_tokens=1))
    thread.close()
