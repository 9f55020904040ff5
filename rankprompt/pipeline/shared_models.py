"""Models, servers and journals that the calls of a reranker share."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from rankprompt.cascade import Cascade
from rankprompt.cascade.aggregation import Aggregate
from rankprompt.cascade.teachers import ModelTeacher
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.errors import InputError
from rankprompt.journal.call_limit import CallLimit
from rankprompt.journal.store import Journal
from rankprompt.llm import AsyncLanguageModel, LanguageModel
from rankprompt.llm.model_thread import Call, ModelThread
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.loop_thread import CallRunner, LoopThread
from rankprompt.pipeline.model_access import ModelAccess, OwnModels, Server, load_local
from rankprompt.pipeline.passages import CascadeParts, cascade_parts, cascade_settings
from rankprompt.pipeline.server_fields import connect
from rankprompt.types import Candidates

__all__ = ["SharedModels"]

T = TypeVar("T")

# Seconds for which closing waits for calls that are under way: they only store their last answers.
PATIENCE = 5.0


class SharedModels:
    """Models, servers and journals that many calls use at a time, each opened once.

    As a context, it closes them all. ``calling`` gives the access of one call.

    Attributes:
        one_at_a_time: is held by a call that uses what cannot be shared: a cascade's student, or
            a teacher with a network of its own.
    """

    def __init__(self) -> None:
        self._models, self._journals = ExitStack(), ExitStack()
        self._opened: dict[object, Any] = {}
        self._failed: dict[object, tuple[float, Exception]] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._changed = threading.Condition()
        self._calls, self._closed, self._process = 0, False, os.getpid()
        self.one_at_a_time = threading.RLock()
        self._threads: list[ModelThread | LoopThread] = []
        # Threads hold what they run: without this, a reranker that nobody closed would stay.
        weakref.finalize(self, _end, self._threads).atexit = False
        _ALIVE.add(self)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes everything."""
        self.close()

    def close(self) -> None:
        """Closes everything; calls that are under way fail, and their answers are stored."""
        with self._changed:
            self._closed = True
        for thread in self._threads:
            if isinstance(thread, LoopThread):
                with suppress(CancelledError):  # it was closed before
                    thread.cancel_all()
        self._models.close()
        with self._changed:
            # A call that still loads a model finds out by itself.
            self._changed.wait_for(lambda: not self._calls, PATIENCE)
            self._opened.clear()
        self._journals.close()

    @property
    def closed(self) -> bool:
        """Whether everything was closed."""
        return self._closed

    @property
    def batches(self) -> tuple[int, int]:
        """The number of batches that local models have answered, and of requests in them."""
        threads = [one for one in list(self._threads) if isinstance(one, ModelThread)]
        return sum(one.batches for one in threads), sum(one.requests for one in threads)

    @contextmanager
    def calling(self, call: Call) -> Iterator["ModelAccess"]:
        """The access of one call, while the context is open.

        Raises:
            InputError: everything was closed, or belongs to the process that this one was forked
                from.
        """
        if os.getpid() != self._process:
            raise InputError(
                "a reranker's threads are not in a process that is forked from its own: make a "
                "reranker there"
            )
        with self._changed:
            if self._closed:
                raise InputError("the reranker was closed")
            self._calls += 1
        try:
            yield _CallAccess(self, call)
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def shared(self, key: object, open_it: Callable[[ExitStack], T], *, journal: bool = False) -> T:
        """What was opened under a key, or opens it; others that want it wait.

        Args:
            key: names it.
            open_it: opens it, and tells the stack how to close it. Where it fails, it fails for all
                that wait; a later call tries again.
            journal: close it after everything else, when no call is under way.
        """
        asked = time.monotonic()
        with self._changed:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key in self._opened:
                found: T = self._opened[key]
                return found
            when, error = self._failed.get(key, (0.0, None))
            if error and when > asked:
                raise error
            with ExitStack() as stack:
                try:
                    opened = open_it(stack)
                except Exception as failure:
                    self._failed[key] = time.monotonic(), failure
                    raise
                with self._changed:
                    if self._closed:  # while it was opened
                        raise InputError("the reranker was closed")
                    (self._journals if journal else self._models).push(stack.pop_all())
                    self._opened[key] = opened
                    if isinstance(opened, ModelThread | LoopThread):
                        self._threads.append(opened)
            return opened


class _CallAccess:
    def __init__(self, models: SharedModels, call: Call) -> None:
        self._models, self._call = models, call

    def journal(self, path: Path | None, stack: ExitStack) -> Journal:
        if path is None:  # An answer in memory is of use to its own call alone.
            return OwnModels().journal(path, stack)
        return self._models.shared(
            ("journal", path), lambda own: OwnModels().journal(path, own), journal=True
        )

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        model = job.config.model
        key = (
            "local", model.name, model.dtype, model.device, model.batch_tokens, model.threads,
            model.trust_remote_code, model.revision, model.adapter, model.tokenizer,
            model.quantize, model.attention, model.tensor_parallel, model.engine_options,
        )  # fmt: skip
        thread = self._models.shared(key, lambda own: _thread(job, own))
        return stack.enter_context(thread.calling(self._call))

    def server(self, job: RerankJob, stack: ExitStack) -> Server:
        del stack
        loop, model, calls = self._models.shared(
            ("server", job.config.model), lambda own: self._connect(job, own)
        )
        return Server(CallRunner(loop, self._call), model, calls)

    def cascade(self, job: RerankJob) -> Cascade | None:
        key = ("cascade", job.config.cascade, job.config.model, job.model, job.config.seed)
        parts = self._models.shared(key, lambda _: cascade_parts(job))
        return parts and _OneAtATime(parts, job, self._models.one_at_a_time)

    def teacher(
        self, job: RerankJob, load: Callable[[], ModelTeacher], stack: ExitStack
    ) -> ModelTeacher:
        stack.enter_context(self._models.one_at_a_time)
        return self._models.shared(("teacher", job.model, job.config.model), lambda _: load())

    def _connect(
        self, job: RerankJob, own: ExitStack
    ) -> tuple[LoopThread, AsyncLanguageModel, CallLimit]:
        loop = self._models.shared("loop", _loop)
        model = connect(job)
        loop.on_end(model.close)
        own.callback(lambda: loop.run(model.close()))
        loop.run(model.open())
        return loop, model, CallLimit(job.config.model.concurrency)


class _OneAtATime(Cascade):
    """The cascade of a call, whose student other calls use as well."""

    def __init__(self, parts: CascadeParts, job: RerankJob, lock: threading.RLock) -> None:
        super().__init__(*parts[:2], **cascade_settings(parts, job))
        self._lock = lock

    def __call__(self, candidates: Sequence[Candidates]) -> list[Candidates]:
        with self._lock:
            return super().__call__(candidates)

    def teacher_scores(
        self, candidates: Sequence[Candidates], scores: WindowScores, aggregate: Aggregate
    ) -> dict[str, dict[str, float]]:
        with self._lock:
            return super().teacher_scores(candidates, scores, aggregate)


def _end(threads: Sequence[ModelThread | LoopThread]) -> None:
    for thread in threads:
        thread.close(wait=False)


def _close_all() -> None:
    """Ends all models before the interpreter does: their libraries would end the process."""
    for models in list(_ALIVE):
        if not models.closed:
            models.close()


_ALIVE: "weakref.WeakSet[SharedModels]" = weakref.WeakSet()
atexit.register(_close_all)


def _thread(job: RerankJob, stack: ExitStack) -> ModelThread:
    thread = ModelThread(lambda: load_local(job))
    stack.callback(thread.close)
    return thread


def _loop(stack: ExitStack) -> LoopThread:
    loop = LoopThread()
    stack.callback(loop.close)
    return loop
