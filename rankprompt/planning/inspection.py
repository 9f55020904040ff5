"""Look before you spend: what a collection holds, and how far reranking its candidates can go."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from itertools import chain, islice
from statistics import fmean
from typing import Any, NamedTuple

from rankprompt.datasets.base import Collection
from rankprompt.datasets.passages import FIELDS, join_fields
from rankprompt.errors import InputError
from rankprompt.eval.ceiling import DEPTHS, ceilings_by_depth
from rankprompt.types import Qrels, Run

__all__ = ["DEPTHS", "Lengths", "inspect_collection"]

# Documents whose texts are in memory at a time.
_BLOCK = 1000

Count = Callable[[Sequence[str]], Sequence[int]]
"""The tokens of texts, in the same order."""
Measure = Callable[[Run, Qrels], float]
"""The quality of a run, higher is better."""


class Lengths(NamedTuple):
    """Of texts, in tokens; percentiles are of the sorted lengths, by nearest rank."""

    mean: float
    median: int
    p95: int
    longest: int


def inspect_collection(
    collection: Collection,
    run: Run | None,
    *,
    grades: Qrels | None,
    count: Count,
    measure: Measure,
    depths: Sequence[int] = DEPTHS,
    fields: Sequence[str] = FIELDS,
) -> dict[str, Any]:
    """Counts and measures; asks no model anything.

    Args:
        collection: what to look at.
        run: its candidates; None where there are none: then the documents as a whole are looked at.
        grades: of relevance; None where there are none.
        count: counts tokens.
        measure: of the ceiling, such as nDCG@10.
        depths: at which shares of judged and relevant candidates are given; those that no query
            reaches are left out.
        fields: of a document, that make its passage.

    Returns:
        What JSON can hold. ``depths`` has an entry a depth with the share of candidates that are
        judged, the mean of relevant ones a query, the share of all relevant documents that are
        found (recall over the queries with any), and ``ceiling``: the measure of the candidates
        sorted by their grades, the best that any reranking to that depth can reach.

    Raises:
        InputError: a part cannot be read, or the run and the queries have nothing in common.
    """
    queries = collection.queries()
    if run is not None and not run.keys() & queries.keys():
        raise InputError(f"no query of the run is among the queries of {collection.name}")
    texts = _look_at_texts(collection, run, count, fields)
    found: dict[str, Any] = {
        "collection": collection.name,
        "queries": len(queries),
        "blank_queries": sum(not text.strip() for text in queries.values()),
        "query_tokens": _lengths(count(list(queries.values())))._asdict() if queries else None,
        **texts,
    }
    if run is not None:
        sizes = [len(scores) for scores in run.values()]
        found["candidates"] = {
            "queries": len(run),
            "queries_without_text": sum(query not in queries for query in run),
            "queries_without_candidates": sum(not run.get(query) for query in queries),
            "fewest": min(sizes),
            "mean": fmean(sizes),
            "most": max(sizes),
        }
    if grades is not None:
        found["grades"] = {
            "queries": len(grades),
            "queries_without_relevant": sum(
                not any(grade > 0 for grade in of.values()) for of in grades.values()
            ),
            "judged": sum(map(len, grades.values())),
            "by_grade": _by_grade(grades),
        }
    if run is not None and grades is not None:
        ceilings = ceilings_by_depth(run, grades, lambda best: measure(best, grades), depths)
        found["depths"] = [asdict(ceiling) for ceiling in ceilings]
    return found


def _look_at_texts(
    collection: Collection, run: Run | None, count: Count, fields: Sequence[str]
) -> dict[str, Any]:
    """Lengths, blanks and doubles, of the run's documents or of all."""
    documents = collection.documents()
    wanted = None if run is None else list(dict.fromkeys(chain.from_iterable(run.values())))
    lengths: list[int] = []
    blank = 0
    seen: Counter[bytes] = Counter()
    known = 0
    source: Iterable[tuple[str, Mapping[str, str]]]
    source = (
        iter(documents)
        if wanted is None
        else chain.from_iterable(
            documents.get(wanted[start : start + _BLOCK]).items()
            for start in range(0, len(wanted), _BLOCK)
        )
    )
    while part := [join_fields(name, found, fields).text for name, found in islice(source, _BLOCK)]:
        known += len(part)
        blank += sum(not text.strip() for text in part)
        lengths += count(part)
        seen.update(blake2b(text.encode(), digest_size=8).digest() for text in part)
    return {
        "documents": len(documents),
        "candidate_documents": None if wanted is None else len(wanted),
        "unknown_documents": None if wanted is None else len(wanted) - known,
        "blank_documents": blank,
        "doubled_texts": sum(number - 1 for number in seen.values()),
        "document_tokens": _lengths(lengths)._asdict() if lengths else None,
    }


def _lengths(numbers: Sequence[int]) -> Lengths:
    ordered = sorted(numbers)

    def rank(share: float) -> int:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Lengths(fmean(ordered), rank(0.5), rank(0.95), ordered[-1])


def _by_grade(qrels: Qrels) -> dict[str, int]:
    grades = Counter(chain.from_iterable(of.values() for of in qrels.values()))
    return {str(grade): number for grade, number in sorted(grades.items())}
