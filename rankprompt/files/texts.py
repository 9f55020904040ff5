"""Queries and documents, as TSV (``id<TAB>text``) or JSONL."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from rankprompt.errors import FormatError
from rankprompt.files.lines import read_lines
from rankprompt.records import Document

__all__ = ["read_documents", "read_queries"]

_QUERY_IDS = ("id", "_id", "qid", "query_id")
_QUERY_TEXTS = ("text", "query", "title")
_DOCUMENT_IDS = ("id", "_id", "docid")
_DOCUMENT_TEXTS = ("contents", "text")


def read_queries(path: Path | str) -> dict[str, str]:
    """Read queries from TSV, or from JSONL where the first line starts with a brace.

    In JSONL the id is under ``id``, ``_id``, ``qid`` or ``query_id``, the text under ``text``,
    ``query`` or ``title``; the first key that is there counts.

    Args:
        path: the file, plain or gzip.

    Returns:
        Texts by query id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, an id twice, or an empty file.
    """
    queries: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, name, text in _read_texts(path, _QUERY_IDS, _QUERY_TEXTS, titled=False):
        if name in lines:
            problem = f"query {name} stands on line {lines[name]} already"
            raise FormatError(path, line, problem)
        queries[name], lines[name] = text, line
    return queries


def read_documents(path: Path | str, wanted: Collection[str] | None = None) -> dict[str, Document]:
    r"""Read documents from TSV, or from JSONL where the first line starts with a brace.

    In JSONL the id is under ``id``, ``_id`` or ``docid``, the text under ``contents`` or ``text``;
    the first key that is there counts. A ``title`` that is not blank is put before the text, with
    ``\n`` between. The file is streamed, so memory grows with ``wanted`` alone.

    Args:
        path: the file, plain or gzip.
        wanted: the ids to keep; None keeps all. Lines of other documents are checked as well.

    Returns:
        Documents by id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, an id twice with different texts, or an empty file.
    """
    keep = None if wanted is None else frozenset(wanted)
    documents: dict[str, Document] = {}
    lines: dict[str, int] = {}
    for line, name, text in _read_texts(path, _DOCUMENT_IDS, _DOCUMENT_TEXTS, titled=True):
        if keep is not None and name not in keep:
            continue
        first_line = lines.setdefault(name, line)
        if documents.setdefault(name, Document(name, text)).text != text:
            problem = f"document {name} has another text on line {first_line}"
            raise FormatError(path, line, problem)
    return documents


def _read_texts(
    path: Path | str, id_keys: Sequence[str], text_keys: Sequence[str], *, titled: bool
) -> Iterator[tuple[int, str, str]]:
    is_json = None
    for number, line in read_lines(path):
        if is_json is None:
            is_json = line.lstrip().startswith("{")
        if is_json:
            record = _parse_object(path, number, line)
            name = _find_id(path, number, record, id_keys)
            text = _find_text(path, number, record, text_keys)
            if titled:
                text = _add_title(path, number, record, text)
            _refuse_half_characters(path, number, name + text)
        else:
            name, tab, text = line.partition("\t")
            if not tab:
                problem = (
                    "expected id<TAB>text, found no tab (in JSONL the first line opens with {)"
                )
                raise FormatError(path, number, problem)
        if name.split() != [name]:  # it would break the columns of a TREC file
            raise FormatError(path, number, f"an id must be one word without spaces, not {name!r}")
        yield number, name, text
    if is_json is None:
        raise FormatError(path, None, "the file is empty; expected TSV (id<TAB>text) or JSONL")


def _parse_object(path: Path | str, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"malformed JSON: {error.msg}, column {error.colno}"
        raise FormatError(path, number, problem) from error
    except (ValueError, RecursionError) as error:  # a number too long, or brackets too deep
        raise FormatError(path, number, f"malformed JSON: {error}") from error
    if not isinstance(record, dict):
        raise FormatError(path, number, f"expected a JSON object, found {_kind(record)}")
    return record


def _find_id(path: Path | str, number: int, record: dict[str, Any], keys: Sequence[str]) -> str:
    key = _find_key(path, number, record, keys, "id")
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, str | int):
        problem = f"expected a string or whole number under {key!r}, found {_kind(value)}"
        raise FormatError(path, number, problem)
    return str(value)


def _find_text(path: Path | str, number: int, record: dict[str, Any], keys: Sequence[str]) -> str:
    key = _find_key(path, number, record, keys, "text")
    return _as_text(path, number, key, record[key])


def _add_title(path: Path | str, number: int, record: dict[str, Any], text: str) -> str:
    title = record.get("title")
    if title is None or not _as_text(path, number, "title", title).strip():
        return text
    return f"{title}\n{text}" if text else str(title)


def _find_key(
    path: Path | str, number: int, record: dict[str, Any], keys: Sequence[str], what: str
) -> str:
    for key in keys:
        if key in record:
            return key
    *others, last = map(repr, keys)
    raise FormatError(path, number, f"no {what}: expected {', '.join(others)} or {last}")


def _as_text(path: Path | str, number: int, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise FormatError(path, number, f"expected a string under {key!r}, found {_kind(value)}")
    return value


def _refuse_half_characters(path: Path | str, number: int, text: str) -> None:
    # JSON can escape half a surrogate pair; no model or UTF-8 file could take it later.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise FormatError(path, number, f"half a surrogate pair, {half}, is no text") from error


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
