"""The driver of a reranking: it hands out queries to the workers, and collects results."""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count, islice
from typing import Any

from rankprompt.errors import InputError, JournalError, ModelError
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.pipeline.ray.cluster import RayCluster, last_line
from rankprompt.pipeline.ray.pool import DEATHS, Pool
from rankprompt.pipeline.ray.worker import (
    Finished,
    JournalActor,
    Worker,
    WorkerConfig,
    WorkerProgress,
)
from rankprompt.types import Candidates

__all__ = ["Workers"]

log = logging.getLogger("rankprompt")


@dataclass
class _Task:
    """Queries for one worker, and how often a worker has died over them."""

    candidates: tuple[Candidates, ...]
    deaths: int = 0
    attempt: int = 0
    reported: int = 0


class Workers(Pool[_Task]):
    """Workers that rerank, as a context; what they asked is in the journal.

    Args:
        config: what each worker must know.
        journal: a journal in a file.
        cluster: where the workers run.

    Attributes:
        costs: what all workers have asked, the dead among them.
    """

    def __init__(self, config: WorkerConfig, journal: Journal, cluster: RayCluster) -> None:
        super().__init__(config, cluster)
        if config.job.budget.limited:
            # Each could keep only a share of it, and ties would depend on which worker was faster.
            raise InputError(
                "workers on Ray spend at the same time and cannot keep a budget: leave out "
                "`max_prompts`, `max_tokens` and `max_cost`, or rerank fewer queries with `limit`"
            )
        if journal.path is None:
            raise InputError("a journal in memory cannot be shared with workers; give it a file")
        self._path = journal.path.resolve()
        self.costs = Costs()
        self._attempts = count(1)
        self._again: deque[_Task] = deque()
        self._progress: dict[int, WorkerProgress] = {}
        self._on_judged: Callable[[int], None] = lambda _: None

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
        self._on_judged = on_judged
        groups = self._groups(_distinct(candidates))
        waiting = next(groups, None)
        while waiting or self._again or any(task for _, task in self._in_flight.values()):
            while self._idle and (task := self._again.popleft() if self._again else waiting):
                if task is waiting:
                    waiting = next(groups, None)
                task.attempt = next(self._attempts)
                self._send(self._idle.pop(), task, "rerank", task.attempt, task.candidates)
            for task, finished in self._collect():
                on_judged(max(0, finished.result.judged - task.reported))
                self.costs.merge(finished.costs)
                yield finished

    def _groups(self, candidates: Iterator[Candidates]) -> Iterator[_Task]:
        """Cuts the candidates into groups, the same in every run, whichever worker is faster."""
        shares = 2 * self._cluster.workers
        most = shares * self._cluster.group_size(self._options["num_gpus"])
        ahead: deque[Candidates] = deque()
        while True:
            ahead.extend(islice(candidates, most - len(ahead)))
            size = math.ceil(len(ahead) / shares)
            if not size:
                return
            yield _Task(tuple(ahead.popleft() for _ in range(size)))

    def _watch(self) -> None:
        """Reports how far the workers have come."""
        try:
            self._progress = self._ray.get(self._journal.progress.remote())
        except self._ray.exceptions.RayError as error:
            raise JournalError(
                f"{self._path}: the process that keeps the journal died: {last_line(error)}"
            ) from error
        for slot, task in self._in_flight.values():
            if task and (reached := self._reached(slot, task)):
                self._on_judged(max(0, reached.judged - task.reported))
                task.reported = max(task.reported, reached.judged)

    def _reached(self, slot: int, task: _Task) -> WorkerProgress | None:
        reached = self._progress.get(slot)
        return reached if reached and reached.attempt == task.attempt else None

    def _put_back(self, slot: int, task: _Task, reason: str) -> None:
        del reason
        if reached := self._reached(slot, task):
            self.costs.merge(reached.costs)
        task.deaths += 1
        if task.deaths == DEATHS:
            raise ModelError(
                f"query {task.candidates[0].query.id}: {DEATHS} workers died over it, one after "
                "the other, often for want of memory: try fewer `workers` or a smaller "
                "`batch_tokens`; all that was answered is kept in the journal"
            )
        if task.deaths < DEATHS - 1:
            # As it was: the same group forms the same batches, so the numbers stay the same.
            self._again.append(task)
        else:
            # Once more, each query on its own, to know which one is the cause.
            self._again.extend(
                replace(task, candidates=(query,), reported=0) for query in task.candidates
            )

    def _make(self, slot: int) -> Any:
        actor = self._ray.remote(Worker).options(**self._options)
        return actor.remote(self._config, self._journal, slot, self._device)

    def _open(self, stack: ExitStack) -> None:
        """Starts the journal's actor on this machine, which alone need reach the file."""
        ray = self._ray
        here = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
            node_id=ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = ray.remote(JournalActor).options(num_cpus=0, scheduling_strategy=here)
        self._journal = actor.remote(self._path)
        stack.callback(self._close_journal)

    def _close_journal(self) -> None:
        ray = self._ray
        try:
            ray.get(self._journal.close.remote(), timeout=10)
        except ray.exceptions.RayError as error:  # nothing is lost: all answers are committed
            log.debug("the journal's process did not close it: %s", error)
        ray.kill(self._journal)


def _distinct(candidates: Iterable[Candidates]) -> Iterator[Candidates]:
    seen = set()
    for query in candidates:
        if query.query.id in seen:
            raise InputError("a query id stands twice among the candidates")
        seen.add(query.query.id)
        yield query
