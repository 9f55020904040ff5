"""One run against another query by query: the largest gains and losses, and what made them."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankprompt.eval.rank_movement import ranks_of
from rankprompt.types import Qrels, Run

__all__ = ["Change", "Moved", "changes", "largest"]


@dataclass(frozen=True)
class Moved:
    """A document with its ranks, from 1; None is absent, and a grade of None is unjudged."""

    document: str
    grade: int | None
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Change:
    """What happened to a query.

    Attributes:
        query: its id.
        text: None where it is not known.
        before: the measure's value in the baseline; higher is better.
        after: the same in the run.
        moved: the documents of either top whose rank changed, the most relevant first.
        unjudged_before: how many documents of the baseline's top have no grade.
        unjudged_after: the same of the run's.
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
        """What the query gained, below 0 what it lost."""
        return self.after - self.before


def largest(
    before: Mapping[str, float], after: Mapping[str, float], most: int
) -> tuple[list[str], list[str]]:
    """The queries with the largest gains and those with the largest losses, largest first.

    Args:
        before: a measure's values by query id.
        after: the same of the other run, over the same queries.
        most: how many of each there may be; queries that stay the same are in neither.
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
    most: int = 10,
) -> tuple[list[Change], list[Change]]:
    """Looks into the queries that changed most.

    Args:
        baseline: its scores by query and document.
        run: the other run's.
        qrels: grades by query and document.
        before: the baseline's values of a measure, by query id.
        after: the run's, over the same queries.
        texts: of the queries, as far as they are known.
        k: how many documents from the top are looked at.
        most: how many gains, and how many losses, there may be.

    Returns:
        Gains and losses, each the largest first.
    """

    def look(query: str) -> Change:
        old, new = ranks_of(baseline.get(query, {})), ranks_of(run.get(query, {}))
        grades = qrels.get(query, {})
        return Change(
            query=query,
            text=(texts or {}).get(query),
            before=before[query],
            after=after[query],
            moved=_moved(old, new, grades, k),
            unjudged_before=sum(name not in grades for name in _top(old, k)),
            unjudged_after=sum(name not in grades for name in _top(new, k)),
        )

    gains, losses = largest(before, after, most)
    return [look(query) for query in gains], [look(query) for query in losses]


def _moved(
    old: Mapping[str, int], new: Mapping[str, int], grades: Mapping[str, int], k: int
) -> tuple[Moved, ...]:
    seen = dict.fromkeys([*_top(new, k), *_top(old, k)])
    moved = [Moved(name, grades.get(name), old.get(name), new.get(name)) for name in seen]
    return tuple(
        sorted(
            (one for one in moved if one.before != one.after),
            key=lambda one: (one.grade is None, -(one.grade or 0)),
        )
    )


def _top(ranks: Mapping[str, int], k: int) -> list[str]:
    return [name for name, rank in ranks.items() if rank <= k]
