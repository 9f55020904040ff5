"""Finds a given text among the tokens that a server echoes.

Servers count offsets in characters or in bytes, with or without a first token such as <s>, so
offsets are not read. The text that was sent is known: its tokens are the last ones before the
generated token, and walking back from there, they must spell it.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from rankprompt.llm.openai.schema import Listing
from rankprompt.llm.openai.token_bytes import TokenDecoder

__all__ = ["Echo", "read_echo"]

# What is shown for a token that holds only a part of a character.
_UNKNOWN = "\ufffd"
# How many tokens before the option must fit as well: tokens that are shown with the text before
# them fit by themselves.
_CONTEXT = 8
# The most tokens before the text, such as <s>.
_SPECIAL = 2
# More bytes than a token has on average in any text.
_MOST_BYTES = 32


class Echo(NamedTuple):
    """The tokens of the end of a text.

    Attributes:
        logprobs: of the tokens that overlap the end, one of which may begin before it.
        shortened: whether the text has more at its start than the other tokens can hold.
    """

    logprobs: tuple[float, ...]
    shortened: bool


def read_echo(listing: Listing, text: str, begin: int) -> Echo | None:
    """Returns the log-probabilities of the tokens of ``text[begin:]``.

    Args:
        listing: of the echoed tokens and the generated one, which some servers do not list.
        text: the prompt that was sent.
        begin: offset in ``text``, in characters.

    Returns:
        None where the echoed tokens do not spell the text, or one has no log-probability.
    """
    tokens, logprobs = listing.tokens or [], listing.token_logprobs or []
    if len(tokens) != len(logprobs):
        return None
    best: _Walk | None = None
    for sent in _forms(text, begin):
        for number in (len(tokens) - 1, len(tokens)):
            walk = _walk_back(tokens[: max(0, number)], *sent)
            if walk and (best is None or walk.rest < best.rest):
                best = walk
    if best is None:
        return None
    selected = logprobs[best.first : best.end]
    finite = tuple(one for one in selected if one is not None)
    complete = len(finite) == len(selected) > 0
    return Echo(finite, best.shortened) if complete else None


class _Walk(NamedTuple):
    """The tokens that overlap the end of a text, and the bytes at its start that fit no token."""

    first: int
    end: int
    rest: int
    shortened: bool


def _forms(text: str, begin: int) -> list[tuple[bytes, int]]:
    """The text as sent, and as tokenizers normalise it; with the option's offset in bytes."""
    forms = []
    prompt, option = text[:begin], text[begin:]
    for before, after in [
        (prompt, option),
        *((unicodedata.normalize(form, prompt), unicodedata.normalize(form, option))
          for form in ("NFC", "NFKC")),
    ]:  # fmt: skip
        encoded = before.encode("utf-8", "replace")
        forms.append((encoded + after.encode("utf-8", "replace"), len(encoded)))
    return list(dict.fromkeys(forms))


class _Piece(NamedTuple):
    """Bytes of a token; None where they are a part of a character, or nothing."""

    content: bytes | None
    token: int
    shown: bool


def _pieces(tokens: Sequence[str]) -> list[_Piece]:
    decoder = TokenDecoder(tokens)
    pieces = []
    for place, token in enumerate(tokens):
        parts = token.split(_UNKNOWN)
        for number, part in enumerate(parts):
            if number:
                pieces.append(_Piece(None, place, shown=True))
            if part:
                pieces.append(_Piece(decoder.decode(part), place, shown=True))
        if not token:
            pieces.append(_Piece(None, place, shown=False))
    return pieces


def _walk_back(tokens: Sequence[str], text: bytes, begin: int) -> _Walk | None:
    """Walks back over the tokens as far as they spell the end of the text.

    Returns:
        None if they do not spell ``text[begin:]`` and what comes shortly before it, or if it is not
        clear which tokens overlap it.
    """
    pieces = _pieces(tokens)
    at, place = len(text), len(pieces)
    first = needed = len(tokens)
    while place and at:
        content, token, _ = pieces[place - 1]
        if content is not None:
            if not text.endswith(content, 0, at):
                # A tokenizer may put a space before the first word.
                if at < len(content) and content.lstrip() == text[:at]:
                    content = text[:at]
                else:
                    break
            start, place = at - len(content), place - 1
            lowest = token
        else:
            start, left = _skip_parts(pieces, place, text, at)
            if left < 0 or start < begin < at:
                break
            lowest, place = pieces[left].token, left
        joins_next = start == at >= begin and text[at : at + 1] >= b"\x80"
        if at > begin or joins_next:
            first = lowest
            needed = max(0, lowest - _CONTEXT)
        at = start
    spelled = at <= begin and (at == 0 or place == 0 or pieces[place - 1].token < needed)
    extra = pieces[:place]
    repeated = len(extra) > _SPECIAL or any(
        one.content and text.startswith(one.content) for one in extra
    )
    if not spelled or (not at and repeated):
        return None
    left = pieces[place - 1].token + 1 if place else 0
    return _Walk(first, len(tokens), at, shortened=at > _MOST_BYTES * (left + 2))


def _skip_parts(pieces: Sequence[_Piece], place: int, text: bytes, at: int) -> tuple[int, int]:
    """Skips a run of tokens that hold parts of characters, before ``place`` and ``at``.

    Returns:
        Where the run begins in the text, and its first piece; -1 where it does not fit.
    """
    left = place
    while left and pieces[left - 1].content is None:
        left -= 1
    start = at
    if any(piece.shown for piece in pieces[left:place]):
        start = _character_before(text, at)
    before = pieces[left - 1].content if left else text[:0]
    while start >= 0:
        # Where no token comes before, the run is the start of the text.
        if text.endswith(before or b"", 0, start) and (left or start <= 0):
            return start, left
        start = _character_before(text, start)
    return at, -1


def _character_before(text: bytes, at: int) -> int:
    """Returns where the character before ``at`` begins; -1 if it is a single byte, or none."""
    start = at - 1
    while start > 0 and text[start] & 0xC0 == 0x80:
        start -= 1
    return start if start >= 0 and text[start] >= 0x80 else -1
