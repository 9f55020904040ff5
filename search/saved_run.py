"""Reading a run's folder to show it; nothing there is changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import InputError
from rankprompt.search.evolution import RESULT
from rankprompt.search.history import top
from rankprompt.search.individual import Individual
from rankprompt.search.run_folder import read_history

__all__ = ["Prompt", "Run", "best_prompts", "load_run"]


class Run(NamedTuple):
    """A run's folder: its history, the seed's pieces, and the result once there is one.

    ``pieces`` are texts in the seed's order, each with the number of its gene if it has one.
    """

    folder: Path
    history: list[Individual]
    pieces: list[tuple[str, int | None]]
    result: dict[str, Any] | None


class Prompt(NamedTuple):
    """An individual, and what it is worth on the calibration split where it was calibrated."""

    individual: Individual
    measures: Mapping[str, float]


def load_run(folder: Path) -> Run:
    """Reads a run.

    Raises:
        InputError: the folder is no run's, or its files are damaged.
    """
    history = read_history(folder)
    try:
        made = json.loads((folder / "settings.json").read_text("utf-8"))
        pieces = [(text, gene) for text, gene in made["about"]["seed"]]
        path = folder / RESULT
        result = json.loads(path.read_text("utf-8")) if path.exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: cannot be read: {error}") from error
    return Run(folder, history, pieces, result)


def best_prompts(run: Run, number: int) -> list[Prompt]:
    """The best prompts: by calibration where that is done, else by fitness; best first."""
    if run.result is None:
        return [Prompt(one, {}) for one in top(run.history, 1.0)[:number]]
    return [
        Prompt(run.history[one["number"]], one["calibration"])
        for one in run.result["calibrated"][:number]
    ]
