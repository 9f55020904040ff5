"""Where the relevant documents of a run went in another one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rankprompt.eval.scoring import trec_order
from rankprompt.types import Qrels, Run

__all__ = ["BANDS", "Movement", "band", "movement", "ranks_of"]

BANDS = ("1", "2-3", "4-5", "6-10", "11-20", "21-50", "51-100", "over 100", "absent")
"""The ranges of ranks that documents are counted in, best first."""

_LAST = (1, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Movement:
    """Relevant documents by their ranks before and after.

    Attributes:
        counts: how many there are, by the two bands; a row a band before, a column a band after,
            both in the order of ``BANDS``.
        up: how many stand higher than before; those that come in count, too.
        down: how many stand lower than before; those that are lost count, too.
        same: how many stand at the same rank; those in neither run count nowhere but in ``counts``.
    """

    counts: tuple[tuple[int, ...], ...]
    up: int
    down: int
    same: int


def band(rank: int | None) -> int:
    """The place in ``BANDS`` of a rank, which is from 1; None is a document that is absent."""
    if rank is None:
        return len(BANDS) - 1
    return next((place for place, last in enumerate(_LAST) if rank <= last), len(_LAST))


def ranks_of(scores: Mapping[str, float], wanted: Iterable[str] | None = None) -> dict[str, int]:
    """Ranks from 1, in trec_eval's order, by document id.

    Args:
        scores: of one query, by document id.
        wanted: only these documents, of which some may be absent; None for all.
    """
    ranks = {name: place for place, name in enumerate(trec_order(scores), start=1)}
    return ranks if wanted is None else {name: ranks[name] for name in wanted if name in ranks}


def movement(before: Run, after: Run, qrels: Qrels) -> Movement:
    """Counts how the relevant documents of all queries moved.

    Args:
        before: such as the first stage's run.
        after: such as the reranked run.
        qrels: a document is relevant from grade 1.
    """
    counts: Counter[tuple[int, int]] = Counter()
    ways: Counter[int] = Counter()
    for query, grades in qrels.items():
        relevant = [name for name, grade in grades.items() if grade > 0]
        old = ranks_of(before.get(query, {}), relevant)
        new = ranks_of(after.get(query, {}), relevant)
        for name in relevant:
            one, other = old.get(name), new.get(name)
            counts[band(one), band(other)] += 1
            if one is not None or other is not None:
                first, second = (float("inf") if rank is None else rank for rank in (one, other))
                ways[(first > second) - (first < second)] += 1
    size = range(len(BANDS))
    return Movement(
        counts=tuple(tuple(counts[row, column] for column in size) for row in size),
        up=ways[1],
        down=ways[-1],
        same=ways[0],
    )
