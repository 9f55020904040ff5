"""Parses the replies of ``/tokenize``, whose forms differ by server."""

from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError

__all__ = ["Tokens", "parse_ids", "parse_text", "parse_tokens"]


class Tokens(NamedTuple):
    """A text's tokens.

    ``ends`` are their ends in the text, in bytes or characters, as the server counts; () if it does
    not say. ``context_length`` is that of the model, None if the server does not say.
    """

    ids: tuple[int, ...]
    ends: tuple[int, ...]
    context_length: int | None


class _Piece(BaseModel):
    """A token of llama.cpp; of a fragment of a character, it gives the bytes."""

    id: int
    piece: str | list[int]


class _Reply(BaseModel):
    """A reply of vLLM, SGLang or llama.cpp.

    Of vLLM's strings, a tokenizer over bytes has one character for each byte, others one for each
    character of the text; the sum of their lengths tells which.
    """

    tokens: list[int] | list[_Piece]
    token_strs: list[str] | None = None
    max_model_len: int | None = None


class _Ids(BaseModel):
    tokens: list[int] = Field(min_length=1)


class _Text(BaseModel):
    """A reply of ``/detokenize``: vLLM's, or SGLang's."""

    text: str = Field(validation_alias=AliasChoices("prompt", "text"))


class _Span(BaseModel):
    """A token of TGI."""

    id: int
    start: int
    stop: int


_FORMS: TypeAdapter[_Reply | list[_Span]] = TypeAdapter(_Reply | list[_Span])


def parse_tokens(reply: bytes) -> Tokens:
    """Parses a reply.

    Raises:
        ValueError: it has none of the forms.
    """
    parsed = _FORMS.validate_json(reply)
    if not isinstance(parsed, _Reply):
        # A token such as <s>, which stands for nothing in the text, is not the text's.
        spans = [span for span in parsed if span.start < span.stop]
        return Tokens(tuple(one.id for one in spans), tuple(one.stop for one in spans), None)
    ids = (token if isinstance(token, int) else token.id for token in parsed.tokens)
    pieces = [token.piece for token in parsed.tokens if not isinstance(token, int)]
    lengths = [len(one.encode() if isinstance(one, str) else one) for one in pieces]
    ends = tuple(accumulate(lengths or map(len, parsed.token_strs or ())))
    limit = parsed.max_model_len
    return Tokens(tuple(ids), ends, limit if limit and limit > 0 else None)


def parse_ids(reply: Mapping[str, object]) -> list[int] | None:
    """The ids in a reply of vLLM or SGLang, parsed from JSON; None if it has none."""
    try:
        return _Ids.model_validate(reply).tokens
    except ValidationError:
        return None


def parse_text(reply: bytes) -> str:
    """Parses a reply of ``/detokenize``.

    Raises:
        ValueError: it has none of the forms.
    """
    return _Text.model_validate_json(reply).text
