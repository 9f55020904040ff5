"""Pointwise: every item is graded by itself, in a single round."""

from collections.abc import Sequence
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Grade, PointwiseQuestion

__all__ = ["METHOD", "pointwise"]

T = TypeVar("T")


def pointwise(items: Sequence[T]) -> QuestionGenerator[tuple[T], Grade, list[T]]:
    """Ranks by grades: N questions in one round. A single item is graded, too, for its score.

    The prompt decides what a grade is: the probability of yes (arXiv 2211.09110), an expected label
    (arXiv 2310.14122) or the query's likelihood (UPR, arXiv 2204.07496). Equal grades keep the
    order of ``items``. An item whose grade is unknown keeps its position, and the others are ranked
    among the remaining positions (ours).
    """
    if not items:
        return []
    grades = yield [(item,) for item in items]
    graded = {index: grade for index, grade in enumerate(grades) if grade is not None}
    ranked = iter(sorted(graded, key=lambda index: -graded[index]))
    return [items[next(ranked) if index in graded else index] for index in range(len(items))]


def _estimate(n: int, _: RankerSettings) -> int:
    return n


METHOD = Method(lambda _: pointwise, _estimate, PointwiseQuestion)
