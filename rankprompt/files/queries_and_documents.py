"""Queries and documents as TSV (``id<TAB>text``) or JSONL; queries also as TREC topics."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeAlias

from rankprompt.errors import FormatError
from rankprompt.files.json_objects import JsonLocation, check_id
from rankprompt.files.text_lines import read_lines
from rankprompt.files.trec_topics import is_topics, read_topics
from rankprompt.files.unique_ids import gather_documents, gather_queries
from rankprompt.types import Document

__all__ = ["LineParser", "detect_fields", "read_documents", "read_queries"]

LineParser: TypeAlias = Callable[[int, str], tuple[str, dict[str, str]] | None]
"""Parses a line, given its number and text, into an id and fields by name; None for a header."""

_QUERY_IDS = ("id", "_id", "qid", "query_id")
_QUERY_TEXTS = ("text", "query", "title")
_DOCUMENT_IDS = ("id", "_id", "docid")
_DOCUMENT_TEXTS = ("contents", "text")


def read_queries(path: Path | str) -> dict[str, str]:
    """Reads queries from TREC topics, TSV or JSONL; the first line decides which.

    TREC topics start with ``<top>`` (see ``read_topics``). JSONL starts with a brace; the id is
    under ``id``, ``_id``, ``qid`` or ``query_id``, the text under ``text``, ``query`` or ``title``;
    the first of the keys that is present counts.

    Args:
        path: the file, plain or gzip.

    Returns:
        Texts by query id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, an id occurs twice, or the file is empty.
    """
    return gather_queries(path, _query_rows(path))


def read_documents(path: Path | str, wanted: Collection[str] | None = None) -> dict[str, Document]:
    r"""Reads documents from TSV, or from JSONL if the first line starts with a brace.

    In JSONL the id is under ``id``, ``_id`` or ``docid``, the text under ``contents`` or ``text``;
    the first of the keys that is present counts. A ``title`` that is not blank is put before the
    text, separated by ``\n``. The file is streamed, so memory grows only with ``wanted``.

    Args:
        path: the file, plain or gzip.
        wanted: the ids to keep; None keeps all. Lines of other documents are checked as well.

    Returns:
        Documents by id, in the file's order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a line is malformed, an id occurs twice with different texts, or the file is
            empty.
    """
    return gather_documents(path, _document_rows(path), wanted)


def detect_fields(
    path: Path | str, number: int, line: str, *, all_fields: bool = True
) -> LineParser:
    """Detects from a file's first line how its documents are written.

    Args:
        path: the file, for messages.
        number: the line's number.
        line: the first line that is not blank.
        all_fields: return every JSONL key that holds a string under its own name, not only
            ``title`` and ``text``. ``contents`` is returned as ``text`` and hides a key ``text``.

    Returns:
        The parser of every line of the file, this one included. It raises a ``FormatError`` on a
        malformed line.
    """
    del number
    if not line.lstrip().startswith("{"):
        return lambda number, line: _parse_tsv(path, number, line)

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        location = JsonLocation(path, number)
        record = location.parse(line, strict=False)
        id_key = location.find_key(record, _DOCUMENT_IDS, "id")
        text_key = location.find_key(record, _DOCUMENT_TEXTS, "text")
        name = location.get_id(record, id_key)
        fields = {"text": location.get_text(record, text_key)}
        others = location.get_fields(
            record if all_fields else {"title": record.get("title")}, id_key, text_key
        )
        if "title" in others:
            fields["title"] = others["title"]
        return name, {**fields, **{key: others[key] for key in others if key not in fields}}

    return parse


def _parse_tsv(path: Path | str, number: int, line: str) -> tuple[str, dict[str, str]]:
    name, tab, text = line.partition("\t")
    if not tab:
        problem = "expected id<TAB>text, found no tab (in JSONL the first line opens with {)"
        raise FormatError(path, number, problem)
    check_id(path, number, name)
    return name, {"text": text}


def _document_rows(path: Path | str) -> Iterator[tuple[int, str, Document]]:
    parse: LineParser | None = None
    for number, line in read_lines(path):
        parse = parse or detect_fields(path, number, line, all_fields=False)
        record = parse(number, line)
        if record is not None:
            name, fields = record
            title, text = fields.get("title", ""), fields["text"]
            if title.strip():
                text = f"{title}\n{text}" if text else title
            yield number, name, Document(name, text)
    if parse is None:
        raise _empty(path)


def _query_rows(path: Path | str) -> Iterator[tuple[int, str, str]]:
    lines = read_lines(path)
    json_lines: bool | None = None
    for number, line in lines:
        if json_lines is None:
            if is_topics(line):
                for at, name, text in read_topics(path, number, line, lines):
                    check_id(path, at, name)
                    yield at, name, text
                return
            json_lines = line.lstrip().startswith("{")
        if json_lines:
            location = JsonLocation(path, number)
            record = location.parse(line, strict=False)
            name = location.get_id(record, location.find_key(record, _QUERY_IDS, "id"))
            text = location.get_text(record, location.find_key(record, _QUERY_TEXTS, "text"))
        else:
            name, fields = _parse_tsv(path, number, line)
            text = fields["text"]
        yield number, name, text
    if json_lines is None:
        raise _empty(path)


def _empty(path: Path | str) -> FormatError:
    return FormatError(path, None, "the file is empty; expected TSV (id<TAB>text) or JSONL")
