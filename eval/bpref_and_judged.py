"""The measures that ranx lacks, which tell judged documents that are not relevant from unjudged.

ranx has no judged@k. Its bpref counts the padding of its arrays as judged, and divides 0 by 0 where
no document is judged not relevant.
"""

from collections.abc import Mapping, Sequence

__all__ = ["bpref", "judged_share"]


def bpref(ranking: Sequence[str], grades: Mapping[str, int], level: int = 1) -> float:
    """Computes how seldom documents judged not relevant are ranked above relevant ones.

    Buckley and Voorhees (SIGIR 2004), with trec_eval's bound: of R relevant documents and N judged
    not relevant, each relevant document that is retrieved scores 1 - min(n, R) / min(N, R), where
    n of the latter are ranked above it. Documents that are unjudged, or whose grade is negative (in
    the pool, but not looked at), do not count.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        level: the lowest grade that counts as relevant.

    Returns:
        From 0 to 1, higher is better; 0 where no document is relevant.
    """
    relevant = sum(grade >= level for grade in grades.values())
    bound = min(relevant, sum(0 <= grade < level for grade in grades.values()))
    total, above = 0.0, 0
    for document in ranking:
        grade = grades.get(document, -1)
        if grade >= level:
            total += 1 - min(above, relevant) / bound if above else 1
        elif grade >= 0:
            above += 1
    return total / relevant if relevant else 0.0


def judged_share(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Computes the share of the first k documents that have any grade, as ir_measures does.

    Args:
        ranking: document ids, best first, at least one; where there are fewer than k, the share
            is of these.
        grades: of the query, by document id.
        k: at least 1.
    """
    top = ranking[:k]
    return sum(document in grades for document in top) / len(top)
