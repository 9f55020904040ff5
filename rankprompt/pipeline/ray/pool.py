"""Workers that hold a model each: they are started, watched, and replaced where they die."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar

from rankprompt.errors import InputError, ModelError, RankpromptError
from rankprompt.files.home import expand
from rankprompt.llm.registry import split_prefix
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.ray.cluster import RayCluster, connected, last_line, waiting
from rankprompt.pipeline.ray.worker import WorkerConfig
from rankprompt.pipeline.results import ModelCard

__all__ = ["DEATHS", "Pool"]

log = logging.getLogger("rankprompt")

T = TypeVar("T")

DEATHS = 3
"""After so many workers have died over a task, the task is taken for the cause."""

_PULSE = 1.0  # seconds between two looks at the workers
_PATIENCE = 30.0  # seconds without a worker, after which the driver says what it waits for


class Pool(ABC, Generic[T]):
    """Workers on a cluster, as a context: they start when it is entered and end with it.

    Args:
        config: what each worker must know.
        cluster: where the workers run.

    Attributes:
        model: the model that the workers loaded.
        replaced: the workers that died, each replaced by another.

    Raises:
        InputError: the model is not one that each worker loads.
    """

    model: ModelCard

    def __init__(self, config: WorkerConfig, cluster: RayCluster) -> None:
        if config.job.source != "local":
            raise InputError("workers on Ray hold local models; a server or an oracle needs none")
        self._cluster, self._name = cluster, config.job.model
        self._config = replace(config, job=_for_workers(config.job, cluster))
        self.replaced = self._failed_loads = 0
        self._actors: dict[int, Any] = {}
        self._idle: list[int] = []
        self._in_flight: dict[Any, tuple[int, T | None]] = {}

    def __enter__(self) -> Self:
        """Starts the workers and waits for the first; the others may join later."""
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._cluster))
            self._options, self._device = self._cluster.reserve(
                self._ray, self._config.job.config.model
            )
            self._open(stack)
            stack.callback(self._kill_all)
            for slot in range(self._cluster.workers):
                self._start(slot)
            self._wait_for_the_first()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Kills the workers."""
        self._stack.close()

    @abstractmethod
    def _make(self, slot: int) -> Any:
        """Makes the actor of a worker; one that replaces it has the same slot."""

    @abstractmethod
    def _put_back(self, slot: int, task: T, reason: str) -> None:
        """Has a task done again, whose worker died.

        Raises:
            ModelError: it is taken for the cause.
        """

    def _open(self, stack: ExitStack) -> None:
        """Starts what the workers need, which the stack ends after them."""

    def _watch(self) -> None:
        """Is called before finished tasks are taken, about every second."""

    def _send(self, slot: int, task: T, method: str, *arguments: Any) -> None:
        """Has an idle worker do a task."""
        call = getattr(self._actors[slot], method).remote(*arguments)
        self._in_flight[call] = (slot, task)

    def _collect(self) -> Iterator[tuple[T, Any]]:
        """Waits for finished tasks, but no longer than a moment, and gives their results.

        Raises:
            RankpromptError: what a worker refused, or workers keep dying.
        """
        ray = self._ray
        ready, _ = ray.wait(list(self._in_flight), timeout=_PULSE)
        self._watch()
        for call in ready:
            slot, task = self._in_flight.pop(call)
            try:
                outcome = ray.get(call)
            except ray.exceptions.RayTaskError:
                raise  # an error that is not ours, hence a broken system
            except ray.exceptions.RayError as error:
                self._replace_worker(slot, task, last_line(error))
                continue
            if isinstance(outcome, RankpromptError):
                raise outcome
            self._idle.append(slot)
            if isinstance(outcome, ModelCard):
                self._register(outcome)
            elif task is not None:
                yield task, outcome

    def _replace_worker(self, slot: int, task: T | None, reason: str) -> None:
        self.replaced += 1
        log.warning("a worker died; another takes its place")
        # It may only be out of reach, and must not come back.
        self._ray.kill(self._actors[slot])
        if task is not None:
            self._put_back(slot, task, reason)
        else:
            self._failed_loads += 1
            if self._failed_loads >= DEATHS:
                raise ModelError(f"workers die while they load {self._name}: {reason}")
        self._start(slot)

    def _start(self, slot: int) -> None:
        self._actors[slot] = self._make(slot)
        self._in_flight[self._actors[slot].load.remote()] = (slot, None)

    def _register(self, card: ModelCard) -> None:
        """Takes the card of a worker that has loaded its model."""
        self._failed_loads = 0
        card = card._replace(name=self._name)
        if getattr(self, "model", card) != card:
            raise ModelError(
                f"the workers' machines load {self._name} in different ways, and their answers "
                "would differ; name `dtype` and `device`, and install the same versions on each"
            )
        self.model = card

    def _wait_for_the_first(self) -> None:
        start, warned = time.monotonic(), False
        while not self._idle:
            for _ in self._collect():
                pass
            if not warned and time.monotonic() - start > _PATIENCE:
                warned = True
                log.warning("%s", waiting(self._ray, self._options))

    def _kill_all(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)


def _for_workers(job: RerankJob, cluster: RayCluster) -> RerankJob:
    """A job whose model's path holds in another working directory."""
    prefix, source = split_prefix(job.model)
    path = expand(source)
    name = f"{prefix}{path.resolve()}" if path.exists() else job.model
    model = replace(job.config.model, name=name)
    if cluster.sharing > 1 and model.threads is None:
        # Ray would give each as many as the share of the cores that it reserves.
        model = replace(model, threads=cluster.cores)
    return replace(job, model=name, config=replace(job.config, model=model))
