"""How a reranking gets at its models, servers and journals: its own, or those that calls share."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from rankprompt.cascade import Cascade
from rankprompt.cascade.aggregation import Aggregate
from rankprompt.cascade.teachers import ModelTeacher
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.errors import InputError
from rankprompt.journal.cached_model import Runner
from rankprompt.journal.store import Journal
from rankprompt.llm import AsyncLanguageModel, LanguageModel, load_model
from rankprompt.llm.model_thread import Call, ModelThread
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.loop_thread import CallRunner, LoopThread
from rankprompt.pipeline.passages import CascadeParts, cascade_parts, cascade_settings, open_cascade
from rankprompt.pipeline.server_fields import connect
from rankprompt.types import Candidates

__all__ = ["ModelAccess", "OwnModels", "Server", "SharedModels", "load_local"]

T = TypeVar("T")


class Server(NamedTuple):
    """A connection to a model behind a server.

    Attributes:
        runner: runs the calls.
        model: the model.
        slots: limits the calls in flight, where several rerankings share the connection.
    """

    runner: Runner
    model: AsyncLanguageModel
    slots: asyncio.Semaphore | None = None


class ModelAccess(Protocol):
    """Opens what a reranking needs; what is its own is closed by the stack."""

    def journal(self, path: Path | None, stack: ExitStack) -> Journal:
        """The journal at a path; None for one in memory."""

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        """The model of a job on this machine."""

    def server(self, job: RerankJob, stack: ExitStack) -> Server:
        """The connection to the model of a job behind a server."""

    def cascade(self, job: RerankJob) -> Cascade | None:
        """The cascade of a job, as ``open_cascade`` gives it."""

    def teacher(
        self, job: RerankJob, load: Callable[[], ModelTeacher], stack: ExitStack
    ) -> ModelTeacher:
        """A cascade's teacher that is a network of its own, or loads it; for this call alone."""


def load_local(job: RerankJob, device: str | None = None) -> LanguageModel:
    """Loads the local model of a job, on another device than the job's where one is named."""
    model = job.config.model
    return load_model(
        model.name,
        dtype=model.dtype,
        device=device or model.device,
        batch_tokens=model.batch_tokens,
        trust_remote_code=model.trust_remote_code,
        threads=model.threads,
    )


class OwnModels:
    """Opens everything anew: the reranking is the only one that uses it."""

    def journal(self, path: Path | None, stack: ExitStack) -> Journal:
        """As ``ModelAccess.journal``."""
        journal = Journal(path)
        stack.callback(journal.close)
        return journal

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        """As ``ModelAccess.local``."""
        del stack
        return load_local(job)

    def server(self, job: RerankJob, stack: ExitStack) -> Server:
        """As ``ModelAccess.server``."""
        runner = stack.enter_context(asyncio.Runner())
        model = connect(job)
        stack.callback(lambda: runner.run(model.close()))
        runner.run(model.open())
        return Server(runner, model)

    def cascade(self, job: RerankJob) -> Cascade | None:
        """As ``ModelAccess.cascade``."""
        return open_cascade(job)

    def teacher(
        self, job: RerankJob, load: Callable[[], ModelTeacher], stack: ExitStack
    ) -> ModelTeacher:
        """As ``ModelAccess.teacher``."""
        del job, stack
        return load()


class SharedModels:
    """Models, servers and journals that many calls use at a time, each opened once.

    As a context, it closes them all. ``for_call`` gives the access of one call.

    Attributes:
        one_at_a_time: is held by a call that uses what cannot be shared: a cascade's student, or
            a teacher with a network of its own.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: dict[object, Any] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.one_at_a_time = threading.RLock()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes everything."""
        self.close()

    def close(self) -> None:
        """Closes everything; calls that are under way fail."""
        with self._lock:
            self._closed = True
            self._opened.clear()
        self._stack.close()

    @property
    def closed(self) -> bool:
        """Whether everything was closed."""
        return self._closed

    @property
    def batches(self) -> tuple[int, int]:
        """The number of batches that local models have answered, and of requests in them."""
        with self._lock:
            threads = [one for one in self._opened.values() if isinstance(one, ModelThread)]
        return sum(one.batches for one in threads), sum(one.requests for one in threads)

    def for_call(self, call: Call) -> "ModelAccess":
        """The access of one call."""
        return _CallAccess(self, call)

    def shared(self, key: object, open_it: Callable[[ExitStack], T]) -> T:
        """What was opened under a key, or opens it; others that want it wait."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if self._closed:
                raise InputError("the reranker was closed")
            if key not in self._opened:
                with ExitStack() as stack:
                    opened = open_it(stack)
                    self._stack.push(stack.pop_all())
                self._opened[key] = opened
            found: T = self._opened[key]
            return found


class _CallAccess:
    def __init__(self, models: SharedModels, call: Call) -> None:
        self._models, self._call = models, call

    def journal(self, path: Path | None, stack: ExitStack) -> Journal:
        if path is None:  # An answer in memory is of use to its own call alone.
            return OwnModels().journal(path, stack)
        return self._models.shared(
            ("journal", path.resolve()), lambda own: OwnModels().journal(path, own)
        )

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        thread = self._models.shared(("local", job.config.model), lambda own: _thread(job, own))
        return stack.enter_context(thread.calling(self._call))

    def server(self, job: RerankJob, stack: ExitStack) -> Server:
        del stack
        loop, model, slots = self._models.shared(
            ("server", job.config.model), lambda own: self._connect(job, own)
        )
        return Server(CallRunner(loop, self._call), model, slots)

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
    ) -> tuple[LoopThread, AsyncLanguageModel, asyncio.Semaphore]:
        loop = self._models.shared("loop", _loop)
        model = connect(job)
        own.callback(lambda: loop.run(model.close()))
        loop.run(model.open())
        return loop, model, asyncio.Semaphore(job.config.model.concurrency)


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


def _thread(job: RerankJob, stack: ExitStack) -> ModelThread:
    thread = ModelThread(lambda: load_local(job))
    stack.callback(thread.close)
    return thread


def _loop(stack: ExitStack) -> LoopThread:
    loop = LoopThread()
    stack.callback(loop.close)
    return loop
