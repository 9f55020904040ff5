"""TREC relevance judgements: ``qid iteration docid grade``."""

import re
from collections.abc import Iterator
from pathlib import Path

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_columns
from rankprompt.files.unique_ids import gather_grades

__all__ = ["read_qrels"]

_COLUMNS = ("qid", "iteration", "docid", "grade")


def read_qrels(path: Path | str) -> dict[str, dict[str, int]]:
    """Read TREC qrels.

    Args:
        path: the file, plain or gzip.

    Returns:
        Grades by query id and document id (higher is more relevant), in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, a document judged twice with different grades, or an empty
            file.
    """
    return gather_grades(path, _read_rows(path))


def _read_rows(path: Path | str) -> Iterator[tuple[int, str, str, int]]:
    for line, (query, _, document, text) in read_columns(path, _COLUMNS):
        if not re.fullmatch("[+-]?[0-9]{1,18}", text):
            raise FormatError(path, line, f"expected a whole number as the grade, found {text!r}")
        yield line, query, document, int(text)
