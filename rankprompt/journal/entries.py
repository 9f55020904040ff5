"""The journal's entries: their keys, values and checksums."""

import json
import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from rankprompt.llm.base import Answer, Request

__all__ = ["Entry", "checksum", "chunk_name", "key", "parse_value"]

_SHAPE_ERROR = "a value is no answer"


class Entry(NamedTuple):
    """A stored answer, and the name of the chunk of questions in which it was first asked."""

    answer: Answer
    chunk: bytes


def key(fingerprint: str, request: Request) -> bytes:
    """The key of a request to the model with a fingerprint: a digest of 16 bytes."""
    # The breaks are left out: they avoid repeated computation, but they change no answer. So are
    # the choices, which a server may or may not hold the model to: either answer is the model's.
    fields: list[object] = [
        fingerprint,
        request.prompt,
        request.options,
        request.max_tokens,
        request.chat,
    ]
    if request.passage is not None:
        fields.append(request.passage)
    content = json.dumps(fields, ensure_ascii=False)
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def parse_value(value: bytes) -> Answer:
    """Reads a stored answer; a value with the right checksum may still be another program's.

    Raises:
        sqlite3.DatabaseError: the value is no answer.
    """
    try:
        loglikelihoods, tokens, text, *rest = json.loads(value.decode())
    except (ValueError, TypeError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"{_SHAPE_ERROR}: {error}") from error
    if (
        not isinstance(loglikelihoods, list)
        or not isinstance(tokens, list)
        or not isinstance(text, str)
        or not all(type(number) in (float, int) for number in loglikelihoods)
        or not all(type(number) is int for number in tokens)
        or rest not in ([], [""], ["cut"])  # other problems are no answers
    ):
        raise sqlite3.DatabaseError(_SHAPE_ERROR)
    return Answer(tuple(loglikelihoods), tuple(tokens), text, *rest)


def checksum(name: bytes, value: bytes) -> bytes:
    """The checksum of an entry's key and value, 8 bytes."""
    return blake2b(name + value, digest_size=8).digest()


def chunk_name(keys: Iterable[bytes]) -> bytes:
    """The name of a chunk of questions: a digest of 8 bytes of the keys of its requests."""
    return blake2b(b"".join(sorted(set(keys))), digest_size=8).digest()
