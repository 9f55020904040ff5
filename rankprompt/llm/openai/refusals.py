"""Tells a content filter's refusals and a provider's errors, in the forms of many servers."""

import json
import re
from collections.abc import Iterator, Sequence

from rankprompt.llm.openai.call_errors import (
    BusyError,
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)

__all__ = ["check_replies", "error_message", "is_filter", "is_too_long", "raise_for"]

# The statuses of a refused prompt; others are about the key, the address or the pace.
_FILTER_STATUSES = {400, 403, 406, 422, 451}
_FILTER_CODES = re.compile(
    r"content[_ -]?(filter|policy|moderation)|ResponsibleAIPolicy|inspection_?failed|prohibited|"
    r"moderation|blocklist|guardrail|^safety$|^sensitive$|^refusal$|^recitation$|^spii$|^blocked",
    re.I,
)
_FILTER_WORDS = re.compile(
    r"content (management|filter|policy|moderation)|content was (blocked|filtered|flagged)"
    r"|filtered (by|due|because|as|for|out)|inappropriate content|prohibited content|guardrail"
    r"|(prompt|input|content|message|response|output|answer|text)s?\b.{0,60}"
    r"\b(blocked|filtered|flagged)\b"
    r"|\b(blocked|flagged|rejected|refused)\b.{0,60}\b(safety|policy|polic|moderation|unsafe)"
    r"|safety (system|filter|setting|reason|guideline|check|polic)|usage polic|sensitive (content|"
    r"information|words)|unsafe content",
    re.I,
)
_TOO_LONG = re.compile(
    r"context.{0,3}(length|size|window)|exceed_context|\bn_ctx\b|prompt_too_long|input length"
    r"|maximum (context|input|sequence|prompt)|too many (input |total |prompt )?tokens"
    r"|(input|prompt|message|request)s?\b.{0,20}too (long|large)|string too long"
    r"|token(s|\b).{0,40}\bexceed|exceed.{0,60}\btokens?\b|exceeds? (the )?max(imum)? length"
    r"|tokens.{0,30}must be <|less than \d+ tokens|reduce the length|longer than the model",
    re.I,
)
_CODE_NAMES = {
    "code", "type", "error_type", "status", "reason", "finish_reason", "finishReason",
    "blockReason", "block_reason", "native_finish_reason", "stop_reason",
}  # fmt: skip
_BUSY = {429}
_TRANSIENT = {408, 409, 425}
# Replies without a choice in a row, after which the prompt counts as refused: Gemini's filter says
# no more than that.
_SILENT_REPLIES = 3


def error_message(reply: object) -> str:
    """Finds a server's explanation of an error; servers use different forms."""
    if isinstance(reply, list) and reply and isinstance(reply[0], dict) and "error" in reply[0]:
        reply = reply[0]  # as Gemini sends it
    for name in ("error", "message", "Message", "detail", "msg"):
        if isinstance(reply, dict) and reply.get(name):
            reply = reply[name]
    return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)


def is_too_long(message: str) -> bool:
    """Whether a server says that a prompt has too many tokens."""
    return bool(_TOO_LONG.search(message))


def is_filter(status: int, reply: object) -> bool:
    """Whether an error is a content filter's refusal of one prompt.

    Args:
        status: the HTTP status.
        reply: the body, parsed; a text if it is not JSON.
    """
    if status not in _FILTER_STATUSES:
        return False
    if any(_FILTER_CODES.search(code) for code in _codes(reply)):
        return True
    # Some servers quote the prompt, at the end.
    message = error_message(reply)[:300]
    return not is_too_long(message) and bool(_FILTER_WORDS.search(message))


def raise_for(problem: object, reply: object, message: str) -> None:
    """Raises the error that a reply of status 200 holds.

    Args:
        problem: the error, in any form.
        reply: what holds it.
        message: its explanation, as one line.

    Raises:
        FilteredError: it is a content filter's.
        RefusedError: the request is at fault.
        BusyError: there are too many calls.
        UnusableError: it may pass.
    """
    given = str(problem.get("code") if isinstance(problem, dict) else "")
    code = int(given) if re.fullmatch(r"\d{3}", given, re.ASCII) else 0
    if is_filter(code or 400, reply):
        raise FilteredError(message)
    if code in _BUSY:
        raise BusyError(f"{code}: {message}")
    if 400 <= code < 500 and code not in _TRANSIENT:
        raise RefusedError(code, message)
    raise UnusableError(f"an error in place of an answer: {message}")


def check_replies(replies: Sequence[JsonObject]) -> None:
    """Checks the last reply to a prompt for a provider's error and a content filter's refusal.

    Args:
        replies: all replies to the prompt, in order.

    Raises:
        FilteredError: a filter refused the prompt or the answer, or no reply has a choice.
        RefusedError, BusyError, UnusableError: as ``raise_for``.
    """
    choice = _first_choice(replies[-1])
    if choice is None:
        last = replies[-_SILENT_REPLIES:]
        silent = len(last) == _SILENT_REPLIES and all(map(_is_silent, last))
        if silent or any(_FILTER_CODES.search(code) for code in _codes(replies[-1])):
            raise FilteredError("no choice")
        return
    reasons = [str(choice.get(name) or "") for name in ("finish_reason", "native_finish_reason")]
    problem = choice.get("error")
    if problem or reasons[0] == "error":
        told = " ".join(error_message(problem or "finish_reason error").split())[:200]
        raise_for(problem, {"error": problem, "reason": reasons[1]}, told)
    message = choice.get("message")
    refusal = message.get("refusal") if isinstance(message, dict) else None
    if any(_FILTER_CODES.search(reason) for reason in reasons) or refusal:
        raise FilteredError("the answer is refused")


def _is_silent(reply: JsonObject) -> bool:
    """Whether a reply has no choices, and no explanation in their place."""
    explained = any(reply.get(name) for name in ("message", "detail", "msg"))
    return reply.get("choices") in (None, []) and not explained


def _first_choice(reply: JsonObject) -> JsonObject | None:
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _codes(value: object, depth: int = 0) -> Iterator[str]:
    """The codes of an error, in all its parts; explanations and quoted prompts are none."""
    parts = value if isinstance(value, list) else [value]
    for part in parts[:20] if depth < 6 else []:
        if isinstance(part, dict):
            for name, below in part.items():
                if name in _CODE_NAMES and isinstance(below, str):
                    yield below
                elif isinstance(below, dict | list):
                    yield from _codes(below, depth + 1)
