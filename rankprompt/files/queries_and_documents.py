"""Queries and documents as TSV (``id<TAB>text``) or JSONL; queries also as TREC topics.

A JSON null as a text is a blank text: pandas and parquet write a missing text so. TSV has no
header; a first line of column names, as pandas writes it, is skipped with a warning.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from rankprompt.errors import FormatError
from rankprompt.files.json_objects import JsonLocation, JsonObject, check_id, is_missing
from rankprompt.files.text_lines import read_lines
from rankprompt.files.trec_topics import is_topics, read_topics
from rankprompt.files.unique_ids import gather_documents, gather_queries
from rankprompt.files.xml_topics import is_xml, read_xml_topics
from rankprompt.types import Document

__all__ = [
    "LineParser",
    "check_first_line",
    "detect_fields",
    "get_text_or_blank",
    "read_documents",
    "read_queries",
]

LineParser: TypeAlias = Callable[[int, str], tuple[str, dict[str, str]] | None]
"""Parses a line, given its number and text, into an id and fields by name; None for a header."""

_QUERY_IDS = ("id", "_id", "qid", "query_id")
_QUERY_TEXTS = ("text", "query", "title")
_DOCUMENT_IDS = ("id", "_id", "docid")
_DOCUMENT_TEXTS = ("contents", "text")
# Column names of TSV headers in small letters, without quotes, dashes and underscores.
_ID_COLUMNS = {
    "corpusid", "did", "docid", "docno", "documentid", "id", "num", "number", "passageid", "pid",
    "qid", "queryid",
}  # fmt: skip
_TEXT_COLUMNS = {
    "abstract", "body", "content", "contents", "doc", "doctext", "document", "passage",
    "passagetext", "query", "querytext", "question", "segment", "text", "title", "url",
}  # fmt: skip
_NOT_IN_NAMES = re.compile("[\"'#_ \\r-]")

log = logging.getLogger("rankprompt")


def read_queries(path: Path | str) -> dict[str, str]:
    """Reads queries from TREC topics, TSV or JSONL; the first line decides which.

    TREC topics start with ``<top>`` (see ``read_topics``) or are XML (see ``read_xml_topics``).
    JSONL starts with a brace; the id is under ``id``, ``_id``, ``qid`` or ``query_id``, the text
    under ``text``, ``query`` or ``title``; the first of the keys that is not null counts.

    Args:
        path: the file, plain or compressed.

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
    the first of the keys that is not null counts. A ``title`` that is not blank is put before the
    text, separated by ``\n``. The file is streamed, so memory grows only with ``wanted``.

    Args:
        path: the file, plain or compressed.
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
    check_first_line(path, number, line)
    if not line.lstrip().startswith("{"):
        return _tsv_parser(path, number, line)

    def parse(number: int, line: str) -> tuple[str, dict[str, str]]:
        location = JsonLocation(path, number)
        record = location.parse(line, strict=False)
        id_key = location.find_key(record, _DOCUMENT_IDS, "id")
        text_key = location.find_key(record, _DOCUMENT_TEXTS, "text")
        name = location.get_id(record, id_key)
        fields = {"text": get_text_or_blank(location, record, text_key)}
        others = location.get_fields(
            record if all_fields else {"title": record.get("title")}, id_key, text_key
        )
        if "title" in others:
            fields["title"] = others["title"]
        return name, {**fields, **{key: others[key] for key in others if key not in fields}}

    return parse


def check_first_line(path: Path | str, number: int, line: str) -> None:
    """Names what a file is if its first line opens JSON or XML that is not read line by line.

    Raises:
        FormatError: the line opens a JSON array, an object of several lines, or XML.
    """
    start = line.strip()
    if start.startswith("[") and "\t" not in start:
        problem = "a JSON array; expected one object a line (jq -c '.[]' FILE > FILE.jsonl)"
    elif start == "{":
        problem = "a JSON object of several lines; expected one object a line (jq -c . FILE)"
    elif is_xml(line):
        problem = "XML, of which only topics are read; expected TSV (id<TAB>text) or JSONL"
    else:
        return
    raise FormatError(path, number, problem)


def get_text_or_blank(location: JsonLocation, record: JsonObject, key: str) -> str:
    """Returns the string under a key; the empty one for null and for NaN, as pandas may write it.

    Raises:
        FormatError: the key is absent, or holds something else.
    """
    return "" if is_missing(record.get(key, "")) else location.get_text(record, key)


def _tsv_parser(path: Path | str, first: int, first_line: str) -> LineParser:
    """Returns the parser of a TSV file's lines, of which the first may be a header."""
    columns = [_NOT_IN_NAMES.sub("", name.lower()) for name in first_line.split("\t")]
    is_header = (
        len(columns) > 1
        and columns[0] in _ID_COLUMNS
        and all(name in _ID_COLUMNS | _TEXT_COLUMNS for name in columns[1:])
    )

    def parse(number: int, line: str) -> tuple[str, dict[str, str]] | None:
        if is_header and number == first:
            _tell_header(path, number, line)
            return None
        name, tab, text = line.rstrip("\r").partition("\t")
        if not tab:
            problem = "expected id<TAB>text, found no tab (in JSONL the first line opens with {)"
            raise FormatError(path, number, problem)
        check_id(path, number, name)
        if "\r" in text:  # a file with such line ends would be one long record
            problem = "a carriage return within the line; lines must end with a newline"
            raise FormatError(path, number, problem)
        return name, {"text": text}

    return parse


@cache  # a file is read twice: once to check it, and once to use it
def _tell_header(path: Path | str, number: int, line: str) -> None:
    log.warning("%s:%d: a line of column names, which is skipped: %r", path, number, line)


def _document_rows(path: Path | str) -> Iterator[tuple[int, str, Document]]:
    parse: LineParser | None = None
    empty = True
    for number, line in read_lines(path):
        parse = parse or detect_fields(path, number, line, all_fields=False)
        record = parse(number, line)
        if record is not None:
            empty = False
            name, fields = record
            title, text = fields.get("title", ""), fields["text"]
            if title.strip():
                text = f"{title}\n{text}" if text else title
            yield number, name, Document(name, text)
    if empty:
        raise _empty(path)


def _query_rows(path: Path | str) -> Iterator[tuple[int, str, str]]:
    lines = read_lines(path)
    parse: LineParser | None = None
    empty = True
    for number, line in lines:
        if parse is None:
            if is_topics(line) or is_xml(line):
                yield from _topic_rows(path, number, line, lines)
                return
            check_first_line(path, number, line)
            parse = (
                partial(_parse_json_query, path)
                if line.lstrip().startswith("{")
                else _tsv_parser(path, number, line)
            )
        record = parse(number, line)
        if record is not None:
            empty = False
            name, fields = record
            yield number, name, fields["text"]
    if empty:
        raise _empty(path)


def _parse_json_query(path: Path | str, number: int, line: str) -> tuple[str, dict[str, str]]:
    location = JsonLocation(path, number)
    record = location.parse(line, strict=False)
    name = location.get_id(record, location.find_key(record, _QUERY_IDS, "id"))
    key = location.find_key(record, _QUERY_TEXTS, "text")
    return name, {"text": get_text_or_blank(location, record, key)}


def _topic_rows(
    path: Path | str, number: int, line: str, rest: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, str, str]]:
    topics = (
        read_topics(path, number, line, rest)
        if is_topics(line)
        else read_xml_topics(path, chain([(number, line)], rest))
    )
    for at, name, text in topics:
        check_id(path, at, name)
        yield at, name, text


def _empty(path: Path | str) -> FormatError:
    return FormatError(path, None, "the file is empty; expected TSV (id<TAB>text) or JSONL")
