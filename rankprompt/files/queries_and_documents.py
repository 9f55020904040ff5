"""Queries and documents, as TSV (``id<TAB>text``) or JSONL; queries as TREC topics, too."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_lines
from rankprompt.files.trec_topics import is_topics, read_topics
from rankprompt.files.unique_ids import gather_documents, gather_queries
from rankprompt.types import Document

__all__ = ["Parse", "check_id", "detect_fields", "read_documents", "read_queries"]

Parse: TypeAlias = Callable[[int, str], tuple[str, dict[str, str]] | None]
"""Reads a line, given its number: an id with its texts by name; None where it is a header."""

_QUERY_IDS = ("id", "_id", "qid", "query_id")
_QUERY_TEXTS = ("text", "query", "title")
_DOCUMENT_IDS = ("id", "_id", "docid")
_DOCUMENT_TEXTS = ("contents", "text")


def read_queries(path: Path | str) -> dict[str, str]:
    """Read queries from TREC topics, TSV, or JSONL, told by how the first line starts.

    TREC topics start with ``<top>``: see ``read_topics``. JSONL starts with a brace; the id is
    under ``id``, ``_id``, ``qid`` or ``query_id``, the text under ``text``, ``query`` or
    ``title``; the first key that is there counts.

    Args:
        path: the file, plain or gzip.

    Returns:
        Texts by query id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed line, an id twice, or an empty file.
    """
    return gather_queries(path, _checked(path, _read_queries(path)))


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
    return gather_documents(path, _read_documents(path), wanted)


def detect_fields(path: Path | str, number: int, line: str, *, every: bool = True) -> Parse:
    """Tell from a file's first line how its documents are written.

    Args:
        path: the file, for messages.
        number: the line's number.
        line: the first line that is not blank.
        every: give every key of JSONL that holds a string under its own name; off for ``title``
            and ``text`` alone. ``contents`` is given as ``text``, and hides a key ``text``.

    Returns:
        What reads each line of the file, this one included; it raises a ``FormatError`` on a
        malformed line.
    """
    del number
    if not line.lstrip().startswith("{"):
        return lambda number, line: _split(path, number, line)

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        record = _parse_object(path, number, line)
        id_key = _find_key(path, number, record, _DOCUMENT_IDS, "id")
        text_key = _find_key(path, number, record, _DOCUMENT_TEXTS, "text")
        name = _as_id(path, number, id_key, record[id_key])
        fields = {"text": _as_text(path, number, text_key, record[text_key])}
        if record.get("title") is not None:
            fields["title"] = _as_text(path, number, "title", record["title"])
        if every:
            for key, value in record.items():
                if isinstance(value, str) and key not in (id_key, text_key):
                    fields.setdefault(key, value)
        _refuse_half_characters(path, number, "".join([name, *fields, *fields.values()]))
        check_id(path, number, name)
        return name, fields

    return parse


def check_id(path: Path | str, number: int, name: str) -> None:
    """Refuse an id that would break the columns of a TREC file."""
    if name.split() != [name]:
        raise FormatError(path, number, f"an id must be one word without spaces, not {name!r}")


def _split(path: Path | str, number: int, line: str) -> tuple[str, dict[str, str]]:
    name, tab, text = line.partition("\t")
    if not tab:
        problem = "expected id<TAB>text, found no tab (in JSONL the first line opens with {)"
        raise FormatError(path, number, problem)
    check_id(path, number, name)
    return name, {"text": text}


def _checked(
    path: Path | str, rows: Iterable[tuple[int, str, str]]
) -> Iterator[tuple[int, str, str]]:
    for line, name, text in rows:
        check_id(path, line, name)
        yield line, name, text


def _read_documents(path: Path | str) -> Iterator[tuple[int, str, Document]]:
    parse: Parse | None = None
    for line, content in read_lines(path):
        parse = parse or detect_fields(path, line, content, every=False)
        record = parse(line, content)
        if record is not None:
            name, fields = record
            title, text = fields.get("title", ""), fields["text"]
            if title.strip():
                text = f"{title}\n{text}" if text else title
            yield line, name, Document(name, text)
    if parse is None:
        raise _empty(path)


def _read_queries(path: Path | str) -> Iterator[tuple[int, str, str]]:
    form = None
    lines = read_lines(path)
    for number, line in lines:
        if form is None:
            if is_topics(line):
                yield from read_topics(path, number, line, lines)
                return
            form = "json" if line.lstrip().startswith("{") else "tsv"
        if form == "json":
            record = _parse_object(path, number, line)
            id_key = _find_key(path, number, record, _QUERY_IDS, "id")
            name = _as_id(path, number, id_key, record[id_key])
            text_key = _find_key(path, number, record, _QUERY_TEXTS, "text")
            text = _as_text(path, number, text_key, record[text_key])
            _refuse_half_characters(path, number, name + text)
        else:
            name, fields = _split(path, number, line)
            text = fields["text"]
        yield number, name, text
    if form is None:
        raise _empty(path)


def _empty(path: Path | str) -> FormatError:
    return FormatError(path, None, "the file is empty; expected TSV (id<TAB>text) or JSONL")


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


def _find_key(
    path: Path | str, number: int, record: dict[str, Any], keys: Sequence[str], what: str
) -> str:
    for key in keys:
        if key in record:
            return key
    *others, last = map(repr, keys)
    raise FormatError(path, number, f"no {what}: expected {', '.join(others)} or {last}")


def _as_id(path: Path | str, number: int, key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        problem = f"expected a string or whole number under {key!r}, found {_kind(value)}"
        raise FormatError(path, number, problem)
    return str(value)


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
