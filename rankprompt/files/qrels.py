"""TREC relevance judgements: ``qid iteration docid grade``."""

import re
from pathlib import Path

from rankprompt.errors import FormatError
from rankprompt.files.lines import read_columns

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
    qrels: dict[str, dict[str, int]] = {}
    first_lines: dict[tuple[str, str], int] = {}
    for line, (query, _, document, text) in read_columns(path, _COLUMNS):
        if not re.fullmatch("[+-]?[0-9]{1,18}", text):
            raise FormatError(path, line, f"expected a whole number as the grade, found {text!r}")
        grade = int(text)
        first_line = first_lines.setdefault((query, document), line)
        known = qrels.setdefault(query, {}).setdefault(document, grade)
        if known != grade:
            problem = (
                f"document {document} of query {query} has grade {grade} here "
                f"and {known} on line {first_line}"
            )
            raise FormatError(path, line, problem)
    return qrels
