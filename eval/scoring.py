"""Scores of a run by ranx's measures under trec_eval's rules.

ranx's measures get plain arrays that we order and number ourselves. That avoids its traps
(misaligned queries, unstable ties, failures on missing queries, runs changed in place) and is the
cheapest way in: its Run and Qrels objects compile for 25 seconds the first time and load for two in
every later process, arrays for 8 and 0.2 (docs/results/speed.md).
"""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rankprompt.errors import InputError
from rankprompt.eval.measures import Measure, parse_measure
from rankprompt.eval.ranx_import import import_ranx_measures, one_at_a_time
from rankprompt.eval.registry import KINDS
from rankprompt.types import Qrels, Run

if TYPE_CHECKING:
    from rankprompt.eval.ranx_import import Table

__all__ = [
    "EXCLUDED",
    "Scores",
    "keep_order",
    "ndcg_at_10",
    "score",
    "score_by_readers",
    "trec_order",
]


EXCLUDED = -100
"""The grade by which BRIGHT (arXiv 2407.12883) takes documents out of a run."""


@dataclass(frozen=True)
class Scores:
    """Scores of a run by query and in the mean; higher is better for all of them.

    Attributes:
        means: each measure's mean over all queries of the qrels, by measure name.
        by_query: values by measure name and query id, for every query of the qrels in their order.
        missing: the queries of the qrels for which the run has no document; they count 0.
        unjudged_queries: the queries of the run that the qrels lack; they are left out.
    """

    means: dict[str, float]
    by_query: dict[str, dict[str, float]]
    missing: tuple[str, ...]
    unjudged_queries: tuple[str, ...]

    @property
    def queries(self) -> int:
        """The number of queries in each mean: all of the qrels."""
        return len(next(iter(self.by_query.values())))

    @property
    def judged(self) -> dict[str, None]:
        """The ids of the queries of the qrels, in order, as the keys."""
        return {query: None for of in self.by_query.values() for query in of}


def score(
    run: Run | Iterable[tuple[str, Mapping[str, float]]], qrels: Qrels, measures: Sequence[Measure]
) -> Scores:
    """Scores a run against relevance judgements, by query and in the mean.

    The numbers are trec_eval's (with its ``-c``, which averages over every query of the qrels):
    a query that the run lacks counts 0, and so does one without a relevant document; unjudged
    documents and grades below 1 are not relevant. A document graded ``EXCLUDED`` leaves the run
    first, and those below it move up. Documents are ordered by ``trec_order``, so the
    order in which queries and documents come does not matter. The arguments are not changed.

    The first call imports ranx's measures and, once per machine, waits while they are compiled.

    Args:
        run: scores by query and document, higher is better; or pairs of a query and its
            documents' scores, of which only a few are held in memory.
        qrels: grades by query and document.
        measures: what to compute; the result keeps their order.

    Raises:
        InputError: the run, the qrels or the measures are empty, a score is not finite, or the
            run and the qrels have no query in common.
    """
    return score_by_readers(run, [(qrels, measures)])


def ndcg_at_10(qrels: Qrels) -> Callable[[Run], float]:
    """Gives the function from a run to its mean nDCG@10 against these qrels; see ``score``."""
    measure = parse_measure("ndcg@10")
    return lambda run: score(run, qrels, [measure]).means[measure.name]


def score_by_readers(
    run: Run | Iterable[tuple[str, Mapping[str, float]]],
    readers: Sequence[tuple[Qrels, Sequence[Measure]]],
    *,
    max_cells: int = 500_000,
) -> Scores:
    """Scores a run as ``score`` does, where some measures read other qrels than the rest.

    A query counts as missing where any of the qrels have it and the run does not, and as unjudged
    where none of them have it.

    Args:
        run: as for ``score``.
        readers: qrels with the measures that read them; each measure stands once.
        max_cells: the size of the arrays that ranx gets at once, in queries times the longest list
            of documents; the default takes 16 MB.

    Raises:
        InputError: as ``score``.
    """
    for qrels, measures in readers or [({}, ())]:
        if not measures:
            raise InputError("no measure was asked for")
        if not qrels:
            raise InputError("the qrels are empty")
    values: dict[Measure, dict[str, float]] = {m: {} for _, measures in readers for m in measures}
    answered: dict[str, None] = {}
    unjudged: list[str] = []
    block: dict[str, list[str]] = {}
    longest = 1
    for query, documents in run.items() if isinstance(run, Mapping) else run:
        grades = [qrels[query] for qrels, _ in readers if query in qrels]
        if not grades:
            unjudged.append(query)
            continue
        for of_query in grades:
            if EXCLUDED in of_query.values():
                documents = {
                    name: score
                    for name, score in documents.items()
                    if of_query.get(name) != EXCLUDED
                }
        if documents:
            answered[query] = None
            block[query] = _ranking(query, documents)
            longest = max(longest, len(documents), *map(len, grades))
        if len(block) * longest >= max_cells:
            _score_block(block, readers, values)
            block, longest = {}, 1
    _score_block(block, readers, values)
    for qrels, _ in readers:
        if qrels.keys().isdisjoint(answered):
            others = [query for query in (*unjudged, *answered) if query not in qrels]
            if not others:
                raise InputError("the run is empty")
            raise InputError(
                "the query ids of the run and of the qrels do not match: none is in both "
                f"(run: {_examples(others)}; qrels: {_examples(qrels)})"
            )
    by_query = {
        measure.name: {query: values[measure].get(query, 0.0) for query in qrels}
        for qrels, measures in readers
        for measure in measures
    }
    judged = dict.fromkeys(query for qrels, _ in readers for query in qrels)
    return Scores(
        means={name: math.fsum(of.values()) / len(of) for name, of in by_query.items()},
        by_query=by_query,
        missing=tuple(query for query in judged if query not in answered),
        unjudged_queries=tuple(unjudged),
    )


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """Orders a query's documents best first, by trec_eval's rule, whatever order they come in.

    That is by score, highest first, and among equal scores by document id, the last in the
    alphabet first. trec_eval holds scores in single precision, so two that differ only beyond
    it are equal (comp_sim_docno in its form_res_rels.c).

    >>> trec_order({"a": 1.0, "b": 2.0, "c": 1.0})
    ['b', 'c', 'a']

    Args:
        scores: finite scores by document id.
    """
    single = array("f", scores.values())
    return [document for _, document in sorted(zip(single, scores, strict=True), reverse=True)]


def keep_order(scores: Mapping[str, float]) -> dict[str, float]:
    """Replaces a query's scores by strictly decreasing ones, which keep the documents' order.

    Args:
        scores: by document id, best first, equal ones in the order that is meant.
    """
    return {document: -float(rank) for rank, document in enumerate(scores)}


def _score_block(
    block: Mapping[str, list[str]],
    readers: Sequence[tuple[Qrels, Sequence[Measure]]],
    values: Mapping[Measure, dict[str, float]],
) -> None:
    """Adds the values of a block of queries, given with their rankings."""
    for qrels, measures in readers:
        rankings = {query: ranking for query, ranking in block.items() if query in qrels}
        if not rankings:
            continue
        grades = [qrels[query] for query in rankings]
        tables = None
        for measure in measures:
            pairs = zip(rankings.values(), grades, strict=True)
            if KINDS[measure.kind].function:
                compute = KINDS[measure.kind].load()
                scores = [compute(ranking, of, measure) for ranking, of in pairs]
            else:
                tables = tables or _tables(list(rankings.values()), grades)
                scores = _ask_ranx(measure, *tables).tolist()
            values[measure].update(zip(rankings, scores, strict=True))


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
        its grade or its score. The number is the rank in the run, so its negative serves as a
        strictly decreasing score. Shorter lists are padded with document -1, which is never
        relevant.
    """
    import numpy as np

    relevant = [
        sorted(((grade, document) for document, grade in of.items() if grade > 0), reverse=True)
        for of in grades
    ]
    retrieved = np.full((len(rankings), max(map(len, rankings)), 2), -1.0)
    judged = np.zeros((len(rankings), max(1, *map(len, relevant)), 2))
    judged[:, :, 0] = -1
    for row, (ranking, graded) in enumerate(zip(rankings, relevant, strict=True)):
        numbers = {document: rank for rank, document in enumerate(ranking)}
        retrieved[row, : len(ranking), 0] = range(len(ranking))
        for column, (grade, document) in enumerate(graded):
            judged[row, column] = numbers.get(document, len(ranking) + column), grade
    retrieved[:, :, 1] = -np.arange(retrieved.shape[1])
    return judged, retrieved


def _ask_ranx(measure: Measure, judged: "Table", retrieved: "Table") -> "Table":
    """A measure's values by query, in the order of the tables."""
    ranx_measure = import_ranx_measures()(measure.kind)
    parameter: float = measure.k or 0
    level = measure.level
    if measure.persistence is not None:
        # ranx weights a relevant document by its grade, though its manual says 1 or 0.
        judged = judged.copy()
        judged[:, :, 1] = judged[:, :, 1] >= level
        parameter, level = measure.persistence, 1
    with one_at_a_time:
        return ranx_measure(judged, retrieved, parameter, level)


def _examples(ids: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in islice(ids, 3))
