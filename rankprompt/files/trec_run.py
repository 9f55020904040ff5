"""TREC runs: ``qid Q0 docid rank score tag``."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import FormatError, InputError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.text_lines import is_word, read_columns

__all__ = [
    "Row",
    "RunNeedsReadingWholeError",
    "collect_rows",
    "format_run",
    "format_scores",
    "group_rows",
    "iterate_run",
    "parse_rank",
    "parse_score",
    "rank_rows",
    "read_run",
    "write_run",
]

_COLUMNS = ("qid", "Q0", "docid", "rank", "score", "tag")
_MS_MARCO = (
    "; MS MARCO's form (qid docid rank) becomes a run by: "
    """awk '{print $1, "Q0", $2, $3, -$3, "run"}' FILE"""
)

log = logging.getLogger("rankprompt")


class RunNeedsReadingWholeError(Exception):
    """The lines of a query are not contiguous, so no query is complete before the file's end.

    This is not a user's error: the caller of ``iterate_run`` catches it and uses ``read_run``.
    """


class Row(NamedTuple):
    """A line of a run, without its query."""

    document: str
    rank: float
    score: float
    line: int


def read_run(path: Path | str) -> dict[str, dict[str, float]]:
    """Reads a TREC run.

    Documents are ordered by score, as in trec_eval; equal scores are ordered by rank, then by line.
    One warning per file reports ranks that contradict the scores, and one what follows the tags.

    Args:
        path: the file, plain or compressed.

    Returns:
        Scores by query id and document id: queries in the order of their first lines, the
        documents of each query best first.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, a query has a document twice, or the file is empty.
    """
    return dict(rank_rows(path, collect_rows(path, _rows(path)).items()))


def iterate_run(path: Path | str) -> Iterator[tuple[str, dict[str, float]]]:
    """Reads a TREC run like ``read_run``, but one query at a time, in bounded memory.

    Only a hash of each finished query's id is kept. Warnings come at the end.

    Args:
        path: the file, plain or compressed.

    Yields:
        Each query's id with its scores by document id, best first, in the file's order.

    Raises:
        RunNeedsReadingWholeError: a query's lines are not contiguous; what was yielded is valid.
        InputError, FormatError: as in ``read_run``.
    """
    yield from rank_rows(path, group_rows(path, _rows(path)))


def collect_rows(path: Path | str, rows: Iterable[tuple[str, Row]]) -> dict[str, dict[str, Row]]:
    """Collects the rows of each query by document id, in whatever order they come.

    Raises:
        FormatError: a query has a document twice.
    """
    queries: dict[str, dict[str, Row]] = {}
    for query, row in rows:
        _add(path, query, queries.setdefault(query, {}), row)
    return queries


def group_rows(
    path: Path | str, rows: Iterable[tuple[str, Row]]
) -> Iterator[tuple[str, dict[str, Row]]]:
    """Collects contiguous rows of each query by document id, one query at a time.

    Raises:
        RunNeedsReadingWholeError: a query's rows are not contiguous.
        FormatError: a query has a document twice.
    """
    seen: set[int] = set()
    for query, group in groupby(rows, key=lambda pair: pair[0]):
        # Two ids with the same hash cost no more than reading the run as a whole.
        if hash(query) in seen:
            raise RunNeedsReadingWholeError(
                f"{path}: the lines of query {query} are not contiguous"
            )
        seen.add(hash(query))
        by_document: dict[str, Row] = {}
        for _, row in group:
            _add(path, query, by_document, row)
        yield query, by_document


def rank_rows(
    path: Path | str, queries: Iterable[tuple[str, Mapping[str, Row]]]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Orders the rows of each query by score, then rank, then line.

    One warning at the end reports ranks that contradict the scores.

    Args:
        path: the file, for messages.
        queries: query ids with their rows by document id.

    Yields:
        Each query's id with its scores by document id, best first, in the order of ``queries``.
    """
    queries_warned, lines_warned, first = 0, 0, 0
    for query, rows in queries:
        best_first = sorted(rows.values(), key=lambda row: (-row.score, row.rank, row.line))
        lines = _lines_with_wrong_rank(best_first)
        if lines:
            first = min(first or lines[0], *lines)
            queries_warned, lines_warned = queries_warned + 1, lines_warned + len(lines)
        yield query, {row.document: row.score for row in best_first}
    if queries_warned:
        log.warning(
            "%s: ranks disagree with scores on %d lines of %d queries, first on line %d; "
            "the scores are followed",
            path,
            lines_warned,
            queries_warned,
            first,
        )


def write_run(path: Path | str, rankings: Mapping[str, Sequence[str]], tag: str) -> None:
    """Writes a TREC run atomically.

    Args:
        path: the file.
        rankings: document ids by query id, best first; the queries are written in this order.
        tag: the run's name.

    Raises:
        InputError: the file cannot be written; an existing file is unchanged.
        ValueError: as in ``format_run``.
    """
    write_atomically(Path(path), format_run(rankings, tag))


def format_run(rankings: Mapping[str, Sequence[str]], tag: str) -> str:
    """Formats rankings without scores as a TREC run.

    The n documents of a query get the scores n, n-1, ..., 1, so that no tool sees ties, not even
    with 32-bit floats.

    Args:
        rankings: document ids by query id, best first; the queries are written in this order.
        tag: the run's name.

    Raises:
        ValueError: the tag or an id is empty or would break the columns, or a ranking has a
            document twice.
    """
    if tag.split() != [tag]:
        raise ValueError(f"a run's tag must be one word without whitespace, not {tag!r}")
    lines = []
    for query, documents in rankings.items():
        if len(set(documents)) != len(documents):
            raise ValueError(f"the ranking of query {query} has a document twice")
        for name in (query, *documents):
            if not is_word(name):
                raise ValueError(f"the id {name!r} is empty or contains white space")
        lines += [
            _line(query, document, index + 1, len(documents) - index, tag)
            for index, document in enumerate(documents)
        ]
    return "".join(lines)


def format_scores(query: str, scores: Mapping[str, float], tag: str) -> str:
    """Formats one query of a TREC run with the scores of a first stage.

    Scores are written in single precision, as trec_eval holds them. Scores that are equal in
    single precision are separated by its smallest step, so that every tool sees the same order.

    Args:
        query: the query's id.
        scores: scores by document id, best first.
        tag: the run's name, one word.

    Raises:
        InputError: an id is empty or contains white space.
    """
    import numpy as np

    lines, last = [], np.float32(np.inf)
    for rank, (document, score) in enumerate(scores.items(), start=1):
        for name in (query, document):
            if not is_word(name):
                raise InputError(f"an id must be one word without spaces, not {name!r}")
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        lines.append(_line(query, document, rank, last, tag))
    return "".join(lines)


def parse_rank(path: Path | str, line: int, text: str) -> float:
    """Parses a rank, which is a finite number: tools count from 0 or 1, or write 1.0 or -1.

    Raises:
        FormatError: the text is something else.
    """
    return _parse_finite(path, line, text, "rank")


def parse_score(path: Path | str, line: int, text: str) -> float:
    """Parses a score, which is a finite number.

    Raises:
        FormatError: the text is something else.
    """
    return _parse_finite(path, line, text, "score")


def _parse_finite(path: Path | str, line: int, text: str, column: str) -> float:
    try:
        # float() alone would accept "1_000" and full-width digits.
        number = float(text) if "_" not in text and text.isascii() else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FormatError(path, line, f"expected a finite number as the {column}, found {text!r}")
    return number


def _line(query: str, document: str, rank: int, score: object, tag: str) -> str:
    return f"{query} Q0 {document} {rank} {score!s} {tag}\n"


def _rows(path: Path | str) -> Iterator[tuple[str, Row]]:
    rows = read_columns(path, _COLUMNS, more=True, hints={3: _MS_MARCO})
    for line, (query, _, document, rank, score, _) in rows:
        row = Row(document, parse_rank(path, line, rank), parse_score(path, line, score), line)
        yield query, row


def _add(path: Path | str, query: str, rows: dict[str, Row], row: Row) -> None:
    first = rows.setdefault(row.document, row)
    if first is not row:
        problem = f"document {row.document} of query {query} is already on line {first.line}"
        raise FormatError(path, row.line, problem)


def _lines_with_wrong_rank(best_first: Sequence[Row]) -> list[int]:
    """Returns the lines whose position by rank differs from that by score; equal ranks agree."""
    by_rank = sorted(best_first, key=lambda row: row.rank)  # stable: equal ranks keep their order
    return [
        scored.line for scored, ranked in zip(best_first, by_rank, strict=True) if scored != ranked
    ]
