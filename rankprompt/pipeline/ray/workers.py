"""The driver: it hands out queries to the workers, collects results, and replaces dead workers."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count, islice
from typing import Any

from rankprompt.errors import InputError, JournalError, ModelError, RankpromptError
from rankprompt.files.home import expand
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.llm.registry import split_prefix
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.ray.cluster import RayCluster, connected, last_line, waiting
from rankprompt.pipeline.ray.worker import (
    Finished,
    JournalActor,
    Worker,
    WorkerConfig,
    WorkerProgress,
)
from rankprompt.pipeline.results import ModelCard
from rankprompt.types import Candidates

__all__ = ["Workers"]

log = logging.getLogger("rankprompt")

# After so many workers have died over a query, the query is taken for the cause.
_DEATHS = 3
_PULSE = 1.0  # seconds between two looks at the workers' progress
_PATIENCE = 30.0  # seconds without a worker, after which the driver says what it waits for


@dataclass
class _Task:
    """Queries for one worker, and how often a worker has died over them."""

    candidates: tuple[Candidates, ...]
    deaths: int = 0
    attempt: int = 0
    reported: int = 0


class Workers:
    """Workers on a cluster, as a context: they start when it is entered and end with it.

    Args:
        config: what each worker must know.
        journal: a journal in a file.
        cluster: where the workers run.

    Attributes:
        model: the model that the workers loaded.
        costs: what all workers have asked, the dead among them.
        replaced: the workers that died, each replaced by another.
    """

    model: ModelCard

    def __init__(self, config: WorkerConfig, journal: Journal, cluster: RayCluster) -> None:
        job = config.job
        if job.source != "local":
            raise InputError("workers on Ray hold local models; a server or an oracle needs none")
        if job.budget.limited:
            # Each could keep only a share of it, and ties would depend on which worker was faster.
            raise InputError(
                "workers on Ray spend at the same time and cannot keep a budget: leave out "
                "`max_prompts`, `max_tokens` and `max_cost`, or rerank fewer queries with `limit`"
            )
        if journal.path is None:
            raise InputError("a journal in memory cannot be shared with workers; give it a file")
        self._path, self._cluster = journal.path.resolve(), cluster
        self._name, self._config = job.model, replace(config, job=_with_absolute_model(job))
        self.costs, self.replaced = Costs(), 0
        self._failed_loads = 0
        self._attempts = count(1)
        self._actors: dict[int, Any] = {}
        self._idle: list[int] = []
        self._in_flight: dict[Any, tuple[int, _Task | None]] = {}
        self._again: deque[_Task] = deque()

    def __enter__(self) -> "Workers":
        """Starts the workers and waits for the first; the others may join later."""
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._cluster))
            self._options, self._device = self._cluster.reserve(
                self._ray, self._config.job.config.model.device
            )
            self._journal = self._start_journal()
            stack.callback(self._stop)
            for slot in range(self._cluster.workers):
                self._start(slot)
            self._wait_for_the_first()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Kills the workers; what they asked is in the journal."""
        self._stack.close()

    def rerank(
        self, candidates: Iterable[Candidates], on_judged: Callable[[int], None] = lambda _: None
    ) -> Iterator[Finished]:
        """Reranks, and gives groups of queries as they finish, in any order.

        At a time, each worker has up to ``cluster.together`` queries and twice as many wait for it,
        so a million queries need no more memory than a thousand.

        Args:
            candidates: drawn as they are needed; each query once.
            on_judged: called with the number of questions judged, about every second.

        Raises:
            InputError: a query id stands twice.
            ModelError: the model cannot be loaded, or workers keep dying.
            JournalError: the journal fails.
        """
        groups = self._groups(_distinct(candidates))
        waiting = next(groups, None)
        while waiting or self._again or any(task for _, task in self._in_flight.values()):
            while self._idle and (task := self._again.popleft() if self._again else waiting):
                if task is waiting:
                    waiting = next(groups, None)
                self._send(self._idle.pop(), task)
            yield from self._collect(on_judged)

    def _groups(self, candidates: Iterator[Candidates]) -> Iterator[_Task]:
        """Cuts the candidates into groups, the same in every run, whichever worker is faster."""
        shares = 2 * self._cluster.workers
        ahead: deque[Candidates] = deque()
        while True:
            ahead.extend(islice(candidates, shares * self._cluster.together - len(ahead)))
            size = math.ceil(len(ahead) / shares)
            if not size:
                return
            yield _Task(tuple(ahead.popleft() for _ in range(size)))

    def _send(self, slot: int, task: _Task) -> None:
        task.attempt = next(self._attempts)
        call = self._actors[slot].rerank.remote(task.attempt, task.candidates)
        self._in_flight[call] = (slot, task)

    def _collect(self, on_judged: Callable[[int], None] = lambda _: None) -> Iterator[Finished]:
        """Waits for results of the workers, but no longer than a moment."""
        ray = self._ray
        ready, _ = ray.wait(list(self._in_flight), timeout=_PULSE)
        progress = self._progress()
        for slot, task in self._in_flight.values():
            reached = progress.get(slot)
            if task and reached and reached.attempt == task.attempt:
                on_judged(max(0, reached.judged - task.reported))
                task.reported = max(task.reported, reached.judged)
        for call in ready:
            slot, task = self._in_flight.pop(call)
            try:
                outcome = ray.get(call)
            except ray.exceptions.RayTaskError:
                raise  # an error that is not ours, hence a broken system
            except ray.exceptions.RayError as error:
                self._replace_worker(slot, task, progress.get(slot), last_line(error))
                continue
            if isinstance(outcome, RankpromptError):
                raise outcome
            self._idle.append(slot)
            if isinstance(outcome, ModelCard):
                self._register(outcome)
            elif task:
                result = outcome.result
                on_judged(max(0, result.judged - task.reported))
                self.costs.merge(outcome.costs)
                yield outcome

    def _replace_worker(
        self, slot: int, task: _Task | None, reached: WorkerProgress | None, reason: str
    ) -> None:
        """Replaces a dead worker, and puts its queries back."""
        self.replaced += 1
        log.warning("a worker died; another takes its place")
        # It may only be out of reach, and must not come back.
        self._ray.kill(self._actors[slot])
        if task is None:
            self._failed_loads += 1
            if self._failed_loads >= _DEATHS:
                raise ModelError(f"workers die while they load {self._name}: {reason}")
        else:
            if reached and reached.attempt == task.attempt:
                self.costs.merge(reached.costs)
            task.deaths += 1
            if task.deaths == _DEATHS:
                raise ModelError(
                    f"query {task.candidates[0].query.id}: {_DEATHS} workers died over it, one "
                    "after the other, often for want of memory: try fewer `workers` or a smaller "
                    "`batch_tokens`; all that was answered is kept in the journal"
                )
            if task.deaths < _DEATHS - 1:
                # As it was: the same group forms the same batches, so the numbers stay the same.
                self._again.append(task)
            else:
                # Once more, each query on its own, to know which one is the cause.
                self._again.extend(
                    replace(task, candidates=(query,), reported=0) for query in task.candidates
                )
        self._start(slot)

    def _start(self, slot: int) -> None:
        actor = self._ray.remote(Worker).options(**self._options)
        self._actors[slot] = actor.remote(self._config, self._journal, slot, self._device)
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

    def _start_journal(self) -> Any:
        ray = self._ray
        here = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
            node_id=ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = ray.remote(JournalActor).options(num_cpus=0, scheduling_strategy=here)
        return actor.remote(self._path)

    def _progress(self) -> dict[int, WorkerProgress]:
        try:
            progress: dict[int, WorkerProgress] = self._ray.get(self._journal.progress.remote())
        except self._ray.exceptions.RayError as error:
            raise JournalError(
                f"{self._path}: the process that keeps the journal died: {last_line(error)}"
            ) from error
        return progress

    def _stop(self) -> None:
        ray = self._ray
        for actor in self._actors.values():
            ray.kill(actor)
        try:
            ray.get(self._journal.close.remote(), timeout=10)
        except ray.exceptions.RayError as error:  # nothing is lost: all answers are committed
            log.debug("the journal's process did not close it: %s", error)
        ray.kill(self._journal)


def _with_absolute_model(job: RerankJob) -> RerankJob:
    """A job whose model's path holds in another working directory."""
    prefix, source = split_prefix(job.model)
    path = expand(source)
    name = f"{prefix}{path.resolve()}" if path.exists() else job.model
    config = replace(job.config, model=replace(job.config.model, name=name))
    return replace(job, model=name, config=config)


def _distinct(candidates: Iterable[Candidates]) -> Iterator[Candidates]:
    seen = set()
    for query in candidates:
        if query.query.id in seen:
            raise InputError("a query id stands twice among the candidates")
        seen.add(query.query.id)
        yield query
