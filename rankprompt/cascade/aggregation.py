"""From windows to a document: its score, and the passage that a judge reads.

A document has as many scores as windows were read, and no place is filled up: so no padding can be
taken for a score, and a negative score is not worse than a window that is not there.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rankprompt.errors import InputError, ModelError

__all__ = [
    "LEARNED",
    "TOP_WEIGHTS",
    "Aggregate",
    "aggregate_by",
    "best_places",
    "join_slices",
    "learned",
    "top_weights",
    "weighted_top",
]

Aggregate: TypeAlias = Callable[[Sequence[float]], float]
"""A document's score from those of its windows, at least one; higher is more relevant."""

TOP_WEIGHTS = "cascade.json"
"""The file beside a teacher's own that holds its learned top-l weights."""

LEARNED = "learned"
"""The aggregation by the weights that training left in a teacher's folder."""

GAP = " ... "
"""Stands between slices of a text that do not touch."""


def aggregate_by(name: str, folder: Path | None = None) -> Aggregate:
    """Finds an aggregation by name.

    Args:
        name: "max" (MaxP); "mean:L", the mean of the L best, or of all where there are fewer; or
            "learned", by the weights in the teacher's folder.
        folder: the teacher's; None where it has none.

    Raises:
        InputError: none of them, or the folder holds no weights.
        ModelError: the file that holds them cannot be read.
    """
    if name == "max":
        return max
    if name == LEARNED:
        found = learned(folder) if folder else None
        if found is None:
            raise InputError(
                f"{folder or 'a language model'}: no learned weights of the best windows "
                f"({TOP_WEIGHTS}, from `rankprompt cascade train --stage documents`)"
            )
        return found
    kind, _, number = name.partition(":")
    if kind == "mean" and number.isdecimal() and int(number):
        return partial(_mean_top, top=int(number))
    raise InputError(
        f"scores are aggregated by max, learned or mean:L, such as mean:3, not {name!r}"
    )


def learned(folder: Path) -> Aggregate | None:
    """The top-l weights that training left in a teacher's folder; None where there are none.

    Raises:
        ModelError: the file that holds them cannot be read.
    """
    weights = top_weights(folder)
    return None if weights is None else partial(weighted_top, weights=weights)


def top_weights(folder: Path) -> tuple[float, ...] | None:
    """The weights themselves, of the best window, of the second, and so on; as ``learned``."""
    path = folder.expanduser() / TOP_WEIGHTS
    if not path.exists():
        return None
    try:
        return tuple(map(float, json.loads(path.read_text("utf-8"))["top_weights"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the top-l weights in {path}: {error}") from error


def weighted_top(scores: Sequence[float], weights: Sequence[float]) -> float:
    """The best l scores, best first, times l weights (IDCM, eq. 3); a missing one adds nothing."""
    best = sorted(scores, reverse=True)
    return sum(score * weight for score, weight in zip(best, weights, strict=False))


def best_places(scores: Sequence[float], keep: int) -> list[int]:
    """The places of the ``keep`` best scores, best first; of equal ones, the first."""
    return sorted(range(len(scores)), key=lambda place: -scores[place])[:keep]


def join_slices(text: str, slices: Iterable[tuple[int, int]]) -> str:
    """Joins slices (start, end) of a text, in the text's order.

    Slices that overlap or touch become one, so nothing is shown twice; between others stands
    ``GAP``. All windows of a text joined are the text itself.
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
