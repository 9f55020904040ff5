"""Measures that tell documents judged not relevant from unjudged ones.

ranx has no judged@k. It has bpref, but counts the filling of the arrays that it is handed as
judged, and divides 0 by 0 where no document is judged not relevant.
"""

from collections.abc import Mapping, Sequence

__all__ = ["bpref", "judged_share"]


def bpref(ranking: Sequence[str], grades: Mapping[str, int], level: int = 1) -> float:
    """How well relevant documents stand before those judged not relevant, as in trec_eval.

    Buckley and Voorhees, SIGIR 2004, with trec_eval's bound: each relevant document loses the
    share of the first R judged not relevant that stand before it, of as many as there are (R is the
    number of relevant documents). Documents that are unjudged, or whose grade is negative (in the
    pool, but not looked at), do not count.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        level: the lowest grade that counts as relevant.

    Returns:
        From 0 to 1, higher is better; 0 where no document is relevant.
    """
    relevant = sum(grade >= level for grade in grades.values())
    bound = min(relevant, sum(0 <= grade < level for grade in grades.values()))
    total, before = 0.0, 0
    for name in ranking:
        grade = grades.get(name, -1)
        if grade >= level:
            total += 1 - min(before, relevant) / bound if before else 1
        elif grade >= 0:
            before += 1
    return total / relevant if relevant else 0.0


def judged_share(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The share of the first k documents that have a grade, whatever it is, as in ir_measures.

    Args:
        ranking: document ids, best first; where there are fewer than k, the share is of these.
        grades: of the query, by document id.
        k: at least 1.
    """
    top = ranking[:k]
    return sum(name in grades for name in top) / len(top)
