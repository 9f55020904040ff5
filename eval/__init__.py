"""Evaluation with ranx: measures by name, scores by query, comparisons.

Importing this package costs next to nothing; ranx is imported by the first call of ``score``.
"""

from rankprompt.eval.comparison import Comparison, compare
from rankprompt.eval.grades import Grades
from rankprompt.eval.measures import (
    DEFAULT_MEASURES,
    GROUPS,
    Measure,
    parse_measure,
    parse_measures,
)
from rankprompt.eval.scoring import Scores, score, trec_order

__all__ = [
    "DEFAULT_MEASURES",
    "GROUPS",
    "Comparison",
    "Grades",
    "Measure",
    "Scores",
    "compare",
    "parse_measure",
    "parse_measures",
    "score",
    "trec_order",
]
