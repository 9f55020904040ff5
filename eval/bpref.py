"""The measure bpref."""

from collections.abc import Mapping, Sequence

from rankprompt.eval.measures import Measure

__all__ = ["bpref"]


def bpref(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes how seldom documents judged not relevant are ranked above relevant ones.

    Buckley and Voorhees (SIGIR 2004), with trec_eval's bound: of R relevant documents and N judged
    not relevant, each relevant document that is retrieved scores 1 - min(n, R) / min(N, R), where
    n of the latter are ranked above it. Documents that are unjudged, or whose grade is negative (in
    the pool, but not looked at), do not count.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the lowest grade that counts as relevant.

    Returns:
        From 0 to 1, higher is better; 0 where no document is relevant.
    """
    level = measure.level
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
