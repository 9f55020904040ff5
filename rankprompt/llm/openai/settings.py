"""What a user may say about a server's model, and headers and bodies as they are written."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rankprompt.errors import InputError

__all__ = [
    "EFFORTS",
    "THINKING",
    "ServerSettings",
    "hide_header",
    "is_hidden",
    "parse_extra_body",
    "parse_headers",
]

THINKING = ("auto", "off", "on")
EFFORTS = ("none", "minimal", "low", "medium", "high")
_HIDDEN = "***"
_ENVIRONMENT = "env:"
# What the client writes itself: another value would change the question or hide the answer.
_OWN_FIELDS = {
    "model", "messages", "prompt", "max_tokens", "max_completion_tokens", "logprobs",
    "top_logprobs", "echo", "stream", "n", "best_of", "suffix", "reasoning_effort",
}  # fmt: skip
_OWN_HEADERS = {"content-type", "content-length", "transfer-encoding", "connection", "host"}


@dataclass(frozen=True)
class ServerSettings:
    """How a model behind a server is called.

    Attributes:
        thinking: "off" and "on" are said in each chat; "auto" says "off" once the model's
            reasoning has left no room for an answer.
        reasoning_effort: sent by this name; None sends none.
        extra_body: fields of each request.
        headers: of each call. Their values are secrets.
        model_id: names the model in place of the server's address, so that answers of one server
            in a journal count for another.
        timeout: seconds that a call may take in all; None for the back end's default.
        retries: how often a failed call may be retried.
    """

    thinking: str = "auto"
    reasoning_effort: str | None = None
    extra_body: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    model_id: str | None = None
    timeout: float | None = None
    retries: int = 6


def parse_headers(headers: Sequence[str]) -> dict[str, str]:
    """Parses ``NAME:VALUE`` and ``NAME:env:VARIABLE``, whose value is in the environment.

    Raises:
        InputError: a header that cannot be sent; no message shows a value.
    """
    parsed = {}
    for header in headers:
        name, colon, value = (part.strip() for part in header.partition(":"))
        if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise InputError("a `header` is NAME:VALUE, such as X-Team:search")
        if name.lower() in _OWN_HEADERS:
            raise InputError(f"`header` {name} is written by rankprompt itself")
        if is_hidden(header):
            raise InputError(
                f"`header` {name}: give its value again, which no manifest holds "
                f"({name}:{_ENVIRONMENT}VARIABLE reads it from the environment)"
            )
        if value.startswith(_ENVIRONMENT):
            variable = value.removeprefix(_ENVIRONMENT)
            value = os.environ.get(variable, "").strip()
            if not value:
                raise InputError(f"`header` {name}: {variable} is not set in the environment")
        if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
            raise InputError(f"`header` {name}: its value must be ASCII, and not empty")
        parsed[name] = value
    return parsed


def hide_header(header: str) -> str:
    """A header as a manifest may show it: without its value, unless that is in the environment."""
    name, _, value = (part.strip() for part in header.partition(":"))
    shown = value if value.startswith(_ENVIRONMENT) else _HIDDEN
    return f"{name}:{shown}" if value else _HIDDEN


def is_hidden(header: str) -> bool:
    """Whether a header comes from a manifest that holds its name alone."""
    return header.partition(":")[2].strip() == _HIDDEN


def parse_extra_body(text: str | None) -> dict[str, object]:
    """Parses the fields of a request, a JSON object.

    Raises:
        InputError: it is none, or has a field that the client writes itself.
    """
    if text is None:
        return {}
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"`extra_body` is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError('`extra_body` must be a JSON object, such as {"top_k": 1}')
    if own := sorted(_OWN_FIELDS & content.keys()):
        raise InputError(f"`extra_body` must not hold {own[0]}: rankprompt writes that itself")
    return content


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
