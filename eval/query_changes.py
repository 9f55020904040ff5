"""The queries on which a run differs most from the baseline, and the documents that moved."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankprompt.eval.rank_movement import ranks_of
from rankprompt.types import Qrels, Run

__all__ = ["MOST", "Change", "Moved", "changes", "largest"]

MOST = 10
"""How many gains, and how many losses, ``changes`` describes."""


@dataclass(frozen=True)
class Moved:
    """A document with its grade, None if unjudged, and its ranks, from 1, None if absent."""

    document: str
    grade: int | None
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Change:
    """A query on which the run and the baseline differ.

    Attributes:
        query: its id.
        text: None where it is not known.
        before: the measure's value in the baseline; higher is better.
        after: the measure's value in the run.
        moved: the documents in either top k whose rank changed, the highest grade first.
        unjudged_before: how many documents of the baseline's top k have no grade.
        unjudged_after: how many documents of the run's top k have no grade.
    """

    query: str
    text: str | None
    before: float
    after: float
    moved: tuple[Moved, ...]
    unjudged_before: int
    unjudged_after: int

    @property
    def difference(self) -> float:
        """The gain of the query, a loss if below 0."""
        return self.after - self.before


def largest(
    before: Mapping[str, float], after: Mapping[str, float], most: int
) -> tuple[list[str], list[str]]:
    """Finds the queries with the largest gains and those with the largest losses.

    Args:
        before: a measure's values by query id.
        after: the same of the other run, over the same queries.
        most: the maximum number of gains and of losses; unchanged queries are neither.

    Returns:
        The ids of the gains and of the losses, the largest first.
    """
    gaps = {query: after[query] - before[query] for query in before}
    order = sorted(gaps, key=lambda query: gaps[query])
    gains = [query for query in reversed(order) if gaps[query] > 0]
    losses = [query for query in order if gaps[query] < 0]
    return gains[:most], losses[:most]


def changes(
    baseline: Run,
    run: Run,
    qrels: Qrels,
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    texts: Mapping[str, str] | None = None,
    k: int = 10,
) -> tuple[list[Change], list[Change]]:
    """Describes the queries that changed most.

    Args:
        baseline: scores by query and document.
        run: scores of the other run.
        qrels: grades by query and document.
        before: the baseline's values of a measure, by query id.
        after: the run's values, over the same queries.
        texts: of the queries, as far as they are known.
        k: how many top documents are compared.

    Returns:
        At most ``MOST`` gains and as many losses, the largest first.
    """

    def describe(query: str) -> Change:
        old, new = ranks_of(baseline.get(query, {})), ranks_of(run.get(query, {}))
        grades = qrels.get(query, {})
        old_top, new_top = ([d for d, rank in ranks.items() if rank <= k] for ranks in (old, new))
        moved = [
            Moved(document, grades.get(document), old.get(document), new.get(document))
            for document in dict.fromkeys([*new_top, *old_top])
            if old.get(document) != new.get(document)
        ]
        return Change(
            query=query,
            text=(texts or {}).get(query),
            before=before[query],
            after=after[query],
            moved=tuple(sorted(moved, key=lambda m: (m.grade is None, -(m.grade or 0)))),
            unjudged_before=sum(document not in grades for document in old_top),
            unjudged_after=sum(document not in grades for document in new_top),
        )

    gains, losses = largest(before, after, MOST)
    return [describe(query) for query in gains], [describe(query) for query in losses]
