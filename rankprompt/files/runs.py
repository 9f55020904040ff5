"""TREC run files: ``qid Q0 docid rank score tag``."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import FormatError
from rankprompt.files.atomic import write_atomically
from rankprompt.files.lines import read_columns

__all__ = ["format_run", "read_run", "write_run"]

_COLUMNS = ("qid", "Q0", "docid", "rank", "score", "tag")
_BREAKS_COLUMNS = re.compile(r"[ \t\n]")

logger = logging.getLogger("rankprompt")


class _Row(NamedTuple):
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
    rows: dict[str, dict[str, _Row]] = {}
    for line, (query, _, document, rank, score, _) in read_columns(path, _COLUMNS):
        row = _Row(document, _rank(path, line, rank), _score(path, line, score), line)
        first = rows.setdefault(query, {}).setdefault(document, row)
        if first is not row:
            problem = f"document {document} of query {query} stands on line {first.line} already"
            raise FormatError(path, line, problem)
    run: dict[str, dict[str, float]] = {}
    disagreeing: list[list[int]] = []
    for query, by_document in rows.items():
        best_first = sorted(by_document.values(), key=lambda row: (-row.score, row.rank, row.line))
        disagreeing.append(_disagreeing(best_first))
        run[query] = {row.document: row.score for row in best_first}
    _warn(path, [lines for lines in disagreeing if lines])
    return run


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


def _rank(path: Path | str, line: int, text: str) -> int:
    # int() alone would let "1_000" and full-width digits pass, and it refuses very long numbers.
    if not re.fullmatch("[0-9]{1,18}", text):
        raise FormatError(path, line, f"expected a whole number as the rank, found {text!r}")
    return int(text)


def _score(path: Path | str, line: int, text: str) -> float:
    try:
        score = float(text) if "_" not in text else math.nan
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise FormatError(path, line, f"expected a finite number as the score, found {text!r}")
    return score


def _disagreeing(best_first: Sequence[_Row]) -> list[int]:
    """The line numbers of the documents that the rank column puts elsewhere; equal ranks agree."""
    by_rank = sorted(best_first, key=lambda row: row.rank)  # stable: equal ranks stay as scored
    return [ours.line for ours, theirs in zip(best_first, by_rank, strict=True) if ours != theirs]


def _warn(path: Path | str, disagreeing: Sequence[Sequence[int]]) -> None:
    if disagreeing:
        logger.warning(
            "%s: ranks disagree with scores on %d lines of %d queries, first on line %d; "
            "the scores are followed",
            path,
            sum(map(len, disagreeing)),
            len(disagreeing),
            min(map(min, disagreeing)),
        )
