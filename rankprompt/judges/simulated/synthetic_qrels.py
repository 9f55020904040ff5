"""Synthetic relevance grades, to plan a run over queries without judgments."""

from math import sqrt

from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates

__all__ = ["synthetic_qrels"]


def synthetic_qrels(candidates: Candidates, seed: int) -> dict[str, int]:
    """Draws synthetic grades: few documents are relevant, and most of these are ranked high.

    The document at rank r of the first stage is relevant with probability 1/(2 sqrt(r)): every
    second document at the top, every twentieth at rank 100, about 9 of 100 in all. A third each of
    the relevant documents has the grades 1, 2 and 3. Where no document is relevant, the document
    that came closest to it has grade 1.

    Args:
        candidates: a query with its documents, best first.
        seed: the seed of the draws, which depend on it and the ids alone.

    Returns:
        The grades of the relevant documents; all others have grade 0.
    """
    query, documents, _ = candidates
    # Below 1 for a relevant document, and then uniformly distributed.
    draws = {
        document.id: uniform(seed, "grade", query.id, document.id) * 2 * sqrt(rank)
        for rank, document in enumerate(documents, start=1)
    }
    grades = {document_id: 3 - int(3 * draw) for document_id, draw in draws.items() if draw < 1}
    return grades or {min(draws, key=lambda document_id: draws[document_id]): 1}
