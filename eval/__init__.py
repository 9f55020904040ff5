"""Evaluation with ranx: measures by name, scores by query.

Importing this package costs next to nothing; ranx is imported by the first call of ``score``.
"""

from rankprompt.eval.measures import DEFAULT_MEASURES, Measure, parse_measure
from rankprompt.eval.scoring import Scores, score, trec_order

__all__ = ["DEFAULT_MEASURES", "Measure", "Scores", "parse_measure", "score", "trec_order"]
