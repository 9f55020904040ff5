"""What runs on Ray's machines: a worker with its model, and the keeper of the driver's journal.

Plain classes, which ``rankprompt.pipeline.ray.workers`` makes actors; importing them needs no Ray.
"""

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
from rankprompt.pipeline.blocks import Judged, ask
from rankprompt.pipeline.config import Job
from rankprompt.prompts.prompt import Prompt
from rankprompt.types import Candidates

__all__ = ["Card", "Finished", "Keeper", "Note", "Worker", "WorkerSettings"]

R = TypeVar("R")


@dataclass(frozen=True)
class WorkerSettings:
    """All that a worker must know.

    Attributes:
        job: resolved (``rankprompt.pipeline.validation.resolve``); its files are not read, and its
            budget is not kept.
        prompt: what is asked.
        load: "module:function", which takes what ``rankprompt.llm.load_model`` takes.
    """

    job: Job
    prompt: Prompt
    load: str = "rankprompt.llm:load_model"


class Card(NamedTuple):
    """What a model is known by; the same on all workers, or the run would be nobody's."""

    name: str
    fingerprint: str
    context_length: int


class Note(NamedTuple):
    """How far an attempt at some queries has come."""

    attempt: int
    judged: int
    costs: Costs


class Finished(NamedTuple):
    """Queries that a worker has reranked together.

    ``place`` is the first one's among all candidates, the others follow it.
    """

    place: int
    costs: Costs
    judged: Judged


class Keeper:
    """The driver's journal, open to the workers; and the latest note of each of them.

    A journal belongs to the thread that opened it, so this opens the file once more, beside the
    driver.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._notes: dict[int, Note] = {}

    def get(self, slot: int, note: Note, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """As ``Journal.get``, for the worker in this slot."""
        self._notes[slot] = note
        return self._journal.get(keys)

    def put(
        self, slot: int, note: Note, answers: Mapping[bytes, Answer], settings: dict[str, Any]
    ) -> None:
        """As ``Journal.put``, for the worker in this slot."""
        self._journal.put(answers, **settings)
        self._notes[slot] = note

    def notes(self) -> dict[int, Note]:
        """The latest note by slot."""
        return self._notes

    def close(self) -> None:
        """Closes the file."""
        self._journal.close()


class _RemoteJournal:
    """The driver's journal as a worker sees it; each call is a message to the keeper.

    Both calls wait: no batch is asked before the one before it is committed.
    """

    def __init__(self, keeper: Any, slot: int, attempt: int) -> None:
        self._keeper, self._slot, self._attempt = keeper, slot, attempt
        self.costs = Costs()
        self._judged = 0

    def judged(self, number: int) -> None:
        self._judged += number

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        found: dict[bytes, Entry] = self._call(self._keeper.get, keys)
        return found

    def put(
        self, answers: Mapping[bytes, Answer], *, chunk: bytes, tokens: int, padding: int
    ) -> None:
        sizes = {"chunk": chunk, "tokens": tokens, "padding": padding}
        self._call(self._keeper.put, answers, sizes)

    def _call(self, called: Any, *what: Any) -> Any:
        ray = import_module("ray")
        note = Note(self._attempt, self._judged, self.costs)
        try:
            return ray.get(called.remote(self._slot, note, *what))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise JournalError(
                "the process that keeps the journal has died; what was committed is kept, "
                "start the same command again"
            ) from error


class Worker:
    """Holds one model, and reranks what it is sent.

    Args:
        settings: the same for all workers.
        keeper: the journal's actor.
        slot: this worker's number; the one that replaces it will have the same.
        device: for the model.
    """

    def __init__(self, settings: WorkerSettings, keeper: Any, slot: int, device: str) -> None:
        self._settings, self._keeper, self._slot, self._device = settings, keeper, slot, device
        self._model: LanguageModel | None = None

    def load(self) -> Card | RankpromptError:
        """Loads the model."""
        return _told(self._load)

    def rerank(
        self, attempt: int, place: int, candidates: Sequence[Candidates]
    ) -> Finished | RankpromptError:
        """Reranks some queries together."""
        return _told(lambda: self._rerank(attempt, place, candidates))

    def _load(self) -> Card:
        job = self._settings.job
        module, _, name = self._settings.load.partition(":")
        try:
            self._model = model = getattr(import_module(module), name)(
                job.model, **{**job.loading, "device": self._device}
            )
        except ImportError as error:
            raise ModelError(
                f"a worker cannot load {job.model}: {error}; install the same packages on every "
                "machine of the cluster"
            ) from error
        return Card(model.name, model.fingerprint, model.context_length)

    def _rerank(self, attempt: int, place: int, candidates: Sequence[Candidates]) -> Finished:
        assert self._model is not None, "a worker is sent queries only once it has loaded"
        job, prompt = self._settings.job, self._settings.prompt
        journal = _RemoteJournal(self._keeper, self._slot, attempt)
        answering = CachedModel(self._model, journal)
        answering.costs = journal.costs
        judged = ask(candidates, answering, job, prompt, journal.judged)
        return Finished(place, answering.costs, judged)


def _told(work: Callable[[], R]) -> R | RankpromptError:
    """Gives an error of ours as a value, of a kind that survives pickling (not all do)."""
    try:
        return work()
    except RankpromptError as error:
        kinds = (JournalError, ModelError, InputError, RankpromptError)
        return next(kind for kind in kinds if isinstance(error, kind))(str(error))
