"""The measure judged@k."""

from collections.abc import Mapping, Sequence

from rankprompt.eval.measures import Measure

__all__ = ["judged_share"]


def judged_share(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes the share of the first k documents that have any grade, as ir_measures does.

    Args:
        ranking: document ids, best first, at least one; where there are fewer than k, the share
            is of these.
        grades: of the query, by document id.
        measure: has the cutoff k; without one, all documents are read.
    """
    top = ranking[: measure.k]
    return sum(document in grades for document in top) / len(top)
