"""The driver: hands out queries, hears of rankings and of deaths."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count, islice
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError, JournalError, ModelError, RankpromptError
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.pipeline.ray.cluster import Cluster, connected, last_line
from rankprompt.pipeline.ray.worker import Card, Finished, Keeper, Note, Worker, WorkerSettings
from rankprompt.rankers import method
from rankprompt.types import Candidates

__all__ = ["Workers"]

log = logging.getLogger("rankprompt")

# So many workers may die over the same query; then it is taken for the cause.
_DEATHS = 3
_PULSE = 1.0  # seconds between two looks at how far the workers are
_PATIENCE = 30.0  # seconds without a worker, after which we say what is waited for


@dataclass
class _Task:
    """Queries for one worker, and how often a worker has died over them."""

    place: int
    candidates: tuple[Candidates, ...]
    deaths: int = 0
    attempt: int = 0
    shown: int = 0


class Workers:
    """Workers on a cluster, as a context: they start when it is entered and end with it.

    Args:
        settings: of each worker.
        journal: a file.
        cluster: where they run.

    Attributes:
        model: what they loaded.
        replaced: workers that died, each replaced by another.
        lost: what these had spent on queries that they did not finish.
    """

    model: Card

    def __init__(self, settings: WorkerSettings, journal: Journal, cluster: Cluster) -> None:
        job = settings.job
        method(job.method or "")
        if job.server or job.oracle:
            raise InputError("workers on Ray hold local models; a server or an oracle needs none")
        if job.budget.limited:
            # Each could only keep a share of it, and what was a tie would depend on who was faster.
            raise InputError(
                "workers on Ray spend at the same time and cannot keep a budget: leave out "
                "--max-prompts, --max-tokens and --max-cost, or rerank fewer queries with --limit"
            )
        if journal.path is None:
            raise InputError("a journal in memory cannot be shared with workers; give it a file")
        self._path, self._cluster = journal.path.resolve(), cluster
        if Path(job.model).expanduser().exists():
            # A worker's working directory is not ours.
            job = replace(job, model=str(Path(job.model).expanduser().resolve()))
        self._shown_as, self._settings = settings.job.model, replace(settings, job=job)
        self.replaced, self.lost = 0, Costs()
        self._stillborn = 0
        self._attempts = count(1)
        self._actors: dict[int, Any] = {}
        self._idle: list[int] = []
        self._under_way: dict[Any, tuple[int, _Task | None]] = {}
        self._again: deque[_Task] = deque()

    def __enter__(self) -> "Workers":
        """Starts the workers and waits for the first; the others may join later."""
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._cluster))
            self._options, self._device = self._share()
            self._keeper = self._start_keeper()
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
        """Reranks, and gives groups of queries as they are done.

        At a time, ``together`` queries a worker are under way and twice as many wait for one, so a
        million need no more memory than a thousand. Call it once.

        Raises:
            RankpromptError: as ``scale_out``.
        """
        groups = self._groups(iter(candidates))
        waiting = next(groups, None)
        while waiting or self._again or any(task for _, task in self._under_way.values()):
            while self._idle and (task := self._again.popleft() if self._again else waiting):
                if task is waiting:
                    waiting = next(groups, None)
                self._send(self._idle.pop(), task)
            yield from self._hear(on_judged)

    def _groups(self, candidates: Iterator[Candidates]) -> Iterator[_Task]:
        """Cuts the candidates into groups, the same at every run, whoever is faster."""
        shares = 2 * self._cluster.workers
        ahead: deque[Candidates] = deque()
        place = 0
        while True:
            ahead.extend(islice(candidates, shares * self._cluster.together - len(ahead)))
            size = math.ceil(len(ahead) / shares)
            if not size:
                return
            yield _Task(place, tuple(ahead.popleft() for _ in range(size)))
            place += size

    def _send(self, slot: int, task: _Task) -> None:
        task.attempt = next(self._attempts)
        asked = self._actors[slot].rerank.remote(task.attempt, task.place, task.candidates)
        self._under_way[asked] = (slot, task)

    def _hear(self, on_judged: Callable[[int], None] = lambda _: None) -> Iterator[Finished]:
        """Waits for news of the workers, but no longer than a moment."""
        ray = self._ray
        done, _ = ray.wait(list(self._under_way), timeout=_PULSE)
        notes = self._notes()
        for slot, task in self._under_way.values():
            note = notes.get(slot)
            if task and note and note.attempt == task.attempt and note.judged > task.shown:
                on_judged(note.judged - task.shown)
                task.shown = note.judged
        for asked in done:
            slot, task = self._under_way.pop(asked)
            try:
                outcome = ray.get(asked)
            except ray.exceptions.RayTaskError:
                raise  # not ours, hence a broken system
            except ray.exceptions.RayError as error:
                self._bury(slot, task, notes.get(slot), last_line(error))
                continue
            if isinstance(outcome, RankpromptError):
                raise outcome
            self._idle.append(slot)
            if isinstance(outcome, Card):
                self._meet(outcome)
            elif task:
                judged = outcome.judged
                on_judged(max(0, judged.asked + judged.from_journal - task.shown))
                yield outcome

    def _bury(self, slot: int, task: _Task | None, note: Note | None, reason: str) -> None:
        """Replaces a dead worker and puts its queries back."""
        self.replaced += 1
        log.warning("a worker died; another takes its place")
        # It may only be out of reach, and must not come back.
        self._ray.kill(self._actors[slot])
        if task is None:
            self._stillborn += 1
            if self._stillborn >= _DEATHS:
                raise ModelError(f"workers die while they load {self._shown_as}: {reason}")
        else:
            if note and note.attempt == task.attempt:
                self.lost.merge(note.costs)
            task.deaths += 1
            if task.deaths == _DEATHS:
                raise ModelError(
                    f"query {task.candidates[0].query.id}: {_DEATHS} workers died over it, one "
                    "after the other, often for want of memory: try fewer --workers or a smaller "
                    "--batch-tokens; all that was answered is kept in the journal"
                )
            if task.deaths < _DEATHS - 1:
                # As it was: the same group forms the same batches, so numbers stay the same.
                self._again.append(task)
            else:
                # Once more, each on its own, to know which it is.
                self._again.extend(
                    replace(task, place=task.place + i, candidates=(one,), shown=0)
                    for i, one in enumerate(task.candidates)
                )
        self._start(slot)

    def _start(self, slot: int) -> None:
        actor = self._ray.remote(Worker).options(**self._options)
        self._actors[slot] = actor.remote(self._settings, self._keeper, slot, self._device)
        self._under_way[self._actors[slot].load.remote()] = (slot, None)

    def _meet(self, card: Card) -> None:
        self._stillborn = 0
        card = card._replace(name=self._shown_as)
        if getattr(self, "model", card) != card:
            raise ModelError(
                f"the workers' machines load {self._shown_as} in different ways, and their answers "
                "would differ; name --dtype and --device, and install the same versions on each"
            )
        self.model = card

    def _wait_for_the_first(self) -> None:
        start, told = time.monotonic(), False
        while not self._idle:
            for _ in self._hear():
                pass
            if not told and time.monotonic() - start > _PATIENCE:
                told = True
                has = self._ray.cluster_resources()
                log.warning(
                    "no worker is ready yet; each wants %g CPUs and %g GPUs, the cluster has %g "
                    "and %g",
                    *self._options.values(),
                    *(has.get(kind, 0) for kind in ("CPU", "GPU")),
                )

    def _share(self) -> tuple[dict[str, Any], str]:
        """What each worker gets of the machines, and the device of its model."""
        cluster, device = self._cluster, self._settings.job.device
        found = self._ray.cluster_resources().get("GPU", 0)
        gpus = cluster.gpus_per_worker
        if gpus is None:
            gpus = float(found >= 1 and device != "cpu")
        if cluster.address == "local" and gpus * cluster.workers > found:
            raise InputError(
                f"{cluster.workers} workers with {gpus:g} GPUs each need more than the "
                f"{found:g} of this machine: fewer --workers, or another --gpus-per-worker"
            )
        if device == "auto" and not gpus:
            # What is not reserved for it belongs to others.
            device = "cpu"
        return {"num_cpus": cluster.cores, "num_gpus": gpus}, device

    def _start_keeper(self) -> Any:
        ray = self._ray
        here = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
            node_id=ray.get_runtime_context().get_node_id(), soft=False
        )
        keeper = ray.remote(Keeper).options(num_cpus=0, scheduling_strategy=here)
        return keeper.remote(self._path)

    def _notes(self) -> dict[int, Note]:
        try:
            notes: dict[int, Note] = self._ray.get(self._keeper.notes.remote())
        except self._ray.exceptions.RayError as error:
            raise JournalError(
                f"{self._path}: the process that keeps the journal died: {last_line(error)}"
            ) from error
        return notes

    def _stop(self) -> None:
        ray = self._ray
        for actor in self._actors.values():
            ray.kill(actor)
        try:
            ray.get(self._keeper.close.remote(), timeout=10)
        except ray.exceptions.RayError as error:
            # Nothing is lost: what was put is committed.
            log.debug("the journal's process did not close it: %s", error)
        ray.kill(self._keeper)
