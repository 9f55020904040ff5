"""From window scores to a document's score, and from chosen windows to a passage.

A document has exactly as many scores as windows were scored. Missing windows are deliberately not
padded with a score of 0, which would rank above a negative score.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rankprompt.errors import InputError, ModelError
from rankprompt.files.home import expand
from rankprompt.files.json_schema import read_as

__all__ = [
    "LEARNED", "TOP_WEIGHTS", "Aggregate", "aggregate_by", "join_slices", "top_indices",
    "top_overlap", "top_weights", "weighted_top",
]  # fmt: skip

Aggregate: TypeAlias = Callable[[Sequence[float]], float]
"""Combines the scores of a document's windows (at least one); higher is more relevant."""

TOP_WEIGHTS = "cascade.json"
"""The file in a teacher's folder that holds its learned top-l weights."""

LEARNED = "learned"
"""The aggregation that uses the top-l weights in the teacher's folder."""

GAP = " ... "
"""Separates slices of a text that do not touch."""


@dataclass(frozen=True)
class _Card:
    top_weights: tuple[float, ...]


def aggregate_by(name: str, folder: Path | None = None) -> Aggregate:
    """Returns an aggregation by name.

    Args:
        name: "max", the best window's score (MaxP); "mean:L", the mean of the best L scores, or of
            all scores where there are fewer; or "learned", the weights in the teacher's folder.
        folder: The teacher's folder; None for a teacher without one.

    Raises:
        InputError: The name is unknown, or the folder holds no weights.
        ModelError: The file of weights cannot be read.
    """
    if name == "max":
        return max
    if name == LEARNED:
        weights = top_weights(folder) if folder else None
        if weights is None:
            raise InputError(
                f"{folder or 'a language model'}: no learned weights of the best windows "
                f"({TOP_WEIGHTS}, which `rankprompt cascade train` writes in the documents stage)"
            )
        return partial(weighted_top, weights=weights)
    kind, _, number = name.partition(":")
    if kind == "mean" and number.isdecimal() and int(number):
        return partial(_mean_top, top=int(number))
    raise InputError(
        f"scores are aggregated by max, learned or mean:L, such as mean:3, not {name!r}"
    )


def top_weights(folder: Path) -> tuple[float, ...] | None:
    """Returns a teacher's learned top-l weights, for the best window first, or None.

    Raises:
        ModelError: The file of weights cannot be read.
    """
    path = expand(folder) / TOP_WEIGHTS
    if not path.exists():
        return None
    try:
        weights = read_as(_Card, path).top_weights
    except InputError as error:
        problem = getattr(error, "problem", error)
        raise ModelError(f"cannot read the top-l weights in {path}: {problem}") from error
    if not weights or not all(map(math.isfinite, weights)):
        raise ModelError(f"{path}: the top-l weights must be finite numbers, at least one")
    return weights


def weighted_top(scores: Sequence[float], weights: Sequence[float]) -> float:
    """Returns the best l scores times l weights, best first (IDCM, eq. 3).

    A window that does not exist adds nothing.

    Examples:
        >>> weighted_top([1.0, 4.0, 2.0], weights=[1.0, 0.5])
        5.0
    """
    best = sorted(scores, reverse=True)
    return sum(score * weight for score, weight in zip(best, weights, strict=False))


def top_indices(scores: Sequence[float], k: int) -> list[int]:
    """Returns the indices of the ``k`` highest scores, best first; ties keep their order."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])[:k]


def top_overlap(chosen: Iterable[int], teacher: Sequence[float], k: int) -> float | None:
    """Returns the share of the teacher's best ``k`` windows that a student chose, 0 to 1.

    The share is None for a document of ``k`` windows or fewer, where there is no choice.
    """
    return len({*chosen} & {*top_indices(teacher, k)}) / k if len(teacher) > k else None


def join_slices(text: str, slices: Iterable[tuple[int, int]]) -> str:
    """Joins slices (start, end) of a text in the order of the text.

    Slices that overlap or touch are merged, so no character is repeated; ``GAP`` separates the
    others. Joining all windows of a text gives the text itself.

    Examples:
        >>> join_slices("abcdefghij", [(6, 8), (0, 3), (2, 4)])
        'abcd ... gh'
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(slices):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return GAP.join(text[start:end] for start, end in merged)


def _mean_top(scores: Sequence[float], top: int) -> float:
    best = sorted(scores, reverse=True)[:top]
    return sum(best) / len(best)
