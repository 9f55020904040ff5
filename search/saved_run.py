"""Reading a run folder to show it; nothing in it is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import FormatError
from rankprompt.files.json_schema import read_as
from rankprompt.search.calibration import CalibratedIndividual
from rankprompt.search.genome import Genome
from rankprompt.search.history import top_share
from rankprompt.search.individual import Individual
from rankprompt.search.result import RESULT_FILE, EvolutionResult, read_result
from rankprompt.search.run_folder import read_history

__all__ = ["SavedRun", "best_prompts", "load_run", "pruned_spans"]


class SavedRun(NamedTuple):
    """A run folder: its history, the seed's pieces, and the result if the run is finished.

    ``pieces`` are as in ``SeedPrompt``.
    """

    folder: Path
    history: list[Individual]
    pieces: list[tuple[str, int | None]]
    result: EvolutionResult | None


@dataclass(frozen=True)
class _About:
    seed: list[tuple[str, int | None]]


@dataclass(frozen=True)
class _Settings:
    about: _About


def load_run(folder: Path) -> SavedRun:
    """Reads a run folder.

    Raises:
        InputError: the folder is not a run folder, or its files are damaged.
    """
    history = read_history(folder)
    settings = folder / "settings.json"
    pieces = read_as(_Settings, settings).about.seed
    genes = [gene for _, gene in pieces if gene is not None]
    if genes != list(range(len(genes))) or (history and len(history[0].genome) != len(genes)):
        raise FormatError(settings, None, "the seed is not the one of the history")
    path = folder / RESULT_FILE
    result = read_result(path, len(history)) if path.exists() else None
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
