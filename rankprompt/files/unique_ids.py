"""Gathers a file's records by id: a record may stand twice where it says the same both times."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from rankprompt.errors import FormatError

__all__ = ["gather_documents", "gather_grades", "gather_queries"]

T = TypeVar("T")


def gather_queries(path: Path | str, rows: Iterable[tuple[int, str, str]]) -> dict[str, str]:
    """Texts by query id, in the order of the rows.

    Args:
        path: the file, for messages.
        rows: line, id, text.

    Raises:
        FormatError: an id twice.
    """
    queries: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, name, text in rows:
        if name in lines:
            raise FormatError(path, line, f"query {name} stands on line {lines[name]} already")
        queries[name], lines[name] = text, line
    return queries


def gather_documents(
    path: Path | str,
    rows: Iterable[tuple[int, str, T]],
    wanted: Iterable[str] | None = None,
    where: str = "on line",
) -> dict[str, T]:
    """Documents, or what stands for them, by id, in the order of the rows.

    Args:
        path: the file, for messages.
        rows: line, id, document; all are read, whatever is wanted.
        wanted: the ids to keep; None keeps all.
        where: how a message says a line.

    Raises:
        FormatError: an id twice with different documents.
    """
    keep = None if wanted is None else frozenset(wanted)
    documents: dict[str, T] = {}
    lines: dict[str, int] = {}
    for line, name, document in rows:
        if keep is not None and name not in keep:
            continue
        first_line = lines.setdefault(name, line)
        if documents.setdefault(name, document) != document:
            problem = f"document {name} has another text {where} {first_line}"
            raise FormatError(path, line, problem)
    return documents


def gather_grades(
    path: Path | str, rows: Iterable[tuple[int, str, str, int]]
) -> dict[str, dict[str, int]]:
    """Grades by query id and document id, in the order of the rows.

    Args:
        path: the file, for messages.
        rows: line, query id, document id, grade.

    Raises:
        FormatError: a document judged twice with different grades.
    """
    qrels: dict[str, dict[str, int]] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, query, document, grade in rows:
        first_line = lines.setdefault((query, document), line)
        known = qrels.setdefault(query, {}).setdefault(document, grade)
        if known != grade:
            problem = (
                f"document {document} of query {query} has grade {grade} here "
                f"and {known} on line {first_line}"
            )
            raise FormatError(path, line, problem)
    return qrels
