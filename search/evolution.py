"""The evolution of a prompt as a job: from a task file to a folder with a prompt and its record.

A run's folder holds what ``Record`` keeps (settings, history, checkpoint), ``answers.journal``, and
at the end ``prompt.toml``, the winner, and ``result.json``. A file named ``stop`` ends the search
after the generation that is under way.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rankprompt.errors import InputError, ModelError
from rankprompt.files.atomic_write import write_together
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm import LanguageModel, load_model
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.pipeline.config import ORACLE, SERVER
from rankprompt.search.calibration import Selected, select
from rankprompt.search.config import SearchSettings
from rankprompt.search.fitness import SPLITS, Problem, make_problem
from rankprompt.search.genome import Offsets, SeedPrompt
from rankprompt.search.registry import search
from rankprompt.search.run_folder import Record
from rankprompt.search.search_state import Generation, Limits, Search
from rankprompt.search.tasks import Task, load_task

if TYPE_CHECKING:
    from rankprompt.search.individual import Individual

__all__ = ["RESULT", "EvolveJob", "Watch", "run_evolution"]

RESULT, PROMPT = "result.json", "prompt.toml"


@dataclass(frozen=True)
class EvolveJob:
    """The settings of an evolution; None stands for "what suits the others".

    Attributes:
        task: the task file.
        output: the run's folder; the same job again resumes it.
        search: how to search; its seed draws the demonstrations and the search split, too.
        model: as for ``load_model``.
        dtype: as for ``load_model``.
        device: as for ``load_model``.
        batch_tokens: as for ``load_model``.
        threads: as for ``load_model``.
        max_prompts: ends the search, after a generation, when so many were asked of the model by
            this process; calibration and test come on top.
    """

    task: Path
    output: Path
    search: SearchSettings = field(default_factory=SearchSettings)
    model: str = "smollm2-135m"
    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | None = None
    threads: int | None = None
    max_prompts: int | None = None


class Watch(Protocol):
    """Told how a run goes; the command line says it on stderr."""

    def began(self, problem: Problem, seed: SeedPrompt, resumed: int) -> None:
        """The data are read; ``resumed`` generations were finished before."""

    def generation(self, finished: Generation, pace: float) -> None:
        """A generation is finished; ``pace`` are evaluations a second of this process."""

    def calibrating(self, stop: str, prompts: int) -> None:
        """The search ended, and why; so many distinct prompts were scored."""


class _Silent:
    def began(self, problem: Problem, seed: SeedPrompt, resumed: int) -> None:
        """Says nothing."""

    def generation(self, finished: Generation, pace: float) -> None:
        """Says nothing."""

    def calibrating(self, stop: str, prompts: int) -> None:
        """Says nothing."""


def run_evolution(
    job: EvolveJob,
    watch: Watch | None = None,
    *,
    load: Callable[..., LanguageModel] = load_model,
    tokens: Callable[[str], Offsets] = model_offsets,
) -> dict[str, Any]:
    """Evolves a prompt, calibrates, selects, tests, and writes the result.

    Args:
        job: what to do.
        watch: is told how it goes.
        load: loads the model.
        tokens: gives the offsets of a model's tokens by the model's name.

    Returns:
        What ``result.json`` holds.

    Raises:
        InputError: the task, its data or the folder cannot be used.
        ModelError: the model cannot be loaded, or a prompt does not fit into its context.
    """
    watch = watch or _Silent()
    task = load_task(job.task)
    _check_folder(job.output)
    if job.model.startswith((SERVER, ORACLE)):
        raise InputError(
            f"--model {job.model}: evolve needs the log-probabilities of given texts; name a "
            "model on this machine"
        )
    model = load(
        job.model,
        dtype=job.dtype,
        device=job.device,
        batch_tokens=job.batch_tokens,
        threads=job.threads,
        starts_end=True,
    )
    # The journal goes into the record's folder, which is made when all data have proved good.
    cached = CachedModel(model, Journal(None))
    problem = make_problem(task, cached, job.search, job.search.seed)
    seed = SeedPrompt(problem.segments, tokens(job.model))
    about = {"model": model.fingerprint, "task": _described(task), "data": dict(problem.about)}
    with Record(job.output, seed, job.search, about) as record, _journal(job.output) as journal:
        cached.journal = journal
        under_way = _search(job, record, problem, seed, cached, watch)
        if not under_way.history:
            raise InputError(f"the search ended before its first generation: {under_way.stop}")
        selected = select(
            problem, under_way.history, job.search.calibrated, seed.render(seed.whole)
        )
        if selected is None:
            raise ModelError(
                f"every prompt is infeasible: {model.name} gave no finite log-probabilities"
            )
        result = _result(job, problem, seed, under_way, selected, cached)
        text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
        write_together(
            {
                job.output / PROMPT: problem.file(selected.winner.text),
                job.output / RESULT: text,
            }
        )
    as_written: dict[str, Any] = json.loads(text)
    return as_written


def _search(
    job: EvolveJob,
    record: Record,
    problem: Problem,
    seed: SeedPrompt,
    model: CachedModel,
    watch: Watch,
) -> Search:
    under_way = record.begin(problem)
    watch.began(problem, seed, under_way.generation)

    def spent() -> bool:
        return job.max_prompts is not None and model.costs.prompts >= job.max_prompts

    before, started = under_way.archive.evaluations, time.perf_counter()
    for finished in search(under_way, Limits(job.output / "stop", spent)):
        record.save(under_way)
        new = under_way.archive.evaluations - before
        watch.generation(finished, new / (time.perf_counter() - started))
    watch.calibrating(under_way.stop or "", under_way.archive.evaluations)
    return under_way


def _check_folder(folder: Path) -> None:
    if not folder.resolve().parent.is_dir():
        raise InputError(f"cannot make {folder}: its own folder does not exist")


@contextmanager
def _journal(folder: Path) -> Iterator[Journal]:
    with closing(Journal(folder / "answers.journal")) as journal:
        yield journal


def _described(task: Task) -> dict[str, Any]:
    """The task as JSON takes it; not where its files lie, for their content is told elsewhere."""
    return {
        name: vars(value) if name == "splits" else value if _plain(value) else str(value)
        for name, value in vars(task).items()
        if not isinstance(value, Path)
    }


def _plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | tuple | dict)


def _result(
    job: EvolveJob,
    problem: Problem,
    seed: SeedPrompt,
    under_way: Search,
    selected: Selected,
    model: CachedModel,
) -> dict[str, Any]:
    def shown(one: "Individual") -> dict[str, Any]:
        return {
            "number": one.number,
            "generation": one.generation,
            "genome": "".join("01"[kept] for kept in one.genome),
            "length": one.length,
            "tokens": one.tokens,
            "fitness": one.score,
        }

    return {
        "task": str(job.task),
        "model": model.model.name,
        "fingerprint": model.model.fingerprint,
        "search": asdict(job.search),
        "stop": under_way.stop,
        "generations": under_way.generation,
        "evaluations": under_way.archive.evaluations,
        "infeasible": under_way.archive.infeasible,
        "seconds": round(under_way.seconds, 3),
        "labels": dict(problem.labels),
        "genes": len(seed.genes),
        "winner": {**shown(selected.winner), "text": selected.winner.text},
        "scores": {
            name: {split: dict(found[split]) for split in SPLITS}
            for name, found in selected.scores.items()
        },
        "comparison": problem.comparison(seed.render(seed.whole), selected.winner.text),
        "calibrated": [
            {**shown(one), "calibration": dict(measures)} for one, measures in selected.calibrated
        ],
        "costs": asdict(model.costs),
    }
