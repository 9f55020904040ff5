"""Candidates: a first-stage run joined with the texts of its queries and documents."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rankprompt.datasets.base import Collection
from rankprompt.datasets.passages import FIELDS, join_fields
from rankprompt.errors import InputError, MissingTextError
from rankprompt.files.queries_and_documents import read_documents, read_queries
from rankprompt.files.trec_run import read_run
from rankprompt.types import Candidates, Document, Query, Run

__all__ = ["BLOCK", "Block", "build_candidates", "candidates_of", "read_candidates"]

BLOCK = 64
"""How many queries have their texts in memory at the same time."""

_MAX_NAMES = 3  # how many ids a message lists

log = logging.getLogger("rankprompt")

_Scores: TypeAlias = Mapping[str, float]


class Block(NamedTuple):
    """Some queries of a run with their candidates.

    Attributes:
        run: the scores of the queries, at full depth.
        candidates: the candidates with text, in the run's order of queries and documents.
        skipped: the (query id, document id) pairs without text, in the same order; a query
            without text has no other.
    """

    run: dict[str, _Scores]
    candidates: list[Candidates]
    skipped: list[tuple[str, str]]


def read_candidates(
    run: Path | str,
    queries: Path | str,
    docs: Path | str,
    *,
    depth: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
) -> Block:
    """Reads a run and the texts that its top documents need.

    Args:
        run: TREC run.
        queries: TSV or JSONL.
        docs: JSONL or TSV; only the documents that the run needs are kept.
        depth: as in ``build_candidates``.
        limit: as in ``build_candidates``.
        skip_missing: as in ``build_candidates``.

    Returns:
        The whole run; and the candidates and skipped pairs as in ``build_candidates``.

    Raises:
        InputError: a file cannot be read; or as in ``build_candidates``.
    """
    first_stage = read_run(run)
    wanted = {name for scores in first_stage.values() for name in islice(scores, depth)}
    texts = read_queries(queries), read_documents(docs, wanted)
    joined = build_candidates(
        first_stage, *texts, depth=depth, limit=limit, skip_missing=skip_missing
    )
    return Block(dict(first_stage), *joined)


def build_candidates(
    run: Run,
    queries: Mapping[str, str],
    documents: Mapping[str, Document],
    *,
    depth: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
) -> tuple[list[Candidates], list[tuple[str, str]]]:
    """Joins a run with the texts of its queries and documents, which are in memory.

    Queries without any candidate are left out of the result. One warning counts them, together
    with the queries that the run does not have. Another names the skipped queries without text.

    Args:
        run: the first stage's scores, the documents of each query best first.
        queries: texts by query id.
        documents: documents by id.
        depth: how many documents of each query to take, from the top; None takes all.
        limit: how many queries of the run to take, from its start; None takes all.
        skip_missing: leave out documents and queries without text instead of raising an error.
            Documents count towards ``depth``: no deeper document takes their place.

    Returns:
        The candidates, in the run's order of queries and documents; and the (query id, document
        id) pairs that were left out, in the same order.

    Raises:
        InputError: ``depth`` or ``limit`` is below 1.
        MissingTextError: no query of the run has a text; or one has none, or a document is unknown
            or blank, and ``skip_missing`` is off.
    """
    _check_positive(depth, limit)
    taken = dict(islice(run.items(), limit))
    textless = _textless(taken, queries, skip_missing)
    block = _join(taken, queries, documents, depth, skip_missing)
    absent = sum(query not in run for query in queries)
    _warn(len(taken) - len(textless) - len(block.candidates) + absent, textless)
    return block.candidates, block.skipped


def candidates_of(
    collection: Collection,
    run: Run | Iterable[tuple[str, _Scores]],
    *,
    depth: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
    fields: Sequence[str] = FIELDS,
    block: int = BLOCK,
) -> Iterator[Block]:
    """Joins a run with the texts of a collection, block by block, in bounded memory.

    The result is that of ``build_candidates``, but documents without text are reported when their
    block is yielded. The warning about queries without candidates comes after the last block; it
    does not count queries that ``limit`` cuts off a stream.

    Args:
        collection: the collection with the texts.
        run: the first stage's scores, the documents of each query best first; or a stream of
            queries with their scores, as ``iterate_run`` yields.
        depth: as in ``build_candidates``.
        limit: as in ``build_candidates``.
        skip_missing: as in ``build_candidates``.
        fields: the fields of a document that make its passage, as in ``join_fields``.
        block: the number of queries in a block.

    Raises:
        InputError: ``depth`` or ``limit`` is below 1; a document has none of the fields; or the
            collection cannot be read.
        MissingTextError: as in ``build_candidates``.
    """
    _check_positive(depth, limit)
    queries = collection.queries()
    wanted: Iterable[str] | None = None
    absent: int | None = None
    if isinstance(run, Mapping):
        taken = dict(islice(run.items(), limit))
        _textless(taken, queries, skip_missing)
        # Consumed only by a collection that keeps no other documents in memory.
        wanted = chain.from_iterable(islice(scores, depth) for scores in taken.values())
        absent = sum(query not in run for query in queries)
        stream: Iterator[tuple[str, _Scores]] = iter(taken.items())
    else:
        stream = islice(run, limit)
    documents = collection.documents(wanted)

    def blocks() -> Iterator[Block]:
        seen = ranked = 0
        textless: list[str] = []
        while scores := dict(islice(stream, block)):
            names = chain.from_iterable(islice(of_query, depth) for of_query in scores.values())
            passages = {
                name: join_fields(name, texts, fields)
                for name, texts in documents.get(names).items()
            }
            textless += _textless(scores, queries, skip_missing)
            joined = _join(scores, queries, passages, depth, skip_missing)
            seen, ranked = seen + len(joined.run), ranked + len(joined.candidates)
            yield joined
        # The rest of a stream that was cut off is unknown.
        cut_off = limit is not None and seen >= limit
        known = seen - sum(query not in queries for query in textless)
        unseen = absent if absent is not None else 0 if cut_off else len(queries) - known
        _warn(seen - len(textless) - ranked + unseen, textless)

    return blocks()


def _join(
    run: dict[str, _Scores],
    queries: Mapping[str, str],
    documents: Mapping[str, Document],
    depth: int | None,
    skip_missing: bool,
) -> Block:
    candidates: list[Candidates] = []
    skipped: list[tuple[str, str]] = []
    for query, of_query in run.items():
        present: list[tuple[Document, float]] = []
        for name, score in islice(of_query.items(), depth):
            document = documents.get(name)
            if document is None or not document.text.strip() or not queries.get(query, "").strip():
                skipped.append((query, name))
            else:
                present.append((document, score))
        if present:
            texts, scores = zip(*present, strict=True)
            candidates.append(Candidates(Query(query, queries[query]), texts, scores))
    if skipped and not skip_missing:
        first = skipped[0][0]
        names = [document for query, document in skipped if query == first]
        raise MissingTextError(
            f"query {first}: no text for {_list(names)}; {len(skipped)} candidates lack text in "
            "all. Add them to the documents, or leave them out with `skip_missing`"
        )
    return Block(run, candidates, skipped)


def _check_positive(depth: int | None, limit: int | None) -> None:
    for name, value in (("depth", depth), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"`{name}` must be at least 1, not {value}")


def _textless(run: Run, queries: Mapping[str, str], skip_missing: bool) -> list[str]:
    """Returns the queries of the run that have no text, or refuses them."""
    textless = [query for query in run if not queries.get(query, "").strip()]
    # Where no query has a text, the queries are those of another run.
    if textless and (not skip_missing or len(textless) == len(run)):
        hint = "" if skip_missing else "; give their texts, or leave them out with `skip_missing`"
        raise MissingTextError(
            f"{len(textless)} of the run's {len(run)} queries have no text in the queries: "
            f"{_list(textless)}{hint}"
        )
    return textless


def _list(ids: list[str]) -> str:
    return ", ".join(ids[:_MAX_NAMES]) + (", ..." if len(ids) > _MAX_NAMES else "")


def _warn(count: int, textless: list[str]) -> None:
    if count:
        log.warning("queries without candidates, left out of the ranking: %d", count)
    if textless:
        log.warning(
            "queries without text, which keep the run's order: %d, %s",
            len(textless),
            _list(textless),
        )
