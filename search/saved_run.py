"""Reading a run folder to show it; nothing in it is changed."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import InputError
from rankprompt.search.calibration import CalibratedIndividual
from rankprompt.search.genome import Genome
from rankprompt.search.history import top_share
from rankprompt.search.individual import Individual
from rankprompt.search.result import RESULT_FILE, EvolutionResult
from rankprompt.search.run_folder import read_history
from rankprompt.search.settings_file import read_settings

__all__ = ["SavedRun", "best_prompts", "load_run", "pruned_spans"]


class SavedRun(NamedTuple):
    """A run folder: its history, the seed's pieces, and the result if the run is finished.

    ``pieces`` are as in ``SeedPrompt``.
    """

    folder: Path
    history: list[Individual]
    pieces: list[tuple[str, int | None]]
    result: EvolutionResult | None


def load_run(folder: Path) -> SavedRun:
    """Reads a run folder.

    Raises:
        InputError: the folder is not a run folder, or its files are damaged.
    """
    history = read_history(folder)
    try:
        seed: Any = read_settings(folder)["about"]["seed"]
        pieces = [(text, gene) for text, gene in seed]
        path = folder / RESULT_FILE
        result = json.loads(path.read_text("utf-8")) if path.exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: cannot be read: {error}") from error
    return SavedRun(folder, history, pieces, result)


def best_prompts(run: SavedRun, number: int) -> list[CalibratedIndividual]:
    """Gives the best prompts, best first: by calibration if that is done, else by fitness.

    Without calibration there are no measures.
    """
    if run.result is None:
        return [
            CalibratedIndividual(individual, {})
            for individual in top_share(run.history, 1.0)[:number]
        ]
    return [
        CalibratedIndividual(run.history[calibrated["number"]], calibrated["calibration"])
        for calibrated in run.result["calibrated"][:number]
    ]


def pruned_spans(pieces: Sequence[tuple[str, int | None]], genome: Genome) -> list[tuple[str, str]]:
    """Gives the seed's text in spans, each with its kind: "frozen", "kept" or "pruned"."""
    kinds = ["frozen" if gene is None else ("pruned", "kept")[genome[gene]] for _, gene in pieces]
    texts = iter(pieces)
    return [("".join(next(texts)[0] for _ in group), kind) for kind, group in groupby(kinds)]
