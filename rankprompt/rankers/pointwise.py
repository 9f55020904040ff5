"""Pointwise: every item is graded by itself, in one round."""

from collections.abc import Sequence
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Grade, PointwiseQuestion

__all__ = ["METHOD", "pointwise"]

T = TypeVar("T")


def pointwise(items: Sequence[T]) -> QuestionGenerator[tuple[T], Grade, list[T]]:
    """Ranks by grades, N of them in one round; equal grades keep the order of ``items``.

    What the grade is, is the prompt's affair: the probability of a yes, an expected label
    (arXiv 2310.14122), the query's likelihood (arXiv 2204.07496). An item whose grade is unknown
    keeps its place, and the others share out the rest (ours).
    """
    if len(items) < 2:
        return list(items)
    grades = yield [(item,) for item in items]
    known = {place: grade for place, grade in enumerate(grades) if grade is not None}
    best = iter(sorted(known, key=lambda place: -known[place]))
    return [items[next(best) if place in known else place] for place in range(len(items))]


def _estimate(n: int, _: RankerSettings) -> int:
    return n if n > 1 else 0


METHOD = Method(lambda _: pointwise, _estimate, PointwiseQuestion)
