"""The actors on Ray: a worker with its model, and the driver's journal.

Plain classes, which ``rankprompt.pipeline.ray.workers`` makes actors; importing them needs no Ray.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rankprompt.errors import InputError, JournalError, ModelError, RankpromptError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Entry, Journal
from rankprompt.llm.base import Answer, LanguageModel
from rankprompt.pipeline.execution import make_guard, rerank_locally
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.results import BlockResult, ModelCard, model_card
from rankprompt.types import Candidates

__all__ = [
    "Finished", "JournalActor", "ModelHolder", "Worker", "WorkerConfig", "WorkerProgress",
    "error_as_value",
]  # fmt: skip

R = TypeVar("R")


@dataclass(frozen=True)
class WorkerConfig:
    """Everything that a worker must know.

    Attributes:
        job: a validated job; its files are not read, and its budget is not kept.
        load: "module:function", which takes the job and a device, and gives a language model.
    """

    job: RerankJob
    load: str = "rankprompt.pipeline.model_access:load_local"


class WorkerProgress(NamedTuple):
    """How far an attempt at some queries has come."""

    attempt: int
    judged: int
    costs: Costs


class Finished(NamedTuple):
    """The result of queries that a worker has reranked together.

    ``answers``, ``refused`` and ``scores`` are the counts of the worker's guard.
    """

    costs: Costs
    result: BlockResult
    answers: Counter[str]
    refused: Counter[tuple[str, str]]
    scores: Counter[float]


class JournalActor:
    """The driver's journal, open to the workers, and the latest progress of each worker.

    A journal belongs to the thread that opened it, so this actor opens the file once more.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._progress: dict[int, WorkerProgress] = {}

    def get(self, slot: int, progress: WorkerProgress, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """As ``Journal.get``, for the worker in this slot."""
        self._progress[slot] = progress
        return self._journal.get(keys)

    def put(
        self,
        slot: int,
        progress: WorkerProgress,
        answers: Mapping[bytes, Answer],
        chunk: bytes,
        tokens: int,
        padding: int,
    ) -> None:
        """As ``Journal.put``, for the worker in this slot."""
        self._journal.put(answers, chunk=chunk, tokens=tokens, padding=padding)
        self._progress[slot] = progress

    def forget(self, slot: int, progress: WorkerProgress, keys: Sequence[bytes]) -> None:
        """As ``Journal.forget``, for the worker in this slot."""
        self._progress[slot] = progress
        self._journal.forget(keys)

    def progress(self) -> dict[int, WorkerProgress]:
        """The latest progress by slot."""
        return self._progress

    def close(self) -> None:
        """Closes the file."""
        self._journal.close()


class _RemoteJournal:
    """The driver's journal as a worker sees it; each call is a message to its actor.

    All calls wait: no batch is asked before the batch before it is committed.
    """

    def __init__(self, journal_actor: Any, slot: int, attempt: int) -> None:
        self._actor, self._slot, self._attempt = journal_actor, slot, attempt
        self.costs = Costs()
        self._judged = 0

    def count(self, number: int) -> None:
        """Counts judged questions."""
        self._judged += number

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        found: dict[bytes, Entry] = self._call(self._actor.get, keys)
        return found

    def put(
        self, answers: Mapping[bytes, Answer], *, chunk: bytes, tokens: int, padding: int
    ) -> None:
        self._call(self._actor.put, answers, chunk, tokens, padding)

    def forget(self, keys: Sequence[bytes]) -> None:
        self._call(self._actor.forget, keys)

    def _call(self, called: Any, *arguments: Any) -> Any:
        ray = import_module("ray")
        progress = WorkerProgress(self._attempt, self._judged, self.costs)
        try:
            return ray.get(called.remote(self._slot, progress, *arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise JournalError(
                "the process that keeps the journal has died; what was committed is kept, "
                "start the same command again"
            ) from error


class ModelHolder:
    """Holds one model.

    Args:
        config: the same for all workers.
        device: of the model.
    """

    model: LanguageModel

    def __init__(self, config: WorkerConfig, device: str) -> None:
        self._config, self._device = config, device

    def load(self) -> ModelCard | RankpromptError:
        """Loads the model, before anything is asked of it."""
        return error_as_value(self._load)

    def _load(self) -> ModelCard:
        module, _, name = self._config.load.partition(":")
        load: Callable[[RerankJob, str], LanguageModel]
        try:
            load = getattr(import_module(module), name)
            self.model = model = load(self._config.job, self._device)
        except ImportError as error:
            raise ModelError(
                f"a worker cannot load {self._config.job.model}: {error}; install the same "
                "packages on every machine of the cluster"
            ) from error
        # Each worker would count the queries that it cuts.
        return model_card(model)._replace(queries_cut=None)


class Worker(ModelHolder):
    """Holds one model, and reranks what it is sent.

    Args:
        config: the same for all workers.
        journal_actor: the actor of the driver's journal.
        slot: this worker's number; a worker that replaces it has the same number.
        device: of the model.
    """

    def __init__(self, config: WorkerConfig, journal_actor: Any, slot: int, device: str) -> None:
        super().__init__(config, device)
        self._journal_actor, self._slot = journal_actor, slot

    def rerank(self, attempt: int, candidates: Sequence[Candidates]) -> Finished | RankpromptError:
        """Reranks some queries together."""
        return error_as_value(lambda: self._rerank(attempt, candidates))

    def _rerank(self, attempt: int, candidates: Sequence[Candidates]) -> Finished:
        journal = _RemoteJournal(self._journal_actor, self._slot, attempt)
        cached = CachedModel(self.model, journal)
        cached.costs = journal.costs
        job = self._config.job
        guard = make_guard(job)
        result = rerank_locally(candidates, cached, job, guard, journal.count)
        return Finished(cached.costs, result, guard.counts, guard.refused, guard.scores)


def error_as_value(work: Callable[[], R]) -> R | RankpromptError:
    """Gives an error of ours as a value, of a kind that survives pickling (not all do)."""
    try:
        return work()
    except RankpromptError as error:
        kinds = (JournalError, ModelError, InputError, RankpromptError)
        return next(kind for kind in kinds if isinstance(error, kind))(str(error))
