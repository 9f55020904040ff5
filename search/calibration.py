"""Calibration, then selection (arXiv 2506.17930): the winner is who also does well elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.search.fitness import SPLITS, Measures, Problem
from rankprompt.search.history import top
from rankprompt.search.individual import Individual

__all__ = ["Calibrated", "Selected", "calibrate", "select"]


class Calibrated(NamedTuple):
    """An individual and what it is worth on the calibration split."""

    individual: Individual
    measures: Measures


class Selected(NamedTuple):
    """What a search came to.

    ``calibrated`` is best first; ``scores`` are by "seed" and "winner", then by split.
    """

    winner: Individual
    calibrated: list[Calibrated]
    scores: dict[str, dict[str, Measures]]


def calibrate(problem: Problem, history: Sequence[Individual], share: float) -> list[Calibrated]:
    """Scores the best share of a history again, on the calibration split.

    Returns:
        Best first: by the problem's measures in their order, then by the search's score, then
        the shorter.
    """
    best = top(history, share)
    measured = problem.measures([one.text for one in best], "calibration") if best else []
    found = [Calibrated(*each) for each in zip(best, measured, strict=True)]
    # Sorting is stable, and top gives the better and shorter first.
    return sorted(found, key=lambda one: tuple(one.measures.values()), reverse=True)


def select(
    problem: Problem, history: Sequence[Individual], share: float, seed_text: str
) -> Selected | None:
    """Calibrates, and scores the winner and the seed prompt on all three splits.

    Only these two are ever scored on the test split. None where every prompt is infeasible.
    """
    calibrated = calibrate(problem, history, share)
    if not calibrated:
        return None
    winner = calibrated[0].individual
    both = {"seed": seed_text, "winner": winner.text}
    scores: dict[str, dict[str, Measures]] = {name: {} for name in both}
    for split in SPLITS:
        for name, found in zip(both, problem.measures(list(both.values()), split), strict=True):
            scores[name][split] = found
    return Selected(winner, calibrated, scores)
