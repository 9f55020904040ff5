"""JSON objects of a user's file, read strictly; what is wrong is told with its place."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankprompt.errors import FormatError
from rankprompt.files.queries_and_documents import check_id

__all__ = ["DECODER", "Place"]


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # plain JSON readers keep the last and drop the others
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_refuse_twice)
"""Reads JSON; a ``ValueError`` or a ``RecursionError`` says what is malformed."""


@dataclass(frozen=True)
class Place:
    """Where a value stands, for what is said of it.

    Args:
        path: the file.
        line: the line's number, from 1.
        within: what part of the line's record is meant, such as "candidate 3"; may be empty.
    """

    path: Path
    line: int
    within: str = ""

    def error(self, problem: object) -> FormatError:
        """The error that something is wrong here."""
        said = str(problem)
        return FormatError(self.path, self.line, f"{self.within}: {said}" if self.within else said)

    def malformed(self, error: ValueError | RecursionError) -> FormatError:
        """The error that the text here is no JSON."""
        if isinstance(error, json.JSONDecodeError):
            return self.error(f"malformed JSON: {error.msg}, column {error.colno}")
        return self.error(f"malformed JSON: {error}")

    def parse(self, text: str) -> dict[str, Any]:
        """Reads an object from its text."""
        try:
            value = DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            raise self.malformed(error) from error
        return self.as_object(value)

    def as_object(self, value: object) -> dict[str, Any]:
        """The value, which must be an object."""
        if not isinstance(value, dict):
            raise self.error(f"expected a JSON object, found {kind(value)}")
        return value

    def get_list(self, record: dict[str, Any], key: str) -> list[Any]:
        """The list under a key."""
        value = self._get(record, key)
        if not isinstance(value, list):
            raise self.error(f"expected a list under {key!r}, found {kind(value)}")
        return value

    def get_text(self, record: dict[str, Any], key: str) -> str:
        """The string under a key."""
        value = self._get(record, key)
        if not isinstance(value, str):
            raise self.error(f"expected a string under {key!r}, found {kind(value)}")
        return self._whole(value)

    def get_id(self, record: dict[str, Any], key: str) -> str:
        """The id under a key: a word, or a whole number."""
        value = self._get(record, key)
        if isinstance(value, bool) or not isinstance(value, str | int):
            problem = f"expected a string or whole number under {key!r}, found {kind(value)}"
            raise self.error(problem)
        name = self._whole(str(value))
        check_id(self.path, self.line, name)
        return name

    def get_fields(self, record: dict[str, Any], *others: str) -> dict[str, str]:
        """The strings of a record by key, in its order, without those of the other keys.

        Values of other types are left out, but a title must be a string or null.
        """
        if record.get("title") is not None:
            self.get_text(record, "title")
        return {
            self._whole(key): self._whole(value)
            for key, value in record.items()
            if isinstance(value, str) and key not in others
        }

    def _get(self, record: dict[str, Any], key: str) -> object:
        if key not in record:
            raise self.error(f"no {key!r}; found {', '.join(map(repr, record)) or 'no key'}")
        return record[key]

    def _whole(self, text: str) -> str:
        # JSON can escape half a surrogate pair; no model or UTF-8 file could take it later.
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])
            raise self.error(f"half a surrogate pair, {half}, is no text") from error
        return text


def kind(value: object) -> str:
    """Names a value's type, for messages."""
    return "null" if value is None else type(value).__name__
