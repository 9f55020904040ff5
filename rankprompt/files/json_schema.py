"""JSON that rankprompt wrote itself, read again by a schema: files may be damaged or hostile.

A schema is any type that pydantic knows, such as a dataclass or a ``NamedTuple``. It is strict: no
value is converted, so the text "3" is no number and ``true`` is no 1.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from rankprompt.errors import FormatError, InputError
from rankprompt.files.json_objects import refuse_duplicate_keys

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

__all__ = ["LARGEST_FILE", "first_problem", "parse_as", "parse_json", "read_as", "read_text"]

LARGEST_FILE = 2**28
"""The most bytes of a file that is parsed as a whole."""

T = TypeVar("T")

_ADAPTERS: "dict[object, TypeAdapter[object]]" = {}


def _parse_integer(digits: str) -> int:
    if len(digits) > 19 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"the number {digits[:20]}... has more than 64 bits")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=refuse_duplicate_keys, parse_int=_parse_integer, parse_float=_parse_float
)


def parse_json(text: str) -> object:
    """Parses JSON.

    Raises:
        ValueError: it is malformed or too deep, holds a key twice in one object, or a number
            beyond 64 bits; the message is one line.
    """
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("the brackets are nested too deep") from None
    return value


def parse_as(schema: type[T], text: str) -> T:
    """Parses JSON of a schema.

    Raises:
        ValueError: as ``parse_json``, or a value is not as the schema says; the message is one line
            that names the value's place.
    """
    from pydantic import ValidationError

    parse_json(text)
    try:
        return cast(T, _adapter(schema).validate_json(text, strict=True))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def first_problem(error: "ValidationError") -> str:
    """Returns the first problem that pydantic found, and its place, in one line."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    # A union's alternatives and a dataclass's name are no part of the file.
    place = ".".join(
        part for part in parts if "[" not in part and not part.startswith(("function", "_"))
    )
    problem = first["msg"].removeprefix("Value error, ")
    return f"{place:.120}: {problem}" if place else problem


def read_text(path: Path) -> str:
    """Reads a UTF-8 file of at most ``LARGEST_FILE`` bytes, without its byte order mark.

    Raises:
        InputError: it cannot be read.
        FormatError: it is larger, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > LARGEST_FILE:
        raise FormatError(path, None, f"the file has more than {LARGEST_FILE >> 20} MB")
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise FormatError(path, None, f"not UTF-8 text: byte {error.start + 1}") from error


def read_as(schema: type[T], path: Path) -> T:
    """Reads a JSON file of a schema.

    Raises:
        InputError: it cannot be read.
        FormatError: it is not JSON, or not as the schema says.
    """
    text = read_text(path)
    try:
        return parse_as(schema, text)
    except ValueError as error:
        raise FormatError(path, None, str(error)) from error


def _adapter(schema: type[object]) -> "TypeAdapter[object]":
    from pydantic import TypeAdapter

    if schema not in _ADAPTERS:
        _ADAPTERS[schema] = TypeAdapter(schema)
    return _ADAPTERS[schema]
