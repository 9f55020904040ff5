"""How the ranks of relevant documents change from one run to another."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rankprompt.eval.scoring import trec_order
from rankprompt.types import Qrels, Run

__all__ = ["BANDS", "Movement", "band", "movement", "ranks_of"]

BANDS = ("1", "2-3", "4-5", "6-10", "11-20", "21-50", "51-100", "over 100", "absent")
"""The ranges of ranks in which documents are counted, best first."""

_LAST_RANKS = (1, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Movement:
    """Relevant documents by their ranks before and after.

    Attributes:
        counts: numbers of documents, a row for each band before and a column for each band after,
            both in the order of ``BANDS``.
        up: how many rank higher than before, those that were absent included.
        down: how many rank lower than before, those that are now absent included.
        same: how many keep their rank; documents in neither run are only in ``counts``.
    """

    counts: tuple[tuple[int, ...], ...]
    up: int
    down: int
    same: int


def band(rank: int | None) -> int:
    """Gives the index in ``BANDS`` of a rank, from 1; None is the rank of an absent document."""
    return len(BANDS) - 1 if rank is None else bisect_left(_LAST_RANKS, rank)


def ranks_of(scores: Mapping[str, float]) -> dict[str, int]:
    """Ranks a query's documents from 1 in trec_eval's order, by document id."""
    return {document: rank for rank, document in enumerate(trec_order(scores), start=1)}


def movement(before: Run, after: Run, qrels: Qrels) -> Movement:
    """Counts how the relevant documents of all queries moved.

    Args:
        before: such as the first stage's run.
        after: such as the reranked run.
        qrels: grades by query and document; a document is relevant from grade 1.
    """
    counts: Counter[tuple[int, int]] = Counter()
    up = down = same = 0
    for query, grades in qrels.items():
        old_ranks, new_ranks = (ranks_of(run.get(query, {})) for run in (before, after))
        for document in (document for document, grade in grades.items() if grade > 0):
            counts[band(old_ranks.get(document)), band(new_ranks.get(document))] += 1
            old, new = (ranks.get(document, math.inf) for ranks in (old_ranks, new_ranks))
            up += new < old
            down += new > old
            same += new == old < math.inf
    size = range(len(BANDS))
    table = tuple(tuple(counts[row, column] for column in size) for row in size)
    return Movement(table, up, down, same)
