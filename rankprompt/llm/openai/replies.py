"""Parses a server's replies: text, start of the answer, echoed tokens, usage, refusals."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rankprompt.llm.base import Usage
from rankprompt.llm.openai.refusals import is_too_long
from rankprompt.llm.openai.retrying_client import KEYS, JsonObject, RefusedError, UnusableError
from rankprompt.llm.reasoning import answer_span, strip_reasoning

__all__ = [
    "TokenEstimate",
    "answer_offset",
    "echoed_logprobs",
    "explain_refusal",
    "first_choice",
    "generated_text",
    "is_thinking",
    "no_echo",
    "no_logprobs",
    "usage_of",
]


class TokenEstimate(NamedTuple):
    """Tokens of a prompt and of its answer, for servers that do not report usage."""

    prompt: int
    completion: int


def first_choice(reply: JsonObject) -> JsonObject:
    """Returns the reply's first choice.

    Raises:
        UnusableError: there is none.
    """
    choices = reply.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        raise UnusableError("a reply without an answer")
    return choices[0]


def generated_text(choice: JsonObject) -> str:
    """Returns the generated text, without reasoning that the server reports separately."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("text")
    if isinstance(content, list):  # a list of content parts
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _has_reasoning(choice: JsonObject) -> bool:
    message = choice.get("message")
    names = ("reasoning_content", "reasoning")
    return isinstance(message, dict) and any(message.get(name) for name in names)


def is_thinking(choice: JsonObject) -> bool:
    """Whether the model was still thinking when the reply ended."""
    text = generated_text(choice)
    return strip_reasoning(text) is None or (_has_reasoning(choice) and not text)


def answer_offset(text: str, choice: JsonObject) -> int | None:
    """Finds where the answer begins in the generated tokens, in bytes; None if there is none."""
    span = answer_span(text)
    start = span[0] if span else None
    if not start and _has_reasoning(choice):
        # The server has removed the thinking marks, but the thinking tokens are listed.
        content = generated_text(choice).strip()
        offset = text.rfind(content) if content else -1
        start = offset if offset >= 0 else None
    return None if start is None else len(text[:start].encode())


def echoed_logprobs(logprobs: Any, text: str, begin: int) -> list[float]:
    """Returns the log-probabilities of the echoed tokens that ``text[begin:]`` overlaps.

    Args:
        logprobs: the reply's, in any form.
        text: the prompt that was sent.
        begin: offset in ``text``, in characters.

    Returns:
        Nothing unless all tokens are there.
    """
    try:
        tokens, values = logprobs["tokens"], logprobs["token_logprobs"]
        offsets = [int(offset) for offset in logprobs["text_offset"]]
        # A first token such as <s> is counted in the offsets by some servers and not by others.
        shift = min((0, len(tokens[0])), key=lambda one: _mismatches(tokens, offsets, text, one))
        ends = [*offsets[1:], offsets[-1] + len(tokens[-1])]
        selected = [
            float(value)
            for offset, end, value in zip(offsets, ends, values, strict=True)
            if offset - shift < len(text) and (end - shift > begin or offset - shift >= begin)
        ]
    except (KeyError, TypeError, ValueError, IndexError):
        return []
    return selected if ends[-1] - shift >= len(text) else []


def _mismatches(tokens: Sequence[str], offsets: Sequence[int], text: str, shift: int) -> int:
    return sum(
        not text.startswith(token, offset - shift)
        for token, offset in zip(tokens, offsets, strict=True)
        if 0 <= offset - shift < len(text) and "\ufffd" not in token
    )


def usage_of(replies: Sequence[JsonObject], estimate: TokenEstimate, retries: int) -> Usage:
    """Adds up the usage of all replies, including those that could not be used."""
    tokens = written = 0
    for reply in replies:
        reported = reply.get("usage")
        counts = reported if isinstance(reported, dict) else {}
        prompt, completion = (
            counts[name] if isinstance(counts.get(name), int) else guess
            for name, guess in zip(("prompt_tokens", "completion_tokens"), estimate, strict=True)
        )
        tokens, written = tokens + prompt + completion, written + completion
    return Usage(tokens, 0, written=written, retries=retries)


def explain_refusal(
    refused: RefusedError, key_source: str | None, name: str, path: str, options: int
) -> str:
    """Says what a refusal means and what to do.

    Args:
        refused: by the server.
        key_source: the environment variable that the key came from; None without a key.
        name: the model's name.
        path: the path of the call.
        options: how many options were to be scored.
    """
    status, message = refused.status, refused.message
    if options == 1 and re.search("echo|logprobs", message):
        return no_echo(message)
    if options and "logprobs" in message:
        return no_logprobs(name, message)
    if status == 401:
        # Without the message, because some servers quote parts of the key in it.
        if key_source:
            return f"the key in {key_source} is refused (401)"
        return f"a key is needed (401): set {' or '.join(KEYS)}"
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
