"""Synthetic relevance grades, for a plan of queries that nobody has judged."""

from math import sqrt

from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates

__all__ = ["synthetic_qrels"]


def synthetic_qrels(candidates: Candidates, seed: int) -> dict[str, int]:
    """Synthetic grades: few documents are relevant, and most of these are ranked high.

    The document at rank r of the first stage is relevant with probability 1/(2 sqrt(r)): one in two
    at the top, one in twenty at rank 100, about 9 of 100. Of the relevant, a third each is graded
    1, 2 and 3. Where no document is, the one that came nearest to it gets a 1.

    Args:
        candidates: best first.
        seed: of the draws, which depend on it and the ids alone.

    Returns:
        The grades of the relevant documents; all others have 0.
    """
    query, documents, _ = candidates
    drawn = {
        document.id: uniform(seed, "grade", query.id, document.id) * 2 * sqrt(rank)
        for rank, document in enumerate(documents, start=1)
    }
    grades = {name: 3 - int(3 * share) for name, share in drawn.items() if share < 1}
    return grades or {min(drawn, key=lambda name: drawn[name]): 1}
