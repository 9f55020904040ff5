"""Strict reading of JSON objects from a user's file; every error names the file and the line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TypeAlias

from rankprompt.errors import FormatError
from rankprompt.files.text_lines import is_word

__all__ = [
    "STRICT_DECODER",
    "JsonLocation",
    "JsonObject",
    "check_id",
    "is_missing",
    "refuse_duplicate_keys",
    "type_name",
]

JsonObject: TypeAlias = Mapping[str, object]
"""A parsed JSON object, whose values are still unchecked."""


def refuse_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Makes the dictionary of an object's keys and values; the hook of a ``json.JSONDecoder``.

    Raises:
        ValueError: a key occurs twice.
    """
    record = dict(pairs)
    if len(record) < len(pairs):  # the json module would silently keep the last value
        keys = [key for key, _ in pairs]
        duplicate = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {duplicate!r:.80} occurs twice in one object")
    return record


STRICT_DECODER = json.JSONDecoder(object_pairs_hook=refuse_duplicate_keys)
"""Decodes JSON and raises a ``ValueError`` where an object holds a key twice."""
_DECODER = json.JSONDecoder()


def is_missing(value: object) -> bool:
    """Returns whether a value is null or NaN, as pandas writes what is missing."""
    return value is None or (isinstance(value, float) and isnan(value))


def check_id(path: Path | str, line: int, name: str) -> None:
    """Refuses an id that would break the columns of a TREC file.

    Raises:
        FormatError: the id is empty, contains ASCII white space or starts with a byte order mark.
    """
    if not is_word(name) or name.startswith("\ufeff"):
        raise FormatError(path, line, f"an id must be one word without spaces, not {name!r}")


@dataclass(frozen=True)
class JsonLocation:
    """The location of a JSON value in a file, and checked access to the value.

    Every method raises a ``FormatError`` with this location where the value is not as expected.

    Args:
        path: the file.
        line: the line's number, from 1.
        context: the part of the line's record that is meant, such as "candidate 3"; may be empty.
    """

    path: Path | str
    line: int
    context: str = ""

    def error(self, problem: str) -> FormatError:
        """Creates the error that reports a problem at this location."""
        prefix = f"{self.context}: " if self.context else ""
        return FormatError(self.path, self.line, prefix + problem)

    def malformed(self, error: ValueError | RecursionError) -> FormatError:
        """Creates the error that reports text that is not JSON at this location."""
        if isinstance(error, json.JSONDecodeError):
            return self.error(f"malformed JSON: {error.msg}, column {error.colno}")
        return self.error(f"malformed JSON: {error}")

    def parse(self, text: str, *, strict: bool = True) -> JsonObject:
        """Parses a JSON object.

        Args:
            text: the JSON text.
            strict: refuse an object that holds a key twice; otherwise its last value counts.
        """
        try:
            value: object = (STRICT_DECODER if strict else _DECODER).decode(text)
        except (ValueError, RecursionError) as error:  # also too long numbers, too deep brackets
            raise self.malformed(error) from error
        return self.as_object(value)

    def as_object(self, value: object) -> JsonObject:
        """Returns the value if it is an object."""
        if not isinstance(value, dict):
            raise self.error(f"expected a JSON object, found {type_name(value)}")
        return value

    def find_key(self, record: JsonObject, keys: Sequence[str], meaning: str) -> str:
        """Returns the first of several keys that has a value, or else the first that is there.

        Null and NaN are no values: pandas writes a column that a record lacks so.

        Args:
            record: the object.
            keys: the alternatives, in order of precedence.
            meaning: what the value is, such as "id", for the message.
        """
        present = [key for key in keys if key in record]
        if present:
            return next((key for key in present if not is_missing(record[key])), present[0])
        *others, last = map(repr, keys)
        raise self.error(f"no {meaning}: expected {', '.join(others)} or {last}")

    def get_list(self, record: JsonObject, key: str) -> list[object]:
        """Returns the list under a key."""
        value = self._get(record, key)
        if not isinstance(value, list):
            raise self.error(f"expected a list under {key!r}, found {type_name(value)}")
        return value

    def get_text(self, record: JsonObject, key: str) -> str:
        """Returns the string under a key."""
        value = self._get(record, key)
        if not isinstance(value, str):
            raise self.error(f"expected a string under {key!r}, found {type_name(value)}")
        return self.encodable(value)

    def get_id(self, record: JsonObject, key: str) -> str:
        """Returns the id under a key, which is a string without white space or a whole number."""
        value = self._get(record, key)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.error(
                f"expected a string or whole number under {key!r}, found {type_name(value)}"
            )
        name = self.encodable(str(value))
        check_id(self.path, self.line, name)
        return name

    def get_fields(self, record: JsonObject, *excluded: str) -> dict[str, str]:
        """Returns the record's strings by key, in its order, without the excluded keys.

        Values of other types are left out, but a ``title`` must be a string, null or NaN.
        """
        if not is_missing(record.get("title")):
            self.get_text(record, "title")
        return {
            self.encodable(key): self.encodable(value)
            for key, value in record.items()
            if isinstance(value, str) and key not in excluded
        }

    def encodable(self, text: str) -> str:
        """Returns the text if UTF-8 can encode it.

        JSON can escape half a surrogate pair, which neither a model nor a UTF-8 file can take.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])
            raise self.error(f"half a surrogate pair, {half}, is not text") from error
        return text

    def _get(self, record: JsonObject, key: str) -> object:
        if key not in record:
            raise self.error(f"no {key!r}; found {', '.join(map(repr, record)) or 'no key'}")
        return record[key]


def type_name(value: object) -> str:
    """Names a JSON value's type, for messages."""
    return "null" if value is None else type(value).__name__
