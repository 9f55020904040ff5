"""``result.json``: the result of an evolution."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from rankprompt.errors import FormatError
from rankprompt.files.json_schema import parse_as, parse_json, read_text
from rankprompt.journal.cached_model import CachedModel
from rankprompt.search.calibration import Selection
from rankprompt.search.config import EvolveConfig
from rankprompt.search.fitness.base import SPLITS, Problem
from rankprompt.search.individual import Individual, genome_digits
from rankprompt.search.search_state import SearchState

__all__ = [
    "PROMPT_FILE",
    "RESULT_FILE",
    "EvolutionResult",
    "describe_comparison",
    "make_result",
    "read_result",
    "tabulate",
]

RESULT_FILE, PROMPT_FILE = "result.json", "prompt.toml"

EvolutionResult: TypeAlias = dict[str, Any]
"""The content of ``result.json``, as ``make_result`` makes it.

``scores`` are by "seed" and "winner", split and measure; ``calibrated`` is best first. Of a prompt,
``length`` is its number of kept genes and ``fitness`` its score in the search.
"""


@dataclass(frozen=True)
class _Splits:
    search: dict[str, float]
    calibration: dict[str, float]
    test: dict[str, float]


@dataclass(frozen=True)
class _Scores:
    seed: _Splits
    winner: _Splits


@dataclass(frozen=True)
class _Comparison:
    measure: str
    wins: int
    losses: int
    mcnemar: float | None = None
    randomisation: float | None = None


@dataclass(frozen=True)
class _Calibrated:
    number: int
    calibration: dict[str, float]


@dataclass(frozen=True)
class _Result:
    """What is shown of a result."""

    scores: _Scores
    comparison: _Comparison | None
    calibrated: list[_Calibrated]


def read_result(path: Path, individuals: int) -> EvolutionResult:
    """Reads a result again.

    Args:
        path: the file.
        individuals: the number of individuals in the history.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is no result, or not of a history of this length.
    """
    text = read_text(path)
    try:
        result = parse_as(_Result, text)
        for prompt in result.calibrated:
            if not 0 <= prompt.number < individuals:
                raise ValueError(f"the history has no individual {prompt.number}")
    except ValueError as error:
        raise FormatError(path, None, f"not a result of this search: {error}") from error
    return cast(EvolutionResult, parse_json(text))


def make_result(
    config: EvolveConfig,
    problem: Problem,
    state: SearchState,
    selection: Selection,
    model: CachedModel,
) -> EvolutionResult:
    """Makes the result of a finished evolution."""
    seed, winner = state.seed, selection.winner
    return {
        "task": str(config.task),
        "model": model.model.name,
        "fingerprint": model.model.fingerprint,
        "search": asdict(config.search),
        "stop": state.stop,
        "generations": state.generation,
        "evaluations": state.archive.evaluations,
        "infeasible": state.archive.infeasible,
        "seconds": round(state.seconds, 3),
        "labels": dict(problem.labels),
        "genes": len(seed.genes),
        "winner": {**_prompt_result(winner), "text": winner.text},
        "scores": {
            name: {split: dict(by_split[split]) for split in SPLITS}
            for name, by_split in selection.scores.items()
        },
        "comparison": problem.comparison(seed.template(seed.whole), seed.template(winner.genome)),
        "calibrated": [
            {**_prompt_result(individual), "calibration": dict(measures)}
            for individual, measures in selection.calibrated
        ],
        "costs": asdict(model.costs),
    }


def _prompt_result(individual: Individual) -> dict[str, object]:
    return {
        "number": individual.number,
        "generation": individual.generation,
        "genome": genome_digits(individual.genome),
        "length": individual.length,
        "tokens": individual.tokens,
        "fitness": individual.score,
    }


def tabulate(result: EvolutionResult) -> tuple[list[str], list[list[str]]]:
    """Gives the scores of seed and winner as a table: its columns and its rows, as texts."""
    measures = list(result["scores"]["seed"]["test"])
    rows = [
        [prompt, split, *(f"{values[name]:.4f}" if name in values else "-" for name in measures)]
        for prompt, splits in result["scores"].items()
        for split, values in splits.items()
    ]
    return ["prompt", "split", *measures], rows


def describe_comparison(result: EvolutionResult) -> str | None:
    """Describes the paired test of the winner against the seed in a sentence, if there is one."""
    comparison = result["comparison"]
    if comparison is None:
        return None
    p = comparison.get("mcnemar", comparison.get("randomisation"))
    return (
        f"{comparison['measure']} on the test split, winner against seed: {comparison['wins']} "
        f"wins, {comparison['losses']} losses, {'no test' if p is None else f'p = {p:.3g}'}"
    )
