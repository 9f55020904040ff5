"""The scores of a run's documents with the model's own numbers: tab-separated values."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_lines

__all__ = ["SCORES_HEADER", "ScoredDocument", "format_query_scores", "read_scores"]

_COLUMNS = ("query", "document", "rank", "score", "value")
_HEADER = "\t".join(_COLUMNS)
_LARGEST = 1e100

SCORES_HEADER = f"{_HEADER}\n"
"""The first line of the file."""


class ScoredDocument(NamedTuple):
    """The scores of a document.

    Attributes:
        rank: its rank in the run, from 1.
        score: its relevance score, from 0 to 1, as the run states it.
        value: the model's own number, such as log-odds or a grade, higher is more relevant; None
            where the document was not judged.
    """

    rank: int
    score: float
    value: float | None


def read_scores(path: Path) -> dict[str, dict[str, ScoredDocument]]:
    """Reads the scores that ``rerank --scores`` wrote.

    Args:
        path: the file, plain or compressed.

    Returns:
        Scores by query id and document id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, a query has a document twice, or the file has no document.
    """
    scores: dict[str, dict[str, ScoredDocument]] = {}
    lines: dict[tuple[str, str], int] = {}
    header = False
    for number, line in read_lines(path):
        columns = line.split("\t")
        if not header:
            if tuple(columns) != _COLUMNS:
                problem = f"expected the header {_HEADER!r} of a file of `rerank --scores`"
                raise FormatError(path, number, problem)
            header = True
            continue
        if len(columns) != len(_COLUMNS):
            problem = f"expected {len(_COLUMNS)} columns ({_HEADER!r}), found {len(columns)}"
            raise FormatError(path, number, problem)
        query, document, rank, score, value = columns
        if not query or not document:
            raise FormatError(path, number, "the id of the query or of the document is empty")
        first = lines.setdefault((query, document), number)
        if first != number:
            problem = f"document {document} of query {query} is already on line {first}"
            raise FormatError(path, number, problem)
        scores.setdefault(query, {})[document] = ScoredDocument(
            _rank(path, number, rank),
            _score(path, number, score),
            _number(path, number, "value", value) if value else None,
        )
    if not scores:
        raise FormatError(path, None, f"the file has no document; expected {_HEADER!r} and rows")
    return scores


def format_query_scores(query: str, documents: Mapping[str, ScoredDocument]) -> str:
    """Formats the lines of a query, to follow ``SCORES_HEADER``.

    Args:
        query: the query's id.
        documents: scores by document id, best first. A value that is infinite, such as the
            logarithm of a probability of 0, is written as 1e100 with its sign.
    """
    lines = []
    for document, (rank, score, value) in documents.items():
        number = "" if value is None else repr(max(min(value, _LARGEST), -_LARGEST))
        lines.append(f"{query}\t{document}\t{rank}\t{score!r}\t{number}\n")
    return "".join(lines)


def _rank(path: Path, line: int, text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,17}", text):
        problem = f"expected a whole number from 1 as the rank, found {text!r:.80}"
        raise FormatError(path, line, problem)
    return int(text)


def _score(path: Path, line: int, text: str) -> float:
    score = _number(path, line, "score", text)
    if not 0 <= score <= 1:
        raise FormatError(path, line, f"expected a score from 0 to 1, found {text!r:.80}")
    return score


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        # float() alone would accept "1_000", full-width digits and surrounding blanks.
        number = float(text) if re.fullmatch("[-+.0-9eE]+", text) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FormatError(
            path, line, f"expected a finite number as the {column}, found {text!r:.80}"
        )
    return number
