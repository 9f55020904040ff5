"""Reads the records that ``rank_requests`` describes, one at a time, of a JSON array or JSONL."""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.datasets.base import Fields
from rankprompt.datasets.json_objects import DECODER, Place, kind
from rankprompt.errors import FormatError
from rankprompt.files.text_lines import read_lines

__all__ = ["Candidate", "Request", "read_requests"]

_TEXTS = ("text", "segment", "contents", "content", "body", "passage")
_NO_FIELDS = ("qid", "docid", "rank", "score")
_BLANKS = re.compile("[ \t\n\r]*")


class Candidate(NamedTuple):
    """A document of a request; the score is None where none is given."""

    document: str
    score: float | None
    fields: Fields


class Request(NamedTuple):
    """A query with its candidates, and the number of the line where it starts."""

    line: int
    query: str
    text: str
    candidates: list[Candidate]


def read_requests(path: Path) -> Iterator[Request]:
    """Reads the requests of a file, in its order.

    Raises:
        InputError: the file cannot be read.
        FormatError: a malformed request, or a file without any.
    """
    lines = read_lines(path)
    first = next(lines, None)
    empty = first is None
    if first is not None:
        array = first[1].lstrip().startswith("[")
        rest = chain([first], lines)
        records = _read_array(path, rest) if array else _read_jsonl(path, rest)
        empty = True
        for place, record in records:
            empty = False
            yield _request(place, record)
    if empty:
        raise FormatError(path, None, "the file holds no request; expected a query and candidates")


def _read_jsonl(
    path: Path, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[Place, dict[str, Any]]]:
    for number, line in lines:
        place = Place(path, number)
        yield place, place.parse(line)


def _read_array(
    path: Path, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The array's elements, each with the line where it starts."""
    numbers, parts = zip(*lines, strict=True)
    text = "\n".join(parts)
    starts = list(accumulate((len(part) + 1 for part in parts[:-1]), initial=0))

    def place(at: int) -> Place:
        return Place(path, numbers[bisect_right(starts, at) - 1])

    at = _skip(text, text.index("[") + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        try:
            value, end = DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise place(error.pos).error(f"malformed JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise place(at).malformed(error) from error
        yield place(at), place(at).as_object(value)
        at = _skip(text, end)
        closed = text[at : at + 1] == "]"
        if not closed:
            if text[at : at + 1] != ",":
                raise place(at).error("malformed JSON: expected ',' or ']' after a request")
            at = _skip(text, at + 1)
    rest = _skip(text, at + 1)
    if rest < len(text):
        raise place(rest).error("malformed JSON: text after the end of the array")


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _request(place: Place, record: dict[str, Any]) -> Request:
    if "hits" not in record:
        inside = Place(place.path, place.line, "query")
        query = inside.as_object(record.get("query"))
        name, text = inside.get_id(query, "qid"), inside.get_text(query, "text")
        items, doc = place.get_list(record, "candidates"), "doc"
    else:
        items, doc = place.get_list(record, "hits"), None
        text = place.get_text(record, "query")
        names = {place.get_id(place.as_object(item), "qid") for item in items}
        if len(names) != 1:
            raise place.error(f"expected one qid in all hits, found {len(names)}")
        (name,) = names
    candidates = []
    for number, item in enumerate(items, 1):
        inside = Place(place.path, place.line, f"query {name}, candidate {number}")
        candidates.append(_candidate(inside, inside.as_object(item), doc))
    return Request(place.line, name, text, candidates)


def _candidate(place: Place, item: dict[str, Any], doc: str | None) -> Candidate:
    name = place.get_id(item, "docid")
    if doc is not None and doc not in item:
        raise place.error(f"no {doc!r}; found {', '.join(map(repr, item))}")
    record = item if doc is None else place.as_object(item[doc])
    key = next((key for key in _TEXTS if key in record), None)
    if key is None:
        raise place.error(f"no text: expected {', '.join(map(repr, _TEXTS[:-1]))} or 'passage'")
    text = place.get_text(record, key)
    others = place.get_fields(record, key, *(_NO_FIELDS if doc is None else ()))
    return Candidate(name, _score(place, item.get("score")), {"text": text, **others})


def _score(place: Place, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.error(f"expected a number as the score, found {kind(value)}")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise place.error("expected a finite number as the score")
    return score
