"""Scores of a run, from ranx, behind a guard that keeps trec_eval's rules.

ranx's measures are handed plain arrays that we order and number ourselves. That keeps its traps out
of reach (misaligned queries, unstable ties, failures on missing queries, runs changed in place),
and it is also its cheapest way in: its Run and Qrels objects compile for 25 seconds the first time
and load for two in every later process, arrays for 8 and 0.2 (docs/evaluate.md).
"""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rankprompt.errors import InputError
from rankprompt.eval.judged import bpref, judged_share
from rankprompt.eval.measures import Measure, parse_measure
from rankprompt.eval.ranx_import import import_ranx_measures, one_at_a_time
from rankprompt.types import Qrels, Run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.float64]

__all__ = ["Scorer", "Scores", "keep_order", "ndcg_at_10", "pairs_of", "score", "trec_order"]

# Queries times the longest list that ranx is handed at once: 16 MB of arrays.
_CELLS = 500_000


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


def score(
    run: Run | Iterable[tuple[str, Mapping[str, float]]], qrels: Qrels, measures: Sequence[Measure]
) -> Scores:
    """Scores a run against relevance judgements, by query and in the mean.

    The numbers are trec_eval's (with its ``-c``, which averages over every query of the qrels):
    a query that the run lacks counts 0, and so does one without a relevant document; unjudged
    documents and grades below 1 are not relevant. Documents are ordered by ``trec_order``, so the
    order in which queries and documents come does not matter. Nothing given is changed.

    The first call imports ranx's measures and, once per machine, waits while they are compiled.

    Args:
        run: scores by query and document, higher is better; or queries with their documents'
            scores, one at a time, of which few are held at once.
        qrels: grades by query and document.
        measures: what to compute; the result keeps their order.

    Raises:
        InputError: the run, the qrels or the measures are empty, a score is not finite, or the
            run and the qrels have no query in common.
    """
    scorer = Scorer(qrels, measures)
    for query, scores in pairs_of(run):
        scorer.add(query, scores)
    return scorer.scores()


def ndcg_at_10(qrels: Qrels) -> Callable[[Run], float]:
    """Returns the function that scores a run by its mean nDCG@10 over the queries of the qrels.

    The function takes scores by query and document, and raises ``InputError`` as ``score`` does;
    higher is better. ranx is imported when it is first called.
    """
    measure = parse_measure("ndcg@10")
    return lambda run: score(run, qrels, [measure]).means[measure.name]


class Scorer:
    """Scores a run as ``score`` does, a query at a time.

    Args:
        qrels: grades by query and document.
        measures: what to compute.

    Raises:
        InputError: the qrels or the measures are empty.
    """

    def __init__(self, qrels: Qrels, measures: Sequence[Measure]) -> None:
        if not measures:
            raise InputError("no measure was asked for")
        if not qrels:
            raise InputError("the qrels are empty")
        self._qrels, self._measures = qrels, measures
        self._found: dict[Measure, dict[str, float]] = {one: {} for one in measures}
        self._waiting: dict[str, list[str]] = {}
        self._widest = 1
        self._answered: set[str] = set()
        self._others: list[str] = []

    def add(self, query: str, scores: Mapping[str, float]) -> None:
        """Takes a query's documents, once a query.

        Raises:
            InputError: a score is not finite.
        """
        grades = self._qrels.get(query)
        if grades is None:
            self._others.append(query)
            return
        if not scores:
            return
        self._answered.add(query)
        ranking = self._waiting[query] = _ranking(query, scores)
        for one in self._measures:
            if one.kind == "bpref":
                self._found[one][query] = bpref(ranking, grades, one.level)
            elif one.kind == "judged":
                self._found[one][query] = judged_share(ranking, grades, one.k or len(ranking))
        self._widest = max(self._widest, len(ranking), len(grades))
        if len(self._waiting) * self._widest >= _CELLS:
            self._ask_ranx()

    def scores(self) -> Scores:
        """The result, once all queries are there.

        Raises:
            InputError: the run was empty, or has no query in common with the qrels.
        """
        if not self._answered and not self._others:
            raise InputError("the run is empty")
        if not self._answered:
            raise InputError(
                "the query ids of the run and of the qrels do not match: none is in both "
                f"(run: {_examples(self._others)}; qrels: {_examples(self._qrels)})"
            )
        self._ask_ranx()
        by_query = {
            one.name: {query: found.get(query, 0.0) for query in self._qrels}
            for one, found in self._found.items()
        }
        count = len(self._qrels)
        return Scores(
            means={name: math.fsum(values.values()) / count for name, values in by_query.items()},
            by_query=by_query,
            missing=tuple(query for query in self._qrels if query not in self._answered),
            unjudged_queries=tuple(self._others),
        )

    def _ask_ranx(self) -> None:
        wanted = [one for one in self._measures if one.kind not in ("bpref", "judged")]
        if wanted and self._waiting:
            grades = [self._qrels[query] for query in self._waiting]
            judged, retrieved = _tables(list(self._waiting.values()), grades)
            measure_of = import_ranx_measures()
            for one in wanted:
                with one_at_a_time:
                    values = _ask(measure_of(one.kind), judged, retrieved, one)
                self._found[one].update(zip(self._waiting, values.tolist(), strict=True))
        self._waiting.clear()
        self._widest = 1


def pairs_of(
    run: Run | Iterable[tuple[str, Mapping[str, float]]],
) -> Iterable[tuple[str, Mapping[str, float]]]:
    """A run's queries with their documents' scores, whichever of both forms it has."""
    return run.items() if isinstance(run, Mapping) else run


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


def keep_order(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores of a query that leave its documents in the order they come in.

    Args:
        scores: by document id, best first, equal ones in the order that is meant.

    Returns:
        Strictly decreasing scores, in which no measure sees a tie.
    """
    return {name: -float(rank) for rank, name in enumerate(scores)}


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


def _ask(
    measure: "Callable[..., Table]", judged: "Table", retrieved: "Table", one: Measure
) -> "Table":
    """A measure's values by query, in the order of the tables."""
    if one.persistence is None:
        return measure(judged, retrieved, one.k or 0, one.level)
    # ranx weighs a relevant document by its grade, though its manual says 1 or 0.
    binary = judged.copy()
    binary[:, :, 1] = judged[:, :, 1] >= one.level
    return measure(binary, retrieved, one.persistence, 1)


def _examples(ids: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in islice(ids, 3))
