"""TREC relevance judgements: ``qid iteration docid grade``."""

import re
from collections.abc import Iterator
from pathlib import Path

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_columns
from rankprompt.files.unique_ids import gather_grades

__all__ = ["parse_grade", "read_qrels"]

_COLUMNS = ("qid", "iteration", "docid", "grade")


def read_qrels(path: Path | str) -> dict[str, dict[str, int]]:
    """Reads TREC qrels.

    Args:
        path: the file, plain or compressed.

    Returns:
        Grades by query id and document id (higher is more relevant), in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, a document is judged twice with different grades, or the
            file is empty.
    """
    return gather_grades(path, _rows(path))


def parse_grade(path: Path | str, line: int, text: str, column: str = "grade") -> int:
    """Parses a relevance grade, which is a whole number; pandas may have written it as 1.0.

    Raises:
        FormatError: the text is something else.
    """
    # int() alone would also accept "1_000" and full-width digits.
    whole = re.fullmatch(r"([+-]?[0-9]{1,18})(?:\.0*)?", text)
    if not whole:
        raise FormatError(path, line, f"expected a whole number as the {column}, found {text!r}")
    return int(whole[1])


def _rows(path: Path | str) -> Iterator[tuple[int, str, str, int]]:
    for line, (query, _, document, grade) in read_columns(path, _COLUMNS):
        yield line, query, document, parse_grade(path, line, grade)
