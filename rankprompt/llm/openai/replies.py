"""Parses a server's replies: start of the answer, usage, refusals."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import normalize

from rankprompt.llm.base import Usage
from rankprompt.llm.openai.refusals import is_too_long
from rankprompt.llm.openai.retrying_client import JsonObject, RefusedError, RetryingClient
from rankprompt.llm.openai.schema import Choice, count_in
from rankprompt.llm.reasoning import answer_span, strip_reasoning

__all__ = [
    "TokenEstimate",
    "answer_bytes",
    "explain_refusal",
    "is_listed",
    "no_echo",
    "no_logprobs",
    "usage_of",
]


class TokenEstimate(NamedTuple):
    """Tokens of a prompt and of its answer, for servers that do not report usage."""

    prompt: int
    completion: int


def answer_bytes(stream: bytes, choice: Choice) -> tuple[int, int] | None:
    """Finds where the answer begins and ends in the generated tokens, in bytes.

    Returns:
        None if there is none.
    """
    # What cannot be decoded keeps its length.
    text = stream.decode("utf-8", "surrogateescape")
    span = answer_span(text)
    if span and not span[0] and choice.has_reasoning:
        # The server has removed the marks, but the tokens of the reasoning are listed.
        content = choice.content.strip()
        offset = text.rfind(content) if content else -1
        span = (offset, len(text)) if offset >= 0 else None
    if span is None:
        return None
    start, end = (len(text[:place].encode("utf-8", "surrogateescape")) for place in span)
    return start, end


def is_listed(stream: bytes, choice: Choice) -> bool:
    """Whether the listed tokens, ``stream``, can be those of the answer's text.

    Servers differ in space and in the marks that they leave out, so only the answer is compared;
    where fragments of characters were listed as text, nothing can be said.
    """
    listed = _compact(stream.decode("utf-8", "replace"))
    answer = _compact(strip_reasoning(choice.content) or "")
    return "\ufffd" in listed or answer.replace("\ufffd", "") in listed


def _compact(text: str) -> str:
    # Some servers list the pieces of a vocabulary, in which these are spaces.
    return re.sub(r"[\sĠĊ▁]+", "", normalize("NFKC", text))


def usage_of(replies: Sequence[JsonObject], estimate: TokenEstimate, retries: int) -> Usage:
    """Adds up the usage of all replies, including those that could not be used."""
    tokens = written = 0
    for reply in replies:
        prompt = _or(count_in(reply, "prompt_tokens"), estimate.prompt)
        completion = _or(count_in(reply, "completion_tokens"), estimate.completion)
        tokens, written = tokens + prompt + completion, written + completion
    return Usage(tokens, 0, written=written, retries=retries)


def _or(counted: int | None, estimated: int) -> int:
    return estimated if counted is None else counted


def explain_refusal(
    refused: RefusedError, client: RetryingClient, name: str, path: str, options: int
) -> str:
    """Says what a refusal means and what to do.

    Args:
        refused: by the server.
        client: has the key, or none.
        name: the model's name.
        path: the path of the call.
        options: how many options were to be scored.
    """
    status, message, key_source = refused.status, refused.message, client.key_source
    if options == 1 and re.search("echo|logprobs", message):
        return no_echo(message)
    if options and "logprobs" in message:
        return no_logprobs(name, message)
    if status == 401:
        # Without the message, because some servers quote parts of the key in it.
        if key_source:
            return f"the key in {key_source} is refused (401)"
        return f"a key is needed (401): set {' or '.join(client.address.keys)}"
    if status == 403:
        return f"not allowed (403: {message}); the key: {key_source or 'none is set'}"
    if is_too_long(message) or status == 413:
        return f"a prompt is too long; lower `passage_tokens` ({message})"
    if status in (404, 405):
        return f"no model {name!r}, or no {path}; most base URLs end in /v1 ({status}: {message})"
    return f"a call is refused ({status}: {message})"


def no_logprobs(name: str, reason: str) -> str:
    """Says that the server cannot score options."""
    return f"no log-probabilities for {name} ({reason}): use `mode` generation"


def no_echo(reason: str) -> str:
    """Says that the server cannot score a given text."""
    return (
        f"this server cannot score given texts ({reason}), which prompts of kind likelihood and "
        "contrast need: use one of kind choice (`prompt` prp), scored or with `mode` generation"
    )
