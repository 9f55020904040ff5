"""The evolution of a prompt: from a task file to a run folder with the winner and its record.

A run folder holds what ``RunFolder`` writes (settings, history, checkpoint), ``answers.journal``,
with a server ``spent.jsonl``, and, at the end, ``prompt.toml`` (the winner) and ``result.json``. A
file named ``stop`` in it ends the search after the current generation.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import InputError, ModelError
from rankprompt.files.atomic_write import write_together
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import Offsets, model_offsets
from rankprompt.pipeline.model_access import load_local
from rankprompt.search.calibration import select
from rankprompt.search.config import EvolveConfig
from rankprompt.search.fitness.base import Problem
from rankprompt.search.fitness.registry import make_problem
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.models import Load, model_job, offsets_of, open_model
from rankprompt.search.registry import run_search
from rankprompt.search.result import PROMPT_FILE, RESULT_FILE, EvolutionResult, make_result
from rankprompt.search.run_folder import RunFolder
from rankprompt.search.search_state import ExternalStop, Generation, SearchState
from rankprompt.search.served_model import ServedModel
from rankprompt.search.spending import Spending, describe_spending
from rankprompt.search.task_types import ExampleTask, Task
from rankprompt.search.tasks import load_task

__all__ = ["Pace", "ProgressListener", "run_evolution"]


class Pace(NamedTuple):
    """The speed of this process, and the time left for the budget of evaluations, if known."""

    evaluations_per_second: float
    seconds_left: float | None


class ProgressListener:
    """Receives the progress of an evolution; its methods do nothing unless they are overridden."""

    def on_start(self, problem: Problem, seed: SeedPrompt, finished_generations: int) -> None:
        """The data are read, and so many generations were finished by an earlier process."""

    def on_generation(self, generation: Generation, pace: Pace) -> None:
        """A generation is finished."""

    def on_calibration(self, stop: str, evaluations: int) -> None:
        """The search ended, for the reason ``stop``, after so many evaluations."""


def run_evolution(
    config: EvolveConfig,
    listener: ProgressListener | None = None,
    *,
    load: Load = load_local,
    tokens: Callable[[str], Offsets] = model_offsets,
) -> EvolutionResult:
    """Evolves a prompt, calibrates, selects, tests, and writes the result.

    All data are read and checked before the run folder is made, and a server is asked whether it
    can answer.

    Args:
        config: the configuration.
        listener: receives the progress.
        load: loads a model in this process, given the job that names it.
        tokens: gives the token offsets of a model by its name.

    Returns:
        The content of ``result.json``.

    Raises:
        InputError: the task, its data or the run folder cannot be used.
        ModelError: the model cannot be loaded, cannot answer, or a prompt does not fit into its
            context.
    """
    listener = listener or ProgressListener()
    task, job = load_task(config.task), model_job(config)
    if not config.output.resolve().parent.is_dir():
        raise InputError(f"cannot make {config.output}: its own folder does not exist")
    with ExitStack() as stack:
        model = open_model(job, stack, load)
        problem = make_problem(task, config.search)
        problem.check_model(model)
        seed = SeedPrompt(problem.segments, offsets_of(job, tokens))
        checked = Costs()
        if isinstance(model, ServedModel) and not (config.output / "settings.json").exists():
            checked = problem.check_answers(model)
        about = {"model": model.fingerprint, "task": _describe(task), "data": dict(problem.about)}
        folder = stack.enter_context(RunFolder(config.output, seed, config.search, about))
        journal = stack.enter_context(closing(Journal(config.output / "answers.journal")))
        cached = CachedModel(model, journal)
        spent = cached.costs
        if isinstance(model, ServedModel):
            spending = stack.enter_context(Spending(config.output))
            if checked.prompts:
                spending.add(checked)
            model.record, spent = spending.add, spending.costs
        state = _search(config, folder, problem, cached, listener, partial(job.budget.spent, spent))
        if not state.history:
            raise InputError(f"the search ended before its first generation: {state.stop}")
        selection = select(problem, cached, seed, state.history, config.search.calibrated)
        if selection is None:
            raise ModelError(
                f"every prompt is infeasible: {model.name} gave no finite log-probabilities"
            )
        result = make_result(config, problem, state, selection, cached)
        if isinstance(model, ServedModel):
            result["spent"] = describe_spending(spent, job.budget)
        text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
        winner = seed.template(selection.winner.genome)
        write_together(
            {
                config.output / PROMPT_FILE: problem.format_file(winner),
                config.output / RESULT_FILE: text,
            }
        )
    as_written: EvolutionResult = json.loads(text)
    return as_written


def _search(
    config: EvolveConfig,
    folder: RunFolder,
    problem: Problem,
    model: CachedModel,
    listener: ProgressListener,
    budget_spent: Callable[[], bool],
) -> SearchState:
    state = folder.resume(partial(problem.fitness, model))
    listener.on_start(problem, state.seed, state.generation)
    before, started = state.archive.evaluations, time.perf_counter()
    for generation in run_search(state, ExternalStop(config.output / "stop", budget_spent)):
        folder.save(state)
        evaluations = state.archive.evaluations
        speed = (evaluations - before) / (time.perf_counter() - started)
        left = max(0, config.search.evaluations - evaluations)
        listener.on_generation(generation, Pace(speed, left / speed if left and speed else None))
    listener.on_calibration(state.stop or "", state.archive.evaluations)
    return state


def _describe(task: Task) -> dict[str, object]:
    """Describes a task as JSON takes it; its files are described by the digests of their data."""
    values = {name: value for name, value in vars(task).items() if not isinstance(value, Path)}
    if isinstance(task, ExampleTask):
        values["template"] = str(task.template)
    return {**values, "splits": vars(task.splits)}
