"""A model on a thread of its own, which many callers ask at a time in shared batches."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

from rankprompt.llm.base import Answer, LanguageModel, Request, Usage

__all__ = ["Call", "ModelThread", "SharedModel"]

# A caller's batch is what the model takes at once; smaller ones are merged up to this size.
_MERGED = 64
# How long the model waits for callers that are between two rounds, in seconds. A round of several
# callers costs little more than a round of one.
_GATHER = 0.005


class Call:
    """A call of a user, in which a model is asked; ``cancel`` ends it from another thread.

    Attributes:
        cancelled: whether it is to end. What it has asked before may still be answered.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self._lock = threading.Lock()
        self._waiting: Future[Any] | None = None

    def cancel(self) -> None:
        """Ends the call: it raises ``CancelledError`` where it waits, or when it next would."""
        with self._lock:
            self.cancelled = True
            if self._waiting:
                self._waiting.cancel()

    def result_of(self, future: "Future[Any]") -> Any:
        """Waits for a result.

        Raises:
            CancelledError: the call was cancelled.
        """
        with self._lock:
            if self.cancelled:
                future.cancel()
                raise CancelledError
            self._waiting = future
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            self._waiting = None


class _Plan(NamedTuple):
    requests: Sequence[Request]
    future: "Future[list[list[int]]]"


class _Batch(NamedTuple):
    requests: Sequence[Request]
    future: "Future[tuple[list[Answer], Usage]]"

    @property
    def kind(self) -> tuple[bool, bool]:
        """Only requests of the same kind are answered together."""
        return bool(self.requests[0].options), self.requests[0].passage is not None


class ModelThread:
    """Runs a model on a thread of its own, and answers the batches of several callers together.

    A caller that is alone has its batches answered as they are, so that its answers are those of
    the model alone to the last bit. While the model answers, the other callers' batches wait; small
    ones are then merged into full batches, in which each request is answered once. Callers take
    turns: a long one delays the others by a batch, not by all of its batches.

    Args:
        load: loads the model, on the thread that calls.

    Attributes:
        model: the model; nobody else may call its ``plan`` and ``answer``.
        batches: the number of batches that the model answered.
        requests: the number of requests in them.
    """

    def __init__(self, load: Callable[[], LanguageModel]) -> None:
        self.model = load()
        self.batches = self.requests = 0
        self._plans: deque[_Plan] = deque()
        self._waiting: deque[_Batch] = deque()
        self._changed = threading.Condition()
        self._callers = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="rankprompt-model", daemon=True)
        self._thread.start()

    @contextmanager
    def calling(self, call: Call) -> "Iterator[SharedModel]":
        """A caller's view of the model, while the context is open."""
        with self._changed:
            self._callers += 1
        try:
            yield SharedModel(self, call)
        finally:
            with self._changed:
                self._callers -= 1
                self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """The number of callers' batches that wait for the model."""
        return len(self._waiting)

    def plan(self, requests: Sequence[Request]) -> "Future[list[list[int]]]":
        """Asks for the batches of a caller's requests."""
        plan = _Plan(requests, Future())
        self._submit(self._plans, plan)
        return plan.future

    def answer(self, requests: Sequence[Request]) -> "Future[tuple[list[Answer], Usage]]":
        """Asks for the answers to a batch."""
        batch = _Batch(requests, Future())
        self._submit(self._waiting, batch)
        return batch.future

    def close(self, *, wait: bool = True) -> None:
        """Ends the thread after the batch that it answers; what waits is cancelled.

        Args:
            wait: return when it has ended.
        """
        with self._changed:
            self._closed = True
            for plan in self._plans:
                plan.future.cancel()
            for batch in self._waiting:
                batch.future.cancel()
            self._changed.notify_all()
        if wait:
            self._thread.join()

    def _submit(self, queue: deque[Any], item: Any) -> None:
        with self._changed:
            if self._closed:
                raise CancelledError
            queue.append(item)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._serve()
        finally:  # nobody waits for a thread that has ended
            self.close(wait=False)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._plans or self._waiting)
                if self._closed:
                    return
                plans = list(self._plans)
                self._plans.clear()
                batches = [] if plans else self._take()
            for plan in plans:
                if plan.future.set_running_or_notify_cancel():
                    _compute(plan.future, partial(self.model.plan, plan.requests))
            if batches:
                self._answer(batches)

    def _take(self) -> list[_Batch]:
        """The batches to answer next; the lock is held, and given up while others are awaited."""
        until = time.monotonic() + _GATHER
        while len(self._waiting) < self._callers and not self._plans and not self._closed:
            if not self._changed.wait(until - time.monotonic()):
                break
            if time.monotonic() >= until:
                break
        if self._plans or self._closed:
            return []
        taken: list[_Batch] = []
        left: deque[_Batch] = deque()
        size = 0
        for batch in self._waiting:
            fits = not taken or (
                batch.kind == taken[0].kind and size + len(batch.requests) <= _MERGED
            )
            if fits:
                taken.append(batch)
                size += len(batch.requests)
            else:
                left.append(batch)
        self._waiting = left
        return taken

    def _answer(self, batches: Sequence[_Batch]) -> None:
        running = [one for one in batches if one.future.set_running_or_notify_cancel()]
        if len(running) > 1:
            try:
                results = self._merged([one.requests for one in running])
            except BaseException:  # also a panic of a library in Rust
                results = []  # each alone below, so that it fails only for the one that is wrong
            for one, result in zip(running, results, strict=False):
                one.future.set_result(result)
            if results:
                return
        for one in running:
            _compute(one.future, partial(self._ask, one.requests))

    def _merged(self, groups: Sequence[Sequence[Request]]) -> list[tuple[list[Answer], Usage]]:
        requests = list(dict.fromkeys(request for group in groups for request in group))
        answers: dict[Request, Answer] = {}
        usage = Usage(0, 0)
        for indices in self.model.plan(requests):
            batch = [requests[index] for index in indices]
            given, used = self._ask(batch)
            answers |= zip(batch, given, strict=True)
            usage = Usage(*map(sum, zip(usage, used, strict=True)))
        weights = [sum(map(_size, group)) for group in groups]
        return [
            ([answers[request] for request in group], share)
            for group, share in zip(groups, _shares(usage, weights), strict=True)
        ]

    def _ask(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        answered = self.model.answer(requests)
        self.batches += 1
        self.requests += len(requests)
        return answered


class SharedModel:
    """What one caller sees of a model that others ask at the same time: a ``LanguageModel``."""

    def __init__(self, thread: ModelThread, call: Call) -> None:
        self._thread, self._call, self._model = thread, call, thread.model
        self.name, self.fingerprint = self._model.name, self._model.fingerprint
        self.context_length = self._model.context_length
        self.length, self.truncate = self._model.length, self._model.truncate
        self.escape = self._model.escape

    def __getattr__(self, name: str) -> Any:
        """What only some models have, such as the number format of their weights."""
        return getattr(self._model, name)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """As the model's ``plan``; raises ``CancelledError`` where the call was cancelled."""
        batches: list[list[int]] = self._call.result_of(self._thread.plan(requests))
        return batches

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """As the model's ``answer``; of a batch that is shared, the usage is a share of it."""
        answered: tuple[list[Answer], Usage] = self._call.result_of(self._thread.answer(requests))
        return answered


def _compute(future: "Future[Any]", compute: Callable[[], Any]) -> None:
    try:
        future.set_result(compute())
    except BaseException as error:
        future.set_exception(error)


def _size(request: Request) -> int:
    return len(request.prompt) + len(request.passage or "") + 1


def _shares(usage: Usage, weights: Sequence[int]) -> list[Usage]:
    """Splits a usage in proportion to weights; the parts add up to the whole."""
    ends = [0, *accumulate(weights)]
    bounds = [[number * end // ends[-1] for end in ends] for number in usage]
    return [
        Usage(*(bound[index + 1] - bound[index] for bound in bounds))
        for index in range(len(weights))
    ]
