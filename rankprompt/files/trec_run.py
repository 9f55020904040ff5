"""TREC run files: ``qid Q0 docid rank score tag``."""

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import FormatError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.text_lines import read_columns

__all__ = [
    "Row",
    "RunNeedsReadingWholeError",
    "collect_rows",
    "format_run",
    "group_rows",
    "iterate_run",
    "parse_rank",
    "parse_score",
    "rank_rows",
    "read_run",
    "write_run",
]

_COLUMNS = ("qid", "Q0", "docid", "rank", "score", "tag")
_BREAKS_COLUMNS = re.compile(r"[ \t\n]")

logger = logging.getLogger("rankprompt")


class RunNeedsReadingWholeError(Exception):
    """A query's lines stand apart, so that no query is known to be complete before the end.

    Not a user's error: whoever iterates catches it and uses ``read_run``.
    """


class Row(NamedTuple):
    """A line of a run, without its query."""

    document: str
    rank: int
    score: float
    line: int


def read_run(path: Path | str) -> dict[str, dict[str, float]]:
    """Read a TREC run.

    Scores rank the documents, as in trec_eval; among equal scores the rank column decides, then
    the order of the lines. Ranks that contradict the scores are told in one warning a file.

    Args:
        path: the file, plain or gzip.

    Returns:
        Scores by query id and document id: queries in the order of their first line, each one's
        documents best first.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, a document twice in a query, or an empty file.
    """
    return dict(rank_rows(path, collect_rows(path, _read_rows(path)).items()))


def iterate_run(path: Path | str) -> Iterator[tuple[str, dict[str, float]]]:
    """Read a TREC run as ``read_run`` does, but a query at a time, in bounded memory.

    Of the queries that are done a hash each is kept. Warnings come at the end.

    Args:
        path: the file, plain or gzip.

    Yields:
        A query's id with its scores by document id, best first; in the file's order.

    Raises:
        RunNeedsReadingWholeError: a query's lines stand apart; what came before is valid.
        InputError, FormatError: as ``read_run``.
    """
    yield from rank_rows(path, group_rows(path, _read_rows(path)))


def collect_rows(path: Path | str, rows: Iterable[tuple[str, Row]]) -> dict[str, dict[str, Row]]:
    """Gather each query's rows, wherever they stand, by document id.

    Raises:
        FormatError: a document twice in a query.
    """
    queries: dict[str, dict[str, Row]] = {}
    for query, row in rows:
        _add(path, query, queries.setdefault(query, {}), row)
    return queries


def group_rows(
    path: Path | str, rows: Iterable[tuple[str, Row]]
) -> Iterator[tuple[str, dict[str, Row]]]:
    """Gather each query's rows, which stand together, by document id; one query at a time.

    Raises:
        RunNeedsReadingWholeError: a query's rows stand apart.
        FormatError: a document twice in a query.
    """
    seen: set[int] = set()
    for query, group in groupby(rows, key=lambda pair: pair[0]):
        # Two ids with one hash cost no more than reading the run whole.
        if hash(query) in seen:
            raise RunNeedsReadingWholeError(f"{path}: the lines of query {query} stand apart")
        seen.add(hash(query))
        gathered: dict[str, Row] = {}
        for _, row in group:
            _add(path, query, gathered, row)
        yield query, gathered


def rank_rows(
    path: Path | str, queries: Iterable[tuple[str, Mapping[str, Row]]]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Order the rows of each query by score, then rank, then line.

    Ranks that contradict the scores are told in one warning, at the end.

    Args:
        path: the file, for messages.
        queries: ids with their rows by document id.

    Yields:
        A query's id with its scores by document id, best first; in the order given.
    """
    queries_warned, lines_warned, first = 0, 0, 0
    for query, rows in queries:
        best_first = sorted(rows.values(), key=lambda row: (-row.score, row.rank, row.line))
        lines = _disagreeing(best_first)
        if lines:
            first = min(first or lines[0], *lines)
            queries_warned, lines_warned = queries_warned + 1, lines_warned + len(lines)
        yield query, {row.document: row.score for row in best_first}
    if queries_warned:
        logger.warning(
            "%s: ranks disagree with scores on %d lines of %d queries, first on line %d; "
            "the scores are followed",
            path,
            lines_warned,
            queries_warned,
            first,
        )


def write_run(path: Path | str, rankings: Mapping[str, Sequence[str]], tag: str) -> None:
    """Write a TREC run, atomically.

    Args:
        path: the file.
        rankings: document ids by query id, best first; queries are written in this order.
        tag: the run's name.

    Raises:
        InputError: the file cannot be written; an old one is untouched.
        ValueError: as ``format_run``.
    """
    write_atomically(Path(path), format_run(rankings, tag))


def format_run(rankings: Mapping[str, Sequence[str]], tag: str) -> str:
    """Give the text of a TREC run.

    A query's n documents score n, n-1, ..., 1, so no tool sees a tie, even in 32-bit floats.

    Args:
        rankings: document ids by query id, best first; queries are written in this order.
        tag: the run's name.

    Raises:
        ValueError: the tag or an id is empty or would break the columns, or a ranking holds a
            document twice.
    """
    if tag.split() != [tag]:
        raise ValueError(f"a run's tag must be one word without whitespace, not {tag!r}")
    lines = []
    for query, documents in rankings.items():
        if len(set(documents)) != len(documents):
            raise ValueError(f"the ranking of query {query} holds a document twice")
        for name in (query, *documents):
            if not name or _BREAKS_COLUMNS.search(name):
                raise ValueError(f"the id {name!r} is empty or holds whitespace")
        lines += [
            f"{query} Q0 {document} {index + 1} {len(documents) - index} {tag}\n"
            for index, document in enumerate(documents)
        ]
    return "".join(lines)


def _read_rows(path: Path | str) -> Iterator[tuple[str, Row]]:
    for line, (query, _, document, rank, score, _) in read_columns(path, _COLUMNS):
        yield (
            query,
            Row(document, parse_rank(path, line, rank), parse_score(path, line, score), line),
        )


def _add(path: Path | str, query: str, rows: dict[str, Row], row: Row) -> None:
    first = rows.setdefault(row.document, row)
    if first is not row:
        problem = f"document {row.document} of query {query} stands on line {first.line} already"
        raise FormatError(path, row.line, problem)


def parse_rank(path: Path | str, line: int, text: str) -> int:
    """The whole number that a rank is."""
    # int() alone would let "1_000" and full-width digits pass, and it refuses very long numbers.
    if not re.fullmatch("[0-9]{1,18}", text):
        raise FormatError(path, line, f"expected a whole number as the rank, found {text!r}")
    return int(text)


def parse_score(path: Path | str, line: int, text: str) -> float:
    """The finite number that a score is."""
    try:
        score = float(text) if "_" not in text else math.nan
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise FormatError(path, line, f"expected a finite number as the score, found {text!r}")
    return score


def _disagreeing(best_first: Sequence[Row]) -> list[int]:
    """The line numbers of the documents that the rank column puts elsewhere; equal ranks agree."""
    by_rank = sorted(best_first, key=lambda row: row.rank)  # stable: equal ranks stay as scored
    return [ours.line for ours, theirs in zip(best_first, by_rank, strict=True) if ours != theirs]
