"""Labelled triples of a query, a better passage and a worse one, from graded qrels."""

from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Document, Qrels, Query

__all__ = ["Triple", "make_triples"]


class Triple(NamedTuple):
    """A labelled pair: one passage is more relevant to the query than the other."""

    query: Query
    better: Document
    worse: Document


def make_triples(
    candidates: Sequence[Candidates], qrels: Qrels, *, gap: int, number: int, seed: int
) -> list[Triple]:
    """Makes labelled triples of passages that the first stage retrieved.

    The worse passage is a hard negative, ranked as high as possible; the better one is drawn by the
    seed. Only judged passages are taken, as one without a grade may be relevant.

    Args:
        candidates: queries with the top of their runs, best first.
        qrels: relevance grades.
        gap: the smallest difference in grade between the two passages.
        number: the most triples of a query; no passage is the worse one twice.
        seed: of the draw.
    """
    triples = []
    for query, documents, _ in candidates:
        grades = qrels.get(query.id, {})
        judged = [document for document in documents if document.id in grades]
        made = 0
        for worse in judged:
            better = [one for one in judged if grades[one.id] - grades[worse.id] >= gap]
            if better and made < number:
                draws = [uniform(seed, query.id, one.id, worse.id) for one in better]
                triples.append(Triple(query, better[draws.index(min(draws))], worse))
                made += 1
    return triples
