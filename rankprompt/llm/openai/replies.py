"""Reads a server's replies: text, where the answer begins, cost, and what a refusal means."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rankprompt.llm.base import Usage
from rankprompt.llm.openai.http_client import KEYS, RefusedError, UnusableError
from rankprompt.llm.openai.top_logprobs import answer_start

__all__ = [
    "Cost",
    "answer_place",
    "echoed",
    "explain",
    "first_choice",
    "no_echo",
    "no_logprobs",
    "still_thinking",
    "usage_of",
    "written",
]

_TOO_LONG = re.compile(
    r"context.{0,3}(length|size|window)|maximum (context|input|sequence)|too many (input )?tokens"
    r"|(input|prompt).{0,20}too long",
    re.I,
)


class Cost(NamedTuple):
    """Tokens read and written where the server does not tell: a guess."""

    read: int
    written: int


def first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The reply's first choice; there is one where one was asked for.

    Raises:
        UnusableError: there is none.
    """
    choices = reply.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        raise UnusableError("a reply without an answer")
    choice: dict[str, Any] = choices[0]
    return choice


def written(choice: dict[str, Any]) -> str:
    """What the model wrote, without the reasoning that a server has parted from it."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else choice.get("text")
    if isinstance(content, list):  # in parts
        content = "".join(str(one.get("text") or "") for one in content if isinstance(one, dict))
    return content if isinstance(content, str) else ""


def _reasons(choice: dict[str, Any]) -> bool:
    message = choice.get("message")
    names = ("reasoning_content", "reasoning")
    return isinstance(message, dict) and any(message.get(name) for name in names)


def still_thinking(choice: dict[str, Any]) -> bool:
    """Whether the model has not come to an answer."""
    text = written(choice)
    return answer_start(text) is None or (_reasons(choice) and not text)


def answer_place(text: str, choice: dict[str, Any]) -> int | None:
    """Where the answer begins among the generated tokens, in bytes; None where there is none."""
    start = answer_start(text)
    if not start and _reasons(choice):
        # The server has taken the marks away; the tokens are all there.
        content = written(choice).strip()
        found = text.rfind(content) if content else -1
        start = found if found >= 0 else None
    return None if start is None else len(text[:start].encode())


def echoed(logprobs: Any, whole: str, begin: int) -> list[float]:
    """The log-probabilities of the tokens that ``whole[begin:]`` is part of; none if not all."""
    try:
        tokens, own = logprobs["tokens"], logprobs["token_logprobs"]
        places = [int(place) for place in logprobs["text_offset"]]
        # A token that starts the text (such as <s>) is counted by some servers and not by others.
        shift = min((0, len(tokens[0])), key=lambda one: _misfits(tokens, places, whole, one))
        ends = [*places[1:], places[-1] + len(tokens[-1])]
        inside = [
            float(one)
            for place, end, one in zip(places, ends, own, strict=True)
            if place - shift < len(whole) and (end - shift > begin or place - shift >= begin)
        ]
    except (KeyError, TypeError, ValueError, IndexError):
        return []
    return inside if ends[-1] - shift >= len(whole) else []


def _misfits(tokens: Sequence[str], places: Sequence[int], whole: str, shift: int) -> int:
    return sum(
        not whole.startswith(token, place - shift)
        for token, place in zip(tokens, places, strict=True)
        if 0 <= place - shift < len(whole) and "\ufffd" not in token
    )


def usage_of(replies: Sequence[dict[str, Any]], guess: Cost, repeated: int) -> Usage:
    """What all replies have cost, those too that could not be used."""
    tokens = written = 0
    for reply in replies:
        told = reply.get("usage")
        counts = [
            told.get(name) if isinstance(told, dict) else None
            for name in ("prompt_tokens", "completion_tokens")
        ]
        read, wrote = (
            one if isinstance(one, int) else guessed
            for one, guessed in zip(counts, guess, strict=True)
        )
        tokens, written = tokens + read + wrote, written + wrote
    return Usage(tokens, 0, written=written, retries=repeated)


def explain(refused: RefusedError, name: str, path: str, options: int) -> str:
    """What a refusal means, and what to do.

    Args:
        refused: by the server.
        name: the model's.
        path: that was asked.
        options: how many there were to score.
    """
    status, message = refused.status, refused.message
    if options == 1 and re.search("echo|logprobs", message):
        return no_echo(message)
    if options and "logprobs" in message:
        return no_logprobs(name, message)
    if status == 401:
        # Not the message: some servers quote parts of the key to the one who has sent it.
        if refused.key_source:
            return f"the key in {refused.key_source} is refused (401)"
        return f"a key is needed (401): set {' or '.join(KEYS)}"
    if status == 403:
        return f"not allowed (403: {message}); the key: {refused.key_source or 'none is set'}"
    if _TOO_LONG.search(message):
        return f"a prompt is too long; show less of each passage: --passage-tokens ({message})"
    if status in (404, 405):
        return f"no model {name!r}, or no {path}; most base URLs end in /v1 ({status}: {message})"
    return f"a call is refused ({status}: {message})"


def no_logprobs(name: str, reason: str) -> str:
    """Tells that options cannot be scored."""
    return f"no log-probabilities for {name} ({reason}): use --mode generation"


def no_echo(reason: str) -> str:
    """Tells that a given text cannot be scored."""
    return (
        f"this server cannot score given texts ({reason}), which prompts of kind likelihood and "
        "contrast need: use one of kind choice (--prompt prp), scored or with --mode generation"
    )
