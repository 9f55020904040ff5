"""Joins a first stage's run with the texts of its queries and documents."""

import logging
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from rankprompt.errors import InputError, MissingTextError
from rankprompt.files.queries_and_documents import read_documents, read_queries
from rankprompt.files.trec_run import read_run
from rankprompt.types import Candidates, Document, Query, Run

__all__ = [
    "build_candidates",
    "check_extent",
    "describe_missing",
    "join_texts",
    "read_candidates",
    "require_queries",
    "warn_without",
]

_NAMED = 3  # how many ids a message names before it only counts

logger = logging.getLogger("rankprompt")


def read_candidates(
    run: Path | str,
    queries: Path | str,
    docs: Path | str,
    *,
    depth: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
) -> tuple[dict[str, dict[str, float]], list[Candidates], list[tuple[str, str]]]:
    """Read a run with the texts that its top documents need.

    Args:
        run: TREC run.
        queries: TSV or JSONL.
        docs: JSONL or TSV; only what the run needs is kept.
        depth: as in ``build_candidates``.
        limit: as in ``build_candidates``.
        skip_missing: as in ``build_candidates``.

    Returns:
        The whole run; the candidates and what was left out, as in ``build_candidates``.

    Raises:
        InputError: a file cannot be read, or as ``build_candidates``.
    """
    first_stage = read_run(run)
    wanted = {name for scores in first_stage.values() for name in islice(scores, depth)}
    candidates, skipped = build_candidates(
        first_stage,
        read_queries(queries),
        read_documents(docs, wanted),
        depth=depth,
        limit=limit,
        skip_missing=skip_missing,
    )
    return first_stage, candidates, skipped


def build_candidates(
    run: Run,
    queries: Mapping[str, str],
    documents: Mapping[str, Document],
    *,
    depth: int | None = None,
    limit: int | None = None,
    skip_missing: bool = False,
) -> tuple[list[Candidates], list[tuple[str, str]]]:
    """Give the documents of a run, and its queries, their texts.

    Queries left without any candidate are not in the result; one warning counts them, together
    with the queries that the run does not know.

    Args:
        run: the first stage's scores, a query's documents best first.
        queries: texts by query id.
        documents: documents by id.
        depth: the first documents of each query to take; None takes all.
        limit: the first queries of the run to take; None takes all.
        skip_missing: leave out documents without text, instead of raising. They count in
            ``depth``: no deeper document takes their place.

    Returns:
        The candidates, in the run's order of queries and documents; and the (query id, document
        id) pairs that were left out, in the same order.

    Raises:
        InputError: ``depth`` or ``limit`` is below 1, or a query of the run has no text.
        MissingTextError: a document is unknown or blank, and ``skip_missing`` is off.
    """
    check_extent(depth, limit)
    taken = dict(islice(run.items(), limit))
    require_queries(taken, queries)
    candidates, skipped = join_texts(taken, queries, documents, depth)
    if skipped and not skip_missing:
        raise MissingTextError(describe_missing(skipped))
    warn_without(len(taken) - len(candidates) + sum(query not in run for query in queries))
    return candidates, skipped


def check_extent(depth: int | None, limit: int | None) -> None:
    """Refuse a depth or a limit below 1."""
    for name, value in (("depth", depth), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")


def join_texts(
    run: Run, queries: Mapping[str, str], documents: Mapping[str, Document], depth: int | None
) -> tuple[list[Candidates], list[tuple[str, str]]]:
    """As ``build_candidates`` with ``skip_missing``, of queries that all have texts; no warning."""
    candidates, skipped = [], []
    for query, scores in run.items():
        found: list[tuple[Document, float]] = []
        for name, score in islice(scores.items(), depth):
            document = documents.get(name)
            if document is None or not document.text.strip():
                skipped.append((query, name))
            else:
                found.append((document, score))
        if found:
            texts, kept = zip(*found, strict=True)
            candidates.append(Candidates(Query(query, queries[query]), texts, kept))
    return candidates, skipped


def require_queries(run: Run, queries: Mapping[str, str]) -> None:
    """Refuse a run with queries that have no text."""
    missing = [query for query in run if not queries.get(query, "").strip()]
    if missing:
        raise InputError(
            f"{len(missing)} of the run's {len(run)} queries have no text in the queries: "
            f"{_name(missing)}"
        )


def describe_missing(skipped: list[tuple[str, str]]) -> str:
    """Say which candidates, as (query id, document id), lack text, and what to do."""
    first = skipped[0][0]
    names = [document for query, document in skipped if query == first]
    return (
        f"query {first}: no text for {_name(names)}; {len(skipped)} candidates lack text in all. "
        "Add them to the documents, or leave them out with --skip-missing"
    )


def _name(ids: list[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")


def warn_without(without: int) -> None:
    """Warn of so many queries without candidates."""
    if without:
        logger.warning("queries without candidates, left out of the ranking: %d", without)
