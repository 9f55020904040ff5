"""Inspects a dataset and its candidates before any model is asked: counts, lengths, ceilings."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from statistics import fmean
from typing import NotRequired, TypedDict

from rankprompt.datasets.base import Collection, Documents
from rankprompt.datasets.passages import FIELDS, join_fields, parse_fields
from rankprompt.errors import InputError, MissingPackageError, naming_extras
from rankprompt.eval.ceiling import DEPTHS, ceilings_by_depth
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.types import Qrels, Run

__all__ = [
    "DEPTHS",
    "CandidateStatistics",
    "GradeStatistics",
    "Inspection",
    "Lengths",
    "inspect_collection",
    "inspect_dataset",
]

log = logging.getLogger("rankprompt")

_BATCH = 1000  # documents whose texts are in memory at the same time

Count = Callable[[Sequence[str]], Sequence[int]]
"""Returns the number of tokens of each text, in the same order."""
Measure = Callable[[Run, Qrels], float]
"""Returns the quality of a run; higher is better."""


class Lengths(TypedDict):
    """Lengths of texts in tokens; percentiles are nearest ranks of the sorted lengths."""

    mean: float
    median: int
    p95: int
    longest: int


class CandidateStatistics(TypedDict):
    """Counts of a run's queries, and of the candidates per query."""

    queries: int
    queries_without_text: int
    queries_without_candidates: int
    fewest: int
    mean: float
    most: int


class GradeStatistics(TypedDict):
    """Counts of judged queries and pairs.

    ``queries_without_text`` and ``unknown_documents`` count the judged queries and documents that
    the collection lacks, and ``by_grade`` the pairs with each grade.
    """

    queries: int
    queries_without_relevant: int
    queries_without_text: int
    unknown_documents: int
    judged: int
    by_grade: dict[str, int]


class Inspection(TypedDict):
    """The result of an inspection, as JSON can hold it.

    Without candidates, the statistics of texts are those of all documents. ``candidates`` and
    ``grades`` are absent if the collection has none, ``depths`` if it lacks either. Each entry of
    ``depths`` is as in ``ceilings_by_depth``.
    """

    collection: str
    queries: int
    blank_queries: int
    query_tokens: Lengths | None
    documents: int
    candidate_documents: int | None
    unknown_documents: int | None
    blank_documents: int
    doubled_texts: int
    document_tokens: Lengths | None
    candidates: NotRequired[CandidateStatistics]
    grades: NotRequired[GradeStatistics]
    depths: NotRequired[list[dict[str, float]]]


def inspect_dataset(
    collection: Collection,
    *,
    run: Path | None = None,
    qrels: Path | None = None,
    model: str = EMBEDDED,
    fields: str = ",".join(FIELDS),
    depths: Sequence[int] = DEPTHS,
) -> Inspection:
    """Inspects a collection as ``rankprompt inspect`` does; the ceiling is that of nDCG@10.

    Args:
        collection: the collection.
        run: TREC run with the candidates; None for those of the collection.
        qrels: TREC qrels; None for the grades of the collection.
        model: the model whose tokenizer counts tokens, as in ``load_model``. An installation that
            runs no models leaves the lengths out, and logs that, unless another model is named.
        fields: names of the fields that make a passage, separated by commas.
        depths: as in ``inspect_collection``.

    Raises:
        RankpromptError: a file or the tokenizer cannot be read; or as in ``inspect_collection``.
    """
    from rankprompt.eval import ndcg_at_10
    from rankprompt.files import read_qrels, read_run
    from rankprompt.llm import token_counter

    if any(depth < 1 for depth in depths):
        raise InputError("`depth` must be at least 1")
    count: Count | None = None
    try:
        with naming_extras():
            count = token_counter(model)
    except MissingPackageError as error:
        if model != EMBEDDED:
            raise
        log.warning("lengths in tokens are left out: %s", error)
    return inspect_collection(
        collection,
        read_run(run) if run else collection.run(),
        grades=read_qrels(qrels) if qrels else collection.qrels(),
        count=count,
        measure=lambda ranked, truth: ndcg_at_10(truth)(ranked),
        depths=depths,
        fields=parse_fields(fields),
    )


def inspect_collection(
    collection: Collection,
    run: Run | None,
    *,
    grades: Qrels | None,
    count: Count | None,
    measure: Measure,
    depths: Sequence[int] = DEPTHS,
    fields: Sequence[str] = FIELDS,
) -> Inspection:
    """Counts and measures a collection without asking a model.

    Args:
        collection: the collection.
        run: its candidates; None if there are none, and then all documents are inspected.
        grades: the relevance grades; None if there are none.
        count: counts tokens; None leaves the lengths out.
        measure: the measure of the ceiling, such as nDCG@10.
        depths: the depths at which the candidates are inspected, as in ``ceilings_by_depth``.
            Depths that no query reaches are replaced by the largest number of candidates.
        fields: the fields of a document that make its passage.

    Raises:
        InputError: the collection cannot be read, or has no query of the run.
    """
    queries = collection.queries()
    if run is not None and not run.keys() & queries.keys():
        raise InputError(f"no query of the run is among the queries of {collection.name}")
    documents = collection.documents()
    wanted = None if run is None else list(dict.fromkeys(chain.from_iterable(run.values())))
    lengths: list[int] = []
    blank = known = 0
    digests: Counter[bytes] = Counter()
    for batch in _passages(documents, wanted, fields):
        blank += sum(not text.strip() for text in batch)
        known += len(batch)
        lengths += count(batch) if count else ()
        digests.update(blake2b(text.encode(), digest_size=8).digest() for text in batch)
    inspection: Inspection = {
        "collection": collection.name,
        "queries": len(queries),
        "blank_queries": sum(not text.strip() for text in queries.values()),
        "query_tokens": _lengths(count(list(queries.values())) if count else ()),
        "documents": len(documents),
        "candidate_documents": None if wanted is None else len(wanted),
        "unknown_documents": None if wanted is None else len(wanted) - known,
        "blank_documents": blank,
        "doubled_texts": digests.total() - len(digests),
        "document_tokens": _lengths(lengths),
    }
    if run is not None:
        sizes = [len(scores) for scores in run.values()]
        inspection["candidates"] = {
            "queries": len(run),
            "queries_without_text": sum(query not in queries for query in run),
            "queries_without_candidates": sum(not run.get(query) for query in queries),
            "fewest": min(sizes),
            "mean": fmean(sizes),
            "most": max(sizes),
        }
    if grades is not None:
        pairs = Counter(chain.from_iterable(of_query.values() for of_query in grades.values()))
        judged = list(dict.fromkeys(chain.from_iterable(grades.values())))
        starts = range(0, len(judged), _BATCH)
        there = sum(len(documents.get(judged[start : start + _BATCH])) for start in starts)
        inspection["grades"] = {
            "queries": len(grades),
            "queries_without_relevant": sum(
                not any(grade > 0 for grade in of_query.values()) for of_query in grades.values()
            ),
            "queries_without_text": sum(not queries.get(query, "").strip() for query in grades),
            "unknown_documents": len(judged) - there,
            "judged": pairs.total(),
            "by_grade": {str(grade): number for grade, number in sorted(pairs.items())},
        }
    if run is not None and grades is not None:
        ceilings = ceilings_by_depth(run, grades, lambda best: measure(best, grades), depths)
        inspection["depths"] = [asdict(ceiling) for ceiling in ceilings]
    return inspection


def _passages(
    documents: Documents, wanted: Sequence[str] | None, fields: Sequence[str]
) -> Iterator[list[str]]:
    """Yields the texts of the wanted documents, or of all documents, in batches."""
    if wanted is None:
        source = iter(documents)
    else:
        starts = range(0, len(wanted), _BATCH)
        source = chain.from_iterable(
            documents.get(wanted[start : start + _BATCH]).items() for start in starts
        )
    while batch := list(islice(source, _BATCH)):
        yield [join_fields(name, texts, fields).text for name, texts in batch]


def _lengths(lengths: Sequence[int]) -> Lengths | None:
    if not lengths:
        return None
    ordered = sorted(lengths)

    def percentile(share: float) -> int:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {
        "mean": fmean(ordered),
        "median": percentile(0.5),
        "p95": percentile(0.95),
        "longest": ordered[-1],
    }
