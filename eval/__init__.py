"""Evaluation: measures by name, scores, paired tests, and a report of several runs.

Importing this package loads nothing heavy; scoring needs Python alone, the tests need scipy.
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
from rankprompt.eval.scoring import Scores, ndcg_at_10, score, trec_order

__all__ = [
    "DEFAULT_MEASURES",
    "GROUPS",
    "Comparison",
    "Grades",
    "Measure",
    "Scores",
    "compare",
    "ndcg_at_10",
    "parse_measure",
    "parse_measures",
    "score",
    "trec_order",
]
