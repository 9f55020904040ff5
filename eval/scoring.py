"""Scores of a run by query and in the mean, under trec_eval's rules.

Documents are ordered here, by trec_eval's rule, before any measure reads them: libraries differ in
how they break ties, and their values with them.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rankprompt.errors import InputError
from rankprompt.eval.measures import Measure, parse_measure
from rankprompt.eval.registry import KINDS
from rankprompt.types import Qrels, Run

__all__ = [
    "EXCLUDED",
    "Scores",
    "check_scores",
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
) -> Scores:
    """Scores a run as ``score`` does, where some measures read other qrels than the rest.

    A query counts as missing where any of the qrels have it and the run does not, and as unjudged
    where none of them have it.

    Args:
        run: as for ``score``.
        readers: qrels with the measures that read them; each measure stands once.

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
    functions = {measure: KINDS[measure.kind].load() for measure in values}
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
        if not documents:
            continue
        answered[query] = None
        ranking = _ranking(query, documents)
        for qrels, measures in readers:
            if query in qrels:
                for measure in measures:
                    values[measure][query] = functions[measure](ranking, qrels[query], measure)
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


def check_scores(query: str, scores: Mapping[str, float]) -> None:
    """Checks the scores of a query's documents.

    Raises:
        InputError: a score is not finite.
    """
    for document, value in scores.items():
        if not math.isfinite(value):
            raise InputError(
                f"query {query!r}: the score of document {document!r} is {value}; "
                "scores must be finite numbers"
            )


def _ranking(query: str, scores: Mapping[str, float]) -> list[str]:
    check_scores(query, scores)
    return trec_order(scores)


def _examples(ids: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in islice(ids, 3))
