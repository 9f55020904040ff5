"""``result.json``: the result of an evolution."""

from dataclasses import asdict
from typing import Any, TypeAlias

from rankprompt.journal.cached_model import CachedModel
from rankprompt.search.calibration import Selection
from rankprompt.search.config import EvolveConfig
from rankprompt.search.fitness.base import SPLITS, Problem
from rankprompt.search.individual import Individual, genome_digits
from rankprompt.search.search_state import SearchState

__all__ = ["PROMPT_FILE", "RESULT_FILE", "EvolutionResult", "describe_comparison", "make_result"]

RESULT_FILE, PROMPT_FILE = "result.json", "prompt.toml"

EvolutionResult: TypeAlias = dict[str, Any]
"""The content of ``result.json``, as ``make_result`` makes it.

``scores`` are by "seed" and "winner", split and measure; ``calibrated`` is best first. Of a prompt,
``length`` is its number of kept genes and ``fitness`` its score in the search.
"""


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
