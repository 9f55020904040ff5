"""The ceiling of a run: the best quality that any reranking of its first documents can reach."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from rankprompt.types import Qrels, Run

__all__ = ["DEPTHS", "Ceiling", "at_depth", "ceilings_by_depth"]

DEPTHS = (10, 20, 50, 100, 1000)
"""The depths that are reported by default."""


@dataclass(frozen=True)
class Ceiling:
    """The first candidates of all queries, and how far reranking them can go.

    Attributes:
        depth: how many candidates of a query are reranked.
        judged_share: the share of these candidates that have a grade.
        relevant: the mean number of relevant candidates (grade 1 and above) of a query.
        recall: the mean share of a query's relevant documents among its candidates, over the
            queries with a relevant document.
        ceiling: the quality of the candidates sorted by grade; higher is better.
    """

    depth: int
    judged_share: float
    relevant: float
    recall: float
    ceiling: float


def ceilings_by_depth(
    run: Run, qrels: Qrels, quality: Callable[[Run], float], depths: Sequence[int] = DEPTHS
) -> list[Ceiling]:
    """Computes the ceilings at the depths that the run exceeds, and at its full depth.

    Args:
        run: candidates, best first.
        qrels: grades by query and document.
        quality: of a run, such as ``ndcg_at_10(qrels)``; higher is better.
        depths: in any order.
    """
    deepest = max(map(len, run.values()))
    below = [depth for depth in sorted(set(depths)) if depth < deepest]
    return [at_depth(depth, run, qrels, quality) for depth in (*below, deepest)]


def at_depth(depth: int, run: Run, qrels: Qrels, quality: Callable[[Run], float]) -> Ceiling:
    """Computes the ceiling at one depth; see ``ceilings_by_depth``."""
    candidates = judged = 0
    relevant: list[int] = []
    recall: list[float] = []
    ideal: dict[str, dict[str, float]] = {}
    for query, grades in qrels.items():
        documents = list(run.get(query, {}))
        top, rest = documents[:depth], documents[depth:]
        candidates += len(top)
        judged += sum(document in grades for document in top)
        relevant.append(sum(grades.get(document, 0) > 0 for document in top))
        if total := sum(grade > 0 for grade in grades.values()):
            recall.append(relevant[-1] / total)
        # Documents below the depth keep their ranks.
        order = sorted(top, key=lambda document: -grades.get(document, 0)) + rest
        if order:
            ideal[query] = {name: float(len(order) - rank) for rank, name in enumerate(order)}
    return Ceiling(
        depth=depth,
        judged_share=judged / candidates if candidates else 0.0,
        relevant=fmean(relevant),
        recall=fmean(recall) if recall else 0.0,
        ceiling=quality(ideal),
    )
