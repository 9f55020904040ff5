"""The evolution of a prompt: from a task file to a run folder with the winner and its record.

A run folder holds what ``RunFolder`` writes (settings, history, checkpoint), ``answers.journal``
and, at the end, ``prompt.toml`` (the winner) and ``result.json``. A file named ``stop`` in it ends
the search after the current generation.
"""

import json
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import InputError, ModelError
from rankprompt.files.atomic_write import write_together
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm import LanguageModel, load_model
from rankprompt.llm.tokenizer_offsets import Offsets, model_offsets
from rankprompt.pipeline.config import ORACLE, SERVER
from rankprompt.search.calibration import select
from rankprompt.search.config import EvolveConfig
from rankprompt.search.fitness.base import Problem
from rankprompt.search.fitness.registry import make_problem
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.registry import run_search
from rankprompt.search.result import PROMPT_FILE, RESULT_FILE, EvolutionResult, make_result
from rankprompt.search.run_folder import RunFolder
from rankprompt.search.search_state import ExternalStop, Generation, SearchState
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
    load: Callable[..., LanguageModel] = load_model,
    tokens: Callable[[str], Offsets] = model_offsets,
) -> EvolutionResult:
    """Evolves a prompt, calibrates, selects, tests, and writes the result.

    All data are read and checked before the run folder is made.

    Args:
        config: the configuration.
        listener: receives the progress.
        load: loads the model; called as ``load_model``.
        tokens: gives the token offsets of a model by its name.

    Returns:
        The content of ``result.json``.

    Raises:
        InputError: the task, its data or the run folder cannot be used.
        ModelError: the model cannot be loaded, or a prompt does not fit into its context.
    """
    listener = listener or ProgressListener()
    task = load_task(config.task)
    if not config.output.resolve().parent.is_dir():
        raise InputError(f"cannot make {config.output}: its own folder does not exist")
    if config.model.startswith((SERVER, ORACLE)):
        raise InputError(
            f"`model` {config.model}: evolve needs the log-probabilities of given texts; name a "
            "model on this machine"
        )
    model = load(
        config.model,
        dtype=config.dtype,
        device=config.device,
        batch_tokens=config.batch_tokens,
        threads=config.threads,
        starts_end=True,
    )
    problem = make_problem(task, config.search)
    problem.check_model(model)
    seed = SeedPrompt(problem.segments, tokens(config.model))
    about = {"model": model.fingerprint, "task": _describe(task), "data": dict(problem.about)}
    with (
        RunFolder(config.output, seed, config.search, about) as folder,
        closing(Journal(config.output / "answers.journal")) as journal,
    ):
        cached = CachedModel(model, journal)
        state = _search(config, folder, problem, cached, listener)
        if not state.history:
            raise InputError(f"the search ended before its first generation: {state.stop}")
        selection = select(problem, cached, seed, state.history, config.search.calibrated)
        if selection is None:
            raise ModelError(
                f"every prompt is infeasible: {model.name} gave no finite log-probabilities"
            )
        result = make_result(config, problem, state, selection, cached)
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
) -> SearchState:
    state = folder.resume(partial(problem.fitness, model))
    listener.on_start(problem, state.seed, state.generation)

    def budget_spent() -> bool:
        return config.max_prompts is not None and model.costs.prompts >= config.max_prompts

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
