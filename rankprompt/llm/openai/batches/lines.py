"""The lines of a batch's files (JSONL): a request each, and a result each.

OpenAI describes both at https://platform.openai.com/docs/guides/batch.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.call_errors import (
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)
from rankprompt.llm.openai.refusals import error_message, is_filter, raise_for
from rankprompt.llm.openai.schema import one_line

__all__ = ["MOST_BYTES", "MOST_REQUESTS", "Result", "parse_result", "request_line", "split"]

MOST_REQUESTS = 50_000
"""The most requests of a batch, by OpenAI's limits."""
MOST_BYTES = 190_000_000
"""The most bytes of a batch's requests; OpenAI's limit is 200 MB."""

_PASSING = {408, 409, 425, 429}


class Result(NamedTuple):
    """What became of a request: a reply of the model, or an error.

    Attributes:
        status: the HTTP status; 0 where the request was not executed.
        body: the reply as JSON.
        problem: why it was not executed, as one line.
    """

    status: int = 0
    body: object = None
    problem: str = "the batch ended without a result"

    def reply(self) -> JsonObject:
        """The model's reply.

        Raises:
            RefusedError: the request is at fault.
            FilteredError: a content filter refused it.
            UnusableError: there is no reply, and another batch may bring one.
        """
        if not self.status:
            raise UnusableError(self.problem)
        if 200 <= self.status < 300:
            if not isinstance(self.body, dict):
                raise UnusableError("a reply that is not a JSON object")
            if error := self.body.get("error"):
                raise_for(error, self.body, one_line(error_message(self.body)))
            return self.body
        message = one_line(error_message(self.body))
        if is_filter(self.status, self.body):
            raise FilteredError(f"{self.status}: {message}")
        if self.status in _PASSING or self.status >= 500:
            raise UnusableError(f"{self.status}: {message}")
        raise RefusedError(self.status, message, json.dumps(self.body)[:10_000])


class _Response(BaseModel):
    status_code: Annotated[int, Field(strict=True, ge=100, le=599)]
    body: object = None


class _Error(BaseModel):
    code: str | None = None
    message: str | None = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


def request_line(name: str, endpoint: str, body: Mapping[str, object]) -> bytes:
    """Writes a request as a line.

    Args:
        name: of the request, by which its result is found.
        endpoint: such as ``/v1/chat/completions``.
        body: as it would be posted there.
    """
    line = {"custom_id": name, "method": "POST", "url": endpoint, "body": body}
    return json.dumps(line).encode() + b"\n"


def parse_result(line: bytes) -> tuple[str, Result] | None:
    """Parses a line of a batch's output file or error file; None for one that is no result.

    Returns:
        The request's name, and what became of it.
    """
    try:
        parsed = _Line.model_validate(parse_json(line))
    except (ValueError, ValidationError):
        return None
    if parsed.response:
        return parsed.custom_id, Result(parsed.response.status_code, parsed.response.body)
    if parsed.error:
        told = ": ".join(filter(None, (parsed.error.code, parsed.error.message)))
        return parsed.custom_id, Result(problem=one_line(told) or Result().problem)
    return parsed.custom_id, Result()


def split(
    lines: Iterable[tuple[str, bytes]],
    most_requests: int = MOST_REQUESTS,
    most_bytes: int = MOST_BYTES,
) -> Iterator[dict[str, bytes]]:
    """Splits lines, by their names, into batches that keep to both limits; in the same order.

    A line that exceeds the bytes by itself is a batch of its own, which the server may refuse.
    """
    part: dict[str, bytes] = {}
    size = 0
    for name, line in lines:
        if part and (len(part) >= most_requests or size + len(line) > most_bytes):
            yield part
            part, size = {}, 0
        part[name] = line
        size += len(line)
    if part:
        yield part
