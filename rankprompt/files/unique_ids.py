"""Collects a file's records by id; a repeated record is accepted only if its content is equal."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from rankprompt.errors import FormatError

__all__ = ["gather_documents", "gather_grades", "gather_queries"]

T = TypeVar("T")


def gather_queries(path: Path | str, rows: Iterable[tuple[int, str, str]]) -> dict[str, str]:
    """Collects query texts by id, in the order of the rows.

    Args:
        path: the file, for messages.
        rows: line number, id and text.

    Raises:
        FormatError: an id occurs twice.
    """
    queries: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, name, text in rows:
        if name in lines:
            raise FormatError(path, line, f"query {name} is already on line {lines[name]}")
        queries[name], lines[name] = text, line
    return queries


def gather_documents(
    path: Path | str,
    rows: Iterable[tuple[int, str, T]],
    wanted: Iterable[str] | None = None,
    where: str = "on line",
) -> dict[str, T]:
    """Collects documents by id, in the order of the rows.

    Args:
        path: the file, for messages.
        rows: line number, id and document; all rows are read, wanted or not.
        wanted: the ids to keep; None keeps all.
        where: the words before a line number in messages.

    Raises:
        FormatError: an id occurs twice with different documents.
    """
    wanted_ids = None if wanted is None else frozenset(wanted)
    documents: dict[str, T] = {}
    lines: dict[str, int] = {}
    for line, name, document in rows:
        if wanted_ids is not None and name not in wanted_ids:
            continue
        first_line = lines.setdefault(name, line)
        if documents.setdefault(name, document) != document:
            problem = f"document {name} has another text {where} {first_line}"
            raise FormatError(path, line, problem)
    return documents


def gather_grades(
    path: Path | str, rows: Iterable[tuple[int, str, str, int]]
) -> dict[str, dict[str, int]]:
    """Collects relevance grades by query id and document id, in the order of the rows.

    Args:
        path: the file, for messages.
        rows: line number, query id, document id and grade.

    Raises:
        FormatError: a document is judged twice for a query, with different grades.
    """
    qrels: dict[str, dict[str, int]] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, query, document, grade in rows:
        first_line = lines.setdefault((query, document), line)
        first_grade = qrels.setdefault(query, {}).setdefault(document, grade)
        if first_grade != grade:
            problem = (
                f"document {document} of query {query} has grade {grade} here "
                f"and {first_grade} on line {first_line}"
            )
            raise FormatError(path, line, problem)
    return qrels
