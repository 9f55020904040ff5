"""Inspects a dataset and its candidates before any model is asked: counts, lengths, ceilings."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from statistics import fmean
from typing import NotRequired, TypedDict

from rankprompt.datasets.base import Collection, Documents
from rankprompt.datasets.passages import FIELDS, join_fields, parse_fields
from rankprompt.errors import InputError
from rankprompt.types import Qrels, Run

__all__ = [
    "DEFAULT_MODEL",
    "DEPTHS",
    "CandidateStatistics",
    "GradeStatistics",
    "Inspection",
    "Lengths",
    "at_depth",
    "inspect_collection",
    "inspect_dataset",
]

DEPTHS = (10, 20, 50, 100, 1000)
"""The default depths."""
DEFAULT_MODEL = "smollm2-135m"
"""The model whose tokenizer counts tokens by default."""

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
    """Counts of judged queries and pairs; ``by_grade`` counts the pairs with each grade."""

    queries: int
    queries_without_relevant: int
    judged: int
    by_grade: dict[str, int]


class Inspection(TypedDict):
    """The result of an inspection, as JSON can hold it.

    Without candidates, the statistics of texts are those of all documents. ``candidates`` and
    ``grades`` are absent if the collection has none, ``depths`` if it lacks either. Each entry of
    ``depths`` is as in ``at_depth``.
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
    model: str = DEFAULT_MODEL,
    fields: str = ",".join(FIELDS),
    depths: Sequence[int] = DEPTHS,
) -> Inspection:
    """Inspects a collection as ``rankprompt inspect`` does; the ceiling is that of nDCG@10.

    Args:
        collection: the collection.
        run: TREC run with the candidates; None for those of the collection.
        qrels: TREC qrels; None for the grades of the collection.
        model: the model whose tokenizer counts tokens, as in ``load_model``.
        fields: names of the fields that make a passage, separated by commas.
        depths: as in ``inspect_collection``.

    Raises:
        RankpromptError: a file or the tokenizer cannot be read; or as in ``inspect_collection``.
    """
    from rankprompt.eval import parse_measure, score
    from rankprompt.files import read_qrels, read_run
    from rankprompt.llm import token_counter

    if any(depth < 1 for depth in depths):
        raise InputError("`depth` must be at least 1")
    ndcg = parse_measure("ndcg@10")
    return inspect_collection(
        collection,
        read_run(run) if run else collection.run(),
        grades=read_qrels(qrels) if qrels else collection.qrels(),
        count=token_counter(model),
        measure=lambda ranked, truth: score(ranked, truth, [ndcg]).means[ndcg.name],
        depths=depths,
        fields=parse_fields(fields),
    )


def inspect_collection(
    collection: Collection,
    run: Run | None,
    *,
    grades: Qrels | None,
    count: Count,
    measure: Measure,
    depths: Sequence[int] = DEPTHS,
    fields: Sequence[str] = FIELDS,
) -> Inspection:
    """Counts and measures a collection without asking a model.

    Args:
        collection: the collection.
        run: its candidates; None if there are none, and then all documents are inspected.
        grades: the relevance grades; None if there are none.
        count: counts tokens.
        measure: the measure of the ceiling, such as nDCG@10.
        depths: the depths at which the candidates are inspected, as in ``at_depth``. Depths that
            no query reaches are replaced by the largest number of candidates.
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
    blank = 0
    digests: Counter[bytes] = Counter()
    for batch in _passages(documents, wanted, fields):
        blank += sum(not text.strip() for text in batch)
        lengths += count(batch)
        digests.update(blake2b(text.encode(), digest_size=8).digest() for text in batch)
    inspection: Inspection = {
        "collection": collection.name,
        "queries": len(queries),
        "blank_queries": sum(not text.strip() for text in queries.values()),
        "query_tokens": _lengths(count(list(queries.values()))),
        "documents": len(documents),
        "candidate_documents": None if wanted is None else len(wanted),
        "unknown_documents": None if wanted is None else len(wanted) - len(lengths),
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
        inspection["grades"] = {
            "queries": len(grades),
            "queries_without_relevant": sum(
                not any(grade > 0 for grade in of_query.values()) for of_query in grades.values()
            ),
            "judged": pairs.total(),
            "by_grade": {str(grade): number for grade, number in sorted(pairs.items())},
        }
    if run is not None and grades is not None:
        deepest = max(map(len, run.values()))
        reached = [depth for depth in sorted(set(depths)) if depth < deepest] + [deepest]
        inspection["depths"] = [at_depth(depth, run, grades, measure) for depth in reached]
    return inspection


def at_depth(depth: int, run: Run, qrels: Qrels, measure: Measure) -> dict[str, float]:
    """Measures what reranking the first ``depth`` candidates of each judged query can reach.

    Returns:
        ``depth``; ``judged_share``, the share of these candidates that are judged; ``relevant``,
        the mean number of relevant ones per query; ``recall``, the mean share of the relevant
        documents that are among them, over the queries with any; and ``ceiling``, the measure of
        the run with these candidates sorted by grade, the best that any reranking can reach.
    """
    judged = taken = 0
    relevant: list[int] = []
    recall: list[float] = []
    ideal: dict[str, dict[str, float]] = {}
    for query, grades in qrels.items():
        candidates = list(run.get(query, {}))
        top = candidates[:depth]
        taken += len(top)
        judged += sum(name in grades for name in top)
        hits = sum(grades.get(name, 0) > 0 for name in top)
        relevant.append(hits)
        all_relevant = sum(grade > 0 for grade in grades.values())
        if all_relevant:
            recall.append(hits / all_relevant)
        if candidates:  # those below the depth keep their ranks
            order = sorted(top, key=lambda name: -grades.get(name, 0)) + candidates[depth:]
            ideal[query] = {name: float(len(order) - index) for index, name in enumerate(order)}
    return {
        "depth": depth,
        "judged_share": judged / taken if taken else 0.0,
        "relevant": fmean(relevant),
        "recall": fmean(recall) if recall else 0.0,
        "ceiling": measure(ideal, qrels),
    }


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
