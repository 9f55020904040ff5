"""Calibration-then-selection (arXiv 2506.17930, section 4)."""

from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.journal.cached_model import CachedModel
from rankprompt.search.fitness.base import SPLITS, Measures, Problem
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.history import top_share
from rankprompt.search.individual import Individual

__all__ = ["CalibratedIndividual", "Selection", "select"]


class CalibratedIndividual(NamedTuple):
    """An individual and its measures on the calibration split."""

    individual: Individual
    measures: Measures


class Selection(NamedTuple):
    """The outcome of a search.

    ``calibrated`` is best first; ``scores`` are by "seed" and "winner", then by split.
    """

    winner: Individual
    calibrated: list[CalibratedIndividual]
    scores: dict[str, dict[str, Measures]]


def select(
    problem: Problem,
    model: CachedModel,
    seed: SeedPrompt,
    history: Sequence[Individual],
    share: float,
) -> Selection | None:
    """Scores the best share of a history again on the calibration split, and selects the winner.

    The winner is best by the problem's measures in their order, then by the score of the search,
    then the shorter. It and the seed prompt are scored on all three splits; no other prompt is ever
    scored on the test split.

    Returns:
        None where every prompt is infeasible.
    """
    best = top_share(history, share)
    if not best:
        return None
    prompts = [seed.template(individual.genome) for individual in best]
    measures = problem.measures(model, prompts, "calibration")
    # Sorting is stable, and the top share is ordered by score, then length.
    calibrated = sorted(
        map(CalibratedIndividual, best, measures),
        key=lambda calibrated: tuple(calibrated.measures.values()),
        reverse=True,
    )
    winner = calibrated[0].individual
    compared = [seed.template(seed.whole), seed.template(winner.genome)]
    scores: dict[str, dict[str, Measures]] = {"seed": {}, "winner": {}}
    for split in SPLITS:
        scores["seed"][split], scores["winner"][split] = problem.measures(model, compared, split)
    return Selection(winner, calibrated, scores)
