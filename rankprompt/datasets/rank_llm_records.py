"""Reads rank_llm's records one at a time, from a JSON array or JSONL.

``rank_llm_requests`` describes the records.
"""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, chain
from pathlib import Path
from typing import NamedTuple

from rankprompt.datasets.base import Fields
from rankprompt.errors import FormatError
from rankprompt.files.json_objects import STRICT_DECODER, JsonLocation, JsonObject, type_name
from rankprompt.files.queries_and_documents import get_text_or_blank
from rankprompt.files.text_lines import read_lines

__all__ = ["Candidate", "Request", "read_requests"]

_TEXTS = ("text", "segment", "contents", "content", "body", "passage")
_NOT_FIELDS = ("qid", "docid", "rank", "score")
_BLANKS = re.compile("[ \t\n\r]*")


class Candidate(NamedTuple):
    """A document of a request; its score is None if the record has none."""

    document: str
    score: float | None
    fields: Fields


class Request(NamedTuple):
    """A query with its candidates, and the number of the line where its record starts."""

    line: int
    query: str
    text: str
    candidates: list[Candidate]


def read_requests(path: Path) -> Iterator[Request]:
    """Reads the requests of a file, in its order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a request is malformed, or the file has none.
    """
    lines = read_lines(path)
    empty = True
    for first in lines:
        array = first[1].lstrip().startswith("[")
        read = _read_array if array else _read_jsonl
        for location, record in read(path, chain([first], lines)):
            empty = False
            yield _request(location, record)
    if empty:
        raise FormatError(path, None, "the file holds no request; expected a query and candidates")


def _read_jsonl(
    path: Path, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[JsonLocation, JsonObject]]:
    for number, line in lines:
        location = JsonLocation(path, number)
        yield location, location.parse(line)


def _read_array(
    path: Path, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[JsonLocation, JsonObject]]:
    """Yields the array's elements, each with the line where it starts."""
    numbers, texts = zip(*lines, strict=True)
    text = "\n".join(texts)
    starts = list(accumulate((len(line) + 1 for line in texts[:-1]), initial=0))

    def location(at: int) -> JsonLocation:
        return JsonLocation(path, numbers[bisect_right(starts, at) - 1])

    at = _skip(text, text.index("[") + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        try:
            value, end = STRICT_DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise location(error.pos).error(f"malformed JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise location(at).malformed(error) from error
        yield location(at), location(at).as_object(value)
        at = _skip(text, end)
        closed = text[at : at + 1] == "]"
        if not closed:
            if text[at : at + 1] != ",":
                raise location(at).error("malformed JSON: expected ',' or ']' after a request")
            at = _skip(text, at + 1)
    rest = _skip(text, at + 1)
    if rest < len(text):
        raise location(rest).error("malformed JSON: text after the end of the array")


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _request(location: JsonLocation, record: JsonObject) -> Request:
    if "hits" not in record:
        of_query = replace(location, context="query")
        query = of_query.as_object(record.get("query"))
        name, text = of_query.get_id(query, "qid"), get_text_or_blank(of_query, query, "text")
        items, doc_key = location.get_list(record, "candidates"), "doc"
    else:
        items, doc_key = location.get_list(record, "hits"), None
        text = get_text_or_blank(location, record, "query")
        names = {location.get_id(location.as_object(item), "qid") for item in items}
        if len(names) != 1:
            raise location.error(f"expected one qid in all hits, found {len(names)}")
        (name,) = names
    candidates = []
    for number, item in enumerate(items, 1):
        of_item = replace(location, context=f"query {name}, candidate {number}")
        candidates.append(_candidate(of_item, of_item.as_object(item), doc_key))
    return Request(location.line, name, text, candidates)


def _candidate(location: JsonLocation, item: JsonObject, doc_key: str | None) -> Candidate:
    name = location.get_id(item, "docid")
    if doc_key is not None and doc_key not in item:
        raise location.error(f"no {doc_key!r}; found {', '.join(map(repr, item))}")
    record = item if doc_key is None else location.as_object(item[doc_key])
    text_key = location.find_key(record, _TEXTS, "text")
    text = get_text_or_blank(location, record, text_key)
    others = location.get_fields(record, text_key, *(_NOT_FIELDS if doc_key is None else ()))
    return Candidate(name, _score(location, item.get("score")), {"text": text, **others})


def _score(location: JsonLocation, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise location.error(f"expected a number as the score, found {type_name(value)}")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise location.error("expected a finite number as the score")
    return score
