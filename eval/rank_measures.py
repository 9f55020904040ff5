"""The measures of a ranking by its relevant documents' ranks and grades, as trec_eval has them.

They are computed in plain Python, so that nothing has to be imported or compiled first. An unjudged
document costs one look into the grades, and reading a run takes most of the time: ranx's compiled
kernels would gain nothing for 10,000 queries with 1,000 documents (docs/results/speed.md).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rankprompt.eval.measures import Measure

__all__ = [
    "average_precision", "ndcg", "precision", "rank_biased_precision", "recall", "reciprocal_rank",
]  # fmt: skip


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes the normalised discounted cumulative gain (Järvelin and Kekäläinen, TOIS 2002).

    The gain is the grade, or 0 below 1, and the discount log2(rank + 1), as in trec_eval's
    ``ndcg_cut``. The ideal ranking has all judged documents, whether they were retrieved or not.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the cutoff; without one, all documents are read.

    Returns:
        From 0 to 1, higher is better; 0 where no document is relevant.
    """
    gains = (max(0, grades.get(document, 0)) for document in ranking[: measure.k])
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[: measure.k]
    return _discounted(gains) / _discounted(ideal) if ideal else 0.0


def average_precision(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes the mean, over all relevant documents, of the precision at the rank of each.

    Relevant documents that were not retrieved, or stand below the cutoff, count 0.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the cutoff and the lowest grade that counts as relevant.

    Returns:
        From 0 to 1, higher is better; 0 where no document is relevant.
    """
    ranks = _relevant_ranks(ranking, grades, measure)
    precisions = (found / rank for found, rank in enumerate(ranks, start=1))
    return _share(sum(precisions), _relevant(grades, measure))


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes 1 / the rank of the first relevant document; 0 where the ranking has none.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the cutoff and the lowest grade that counts as relevant.
    """
    rank = next(_relevant_ranks(ranking, grades, measure), None)
    return 1 / rank if rank else 0.0


def precision(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes the share of relevant documents among the first k, of k even where there are fewer.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the cutoff k and the lowest grade that counts as relevant.
    """
    return _share(_retrieved(ranking, grades, measure), measure.k or len(ranking))


def recall(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> float:
    """Computes the share of the relevant documents that are among the first k.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the cutoff k and the lowest grade that counts as relevant.

    Returns:
        From 0 to 1; 0 where no document is relevant.
    """
    return _share(_retrieved(ranking, grades, measure), _relevant(grades, measure))


def rank_biased_precision(
    ranking: Sequence[str], grades: Mapping[str, int], measure: Measure
) -> float:
    """Computes the share of relevant documents among those that a reader sees.

    Moffat and Zobel (TOIS 27, 2008): the reader goes on from each document to the next with the
    persistence's probability. A document is relevant or not, whatever its grade.

    Args:
        ranking: document ids, best first.
        grades: of the query, by document id.
        measure: has the persistence and the lowest grade that counts as relevant.

    Returns:
        From 0 to 1, higher is better.
    """
    persistence = measure.persistence or 0.0
    ranks = _relevant_ranks(ranking, grades, measure)
    return (1 - persistence) * sum(persistence ** (rank - 1) for rank in ranks)


def _relevant_ranks(
    ranking: Sequence[str], grades: Mapping[str, int], measure: Measure
) -> Iterator[int]:
    """The ranks from 1 of the relevant documents down to the cutoff, in ascending order."""
    level = measure.level
    for rank, document in enumerate(ranking[: measure.k], start=1):
        # Most documents of a run are unjudged.
        if document in grades and grades[document] >= level:
            yield rank


def _retrieved(ranking: Sequence[str], grades: Mapping[str, int], measure: Measure) -> int:
    return sum(1 for _ in _relevant_ranks(ranking, grades, measure))


def _relevant(grades: Mapping[str, int], measure: Measure) -> int:
    return sum(grade >= measure.level for grade in grades.values())


def _discounted(gains: Iterable[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1) if gain)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
