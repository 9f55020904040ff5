"""Scores of a run, from ranx, behind a guard that keeps trec_eval's rules.

ranx is handed plain arrays that we order and number ourselves. That keeps its traps out of reach
(misaligned queries, unstable ties, failures on missing queries, runs changed in place), and it is
also its cheapest way in: its Run and Qrels objects compile for 25 seconds the first time and load
for two in every later process, arrays for 8 and 0.2.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rankprompt.errors import InputError
from rankprompt.eval.measures import Measure
from rankprompt.ranx_guard import import_ranx as _import_ranx
from rankprompt.ranx_guard import one_at_a_time
from rankprompt.records import Qrels, Run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.float64]

__all__ = ["Scores", "score", "trec_order"]


@dataclass(frozen=True)
class Scores:
    """What a run is worth; of every number here, higher is better.

    Attributes:
        means: each measure's mean over all queries of the qrels, by measure name.
        by_query: the values by measure name and query id, every query of the qrels in their order.
        missing: the queries of the qrels for which the run has no document; they count 0.
        unjudged_queries: the queries of the run that the qrels lack; they are left out.
    """

    means: dict[str, float]
    by_query: dict[str, dict[str, float]]
    missing: tuple[str, ...]
    unjudged_queries: tuple[str, ...]

    @property
    def queries(self) -> int:
        """How many queries each mean is over: all of the qrels."""
        return len(next(iter(self.by_query.values())))


def score(run: Run, qrels: Qrels, measures: Sequence[Measure]) -> Scores:
    """Scores a run against relevance judgements, by query and in the mean.

    The numbers are trec_eval's (with its ``-c``, which averages over every query of the qrels):
    a query that the run lacks counts 0, and so does one without a relevant document; unjudged
    documents and grades below 1 are not relevant. Documents are ordered by ``trec_order``, so the
    order in which queries and documents come does not matter. Neither argument is changed.

    The first call imports ranx and, once per machine, waits while it compiles.

    Args:
        run: scores by query and document, higher is better.
        qrels: grades by query and document.
        measures: what to compute; the result keeps their order.

    Raises:
        InputError: the run, the qrels or the measures are empty, a score is not finite, or the
            run and the qrels have no query in common.
    """
    if not measures:
        raise InputError("no measure was asked for")
    if not qrels:
        raise InputError("the qrels are empty")
    if not any(run.values()):
        raise InputError("the run is empty")
    answered = [query for query in qrels if run.get(query)]
    if not answered:
        raise InputError(
            "the query ids of the run and of the qrels do not match: none is in both "
            f"(run: {_examples(run)}; qrels: {_examples(qrels)})"
        )
    rankings = [_ranking(query, run[query]) for query in answered]
    judged, retrieved = _tables(rankings, [qrels[query] for query in answered])
    # Twice the first measure: asked for a single one by query, ranx raises KeyError.
    names = [measures[0].ranx, *(measure.ranx for measure in measures)]
    with one_at_a_time:
        found = _import_ranx().evaluate(judged, retrieved, names, return_mean=False)

    by_query = {}
    for measure in measures:
        values = dict.fromkeys(qrels, 0.0)
        values.update(zip(answered, found[measure.ranx].tolist(), strict=True))
        by_query[measure.name] = values
    return Scores(
        means={name: math.fsum(values.values()) / len(qrels) for name, values in by_query.items()},
        by_query=by_query,
        missing=tuple(query for query in qrels if not run.get(query)),
        unjudged_queries=tuple(query for query in run if query not in qrels),
    )


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """Orders a query's documents best first, by trec_eval's rule whatever order they come in.

    That is by score, highest first, and among equal scores by document id, the last in the
    alphabet first. trec_eval holds scores in single precision, so two that differ only beyond
    it are equal (comp_sim_docno in its form_res_rels.c).

    Args:
        scores: finite scores by document id.
    """
    single = array("f", scores.values())
    return [name for _, name in sorted(zip(single, scores, strict=True), reverse=True)]


def _ranking(query: str, scores: Mapping[str, float]) -> list[str]:
    for document, value in scores.items():
        if not math.isfinite(value):
            raise InputError(
                f"query {query!r}: the score of document {document!r} is {value}; "
                "scores must be finite numbers"
            )
    return trec_order(scores)


def _tables(rankings: list[list[str]], grades: list[Mapping[str, int]]) -> "tuple[Table, Table]":
    """The qrels and the run as ranx reads them.

    Returns:
        Two arrays of shape (queries, longest list, 2), both best first: a document's number, and
        its grade or its score. The number is the rank in the run, so strictly decreasing scores
        are its negative. Shorter lists are filled up with a document -1, which is never relevant.
    """
    import numpy as np

    relevant = [
        sorted(((g, name) for name, g in of.items() if g > 0), reverse=True) for of in grades
    ]
    retrieved = np.full((len(rankings), max(map(len, rankings)), 2), -1.0)
    judged = np.zeros((len(rankings), max(1, *map(len, relevant)), 2))
    judged[:, :, 0] = -1
    for row, (ranking, graded) in enumerate(zip(rankings, relevant, strict=True)):
        numbers = {name: rank for rank, name in enumerate(ranking)}
        retrieved[row, : len(ranking), 0] = range(len(ranking))
        for place, (grade, name) in enumerate(graded):
            judged[row, place] = numbers.get(name, len(ranking) + place), grade
    retrieved[:, :, 1] = -np.arange(retrieved.shape[1])
    return judged, retrieved


def _examples(ids: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in islice(ids, 3))
