"""The parts of a server's reply that are read, checked before anything is made of them."""

import math
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rankprompt.llm.openai.retrying_client import JsonObject, RefusedError, UnusableError

__all__ = [
    "Choice",
    "Listing",
    "Part",
    "checked",
    "count_in",
    "first_choice",
    "listing_of",
    "one_line",
    "prompt_listing_of",
]

T = TypeVar("T", bound=BaseModel)

# Rounding may bring a log-probability above 0.
_ROUNDING = 1e-3
# A token that is ruled out has -inf, or a large number in place of it.
_RULED_OUT = -1e6
_MAX_TOKENS = 1 << 40
# Why generation ended when the server failed in the middle of it.
_FAILURES = {
    "abort", "aborted", "cancelled", "canceled", "error", "failed", "insufficient_system_resource",
    "malformed_response", "network_error", "server_error", "timeout",
}  # fmt: skip
# A part of another type is reasoning.
_TEXT_PARTS = (None, "text", "output_text")
_PASSING = {408, 409, 425, 429}


def _text(text: str) -> str:
    """Joins the halves of a character that were escaped in two, and replaces a half alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _logprob(value: float) -> float | None:
    if math.isnan(value) or value > _ROUNDING:
        raise ValueError("no log-probability")
    return min(value, 0.0) if value > _RULED_OUT else None


_Text = Annotated[str, AfterValidator(_text)]
_Number = Annotated[float, Field(strict=True), AfterValidator(_logprob)]
# None where the token is ruled out, and for the first token of an echo.
_Logprob = _Number | None
_Byte = Annotated[int, Field(strict=True, ge=0, le=255)]


class Part(BaseModel):
    """A part of a reply; what else it holds is not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Entry(Part):
    token: _Text
    logprob: _Logprob = None
    bytes: list[_Byte] | None = None


class _ListedEntry(_Entry):
    top_logprobs: list[_Entry] | None = None


class Listing(Part):
    """Log-probabilities, in the form of chat (``content``) or of completions (the others)."""

    content: list[_ListedEntry] | None = None
    tokens: list[_Text] | None = None
    token_logprobs: list[_Logprob] | None = None
    top_logprobs: list[dict[_Text, _Logprob] | None] | None = None


class _PromptEntry(Part):
    logprob: _Logprob = None
    decoded_token: _Text | None = None


class _PromptListing(Part):
    """The prompt's tokens in vLLM's form: by id, the one that stands there first."""

    prompt_logprobs: list[dict[str, _PromptEntry] | None]


class _Message(Part):
    content: _Text | list[object] | None = None
    refusal: object = None
    reasoning: object = None
    reasoning_content: object = None
    thinking: object = None


class Choice(Part):
    """What a model generated."""

    text: _Text | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: object = None
    prompt_logprobs: object = None

    @property
    def content(self) -> str:
        """The text, without reasoning that the server reports apart."""
        content = self.message.content if self.message else self.text
        if isinstance(content, list):
            texts = (part.get("text") for part in self._parts if part.get("type") in _TEXT_PARTS)
            content = _text("".join(text for text in texts if isinstance(text, str)))
        return content or ""

    @property
    def has_reasoning(self) -> bool:
        """Whether the server reports reasoning apart from the text."""
        message = self.message
        apart = message and (message.reasoning_content or message.reasoning or message.thinking)
        return bool(apart) or any(part.get("type") not in _TEXT_PARTS for part in self._parts)

    @property
    def _parts(self) -> list[dict[str, object]]:
        content = self.message.content if self.message else None
        return (
            [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
        )

    @property
    def is_cut(self) -> bool:
        """Whether the token limit ended the text."""
        reason = (self.finish_reason or "").lower()
        return reason in ("length", "max_tokens", "max_length", "model_length", "token_limit")


def first_choice(reply: JsonObject) -> Choice:
    """Returns the reply's first choice.

    Raises:
        UnusableError: there is none, or the server failed while it wrote.
        RefusedError: an error inside says that the request is at fault.
    """
    choices = reply.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        named = (reply.get(name) for name in ("message", "detail", "msg"))
        told = next((one_line(one) for one in named if isinstance(one, str) and one), "")
        raise UnusableError("a reply without an answer" + (told and f": {told}"))
    first = choices[0]
    message = first.get("message")
    errors = [first.get("error"), message.get("error") if isinstance(message, dict) else None]
    for error in filter(None, errors):
        code = error.get("code") if isinstance(error, dict) else None
        reason = error.get("message") if isinstance(error, dict) else error
        told = one_line(reason) if isinstance(reason, str) else "not said"
        if isinstance(code, int) and 400 <= code < 500 and code not in _PASSING:
            raise RefusedError(code, told)
        raise UnusableError(f"an error in place of an answer: {told}")
    choice = checked(Choice, first)
    if (choice.finish_reason or "").lower() in _FAILURES:
        raise UnusableError(f"the server ended an answer for the reason {choice.finish_reason!r}")
    if not (choice.message or choice.text is not None):
        raise UnusableError("a reply without an answer")
    return choice


def listing_of(choice: Choice) -> Listing | None:
    """Returns the listed log-probabilities; None if there are none.

    Raises:
        UnusableError: they are not in a form that can be read, or are no log-probabilities.
    """
    return checked(Listing, choice.logprobs) if isinstance(choice.logprobs, dict) else None


def prompt_listing_of(choice: Choice) -> Listing | None:
    """Returns the log-probabilities of the prompt's own tokens; None if there are none.

    The first token is left out, of which vLLM says nothing.

    Raises:
        UnusableError: as ``listing_of``.
    """
    if not isinstance(choice.prompt_logprobs, list):
        return None
    listed = checked(_PromptListing, {"prompt_logprobs": choice.prompt_logprobs}).prompt_logprobs
    entries = [next(iter(one.values())) for one in listed if one]
    return Listing(
        tokens=[one.decoded_token or "" for one in entries],
        token_logprobs=[one.logprob for one in entries],
    )


def count_in(reply: JsonObject, *path: str) -> int | None:
    """Returns a number of tokens from the reply's usage; None if there is none that can be right.

    Args:
        reply: the server's.
        path: the names that lead to the number, below "usage".
    """
    value = reply.get("usage")
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS:
        return value
    return None


def one_line(text: str) -> str:
    """Makes a server's text fit for a message."""
    return " ".join(text[:1000].split())[:200]


def checked(schema: type[T], value: object, *, doubtful: bool = False) -> T:
    """Returns a part of a reply.

    Args:
        schema: what it must be.
        value: the part.
        doubtful: as of ``UnusableError``.

    Raises:
        UnusableError: it is not as the schema says.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        # Without the values, which may be anything.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"][:4]))[:60]
        reason = f"a reply that cannot be read (at {place})"
        raise UnusableError(reason, doubtful=doubtful) from None
