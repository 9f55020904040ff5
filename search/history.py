"""What a history has to offer."""

from collections.abc import Iterable

from rankprompt.search.individual import Individual

__all__ = ["front", "top"]


def _distinct(history: Iterable[Individual]) -> list[Individual]:
    """The feasible individuals, of each text the first; best first, then shorter, then elder."""
    first = {one.text: one for one in reversed(list(history)) if one.score is not None}
    return sorted(first.values(), key=lambda one: (-(one.score or 0.0), one.length, one.number))


def top(history: Iterable[Individual], share: float) -> list[Individual]:
    """The best share of the distinct feasible prompts, best first; at least one if there is any.

    Calibration scores these again (arXiv 2506.17930, calibration-then-selection).
    """
    prompts = _distinct(history)
    return prompts[: max(1, round(share * len(prompts)))]


def front(history: Iterable[Individual]) -> list[Individual]:
    """The prompts that no other beats in both score and length, best score (and longest) first."""
    kept: list[Individual] = []
    for one in _distinct(history):
        if not kept or one.length < kept[-1].length:
            kept.append(one)
    return kept
