"""The bytes that a listed token stands for, in the forms in which servers write tokens."""

import re
from collections.abc import Sequence

__all__ = ["TokenDecoder"]

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_ESCAPED_BYTES = re.compile(r"bytes:((?:\\x[0-9A-Fa-f]{2}| )+)")


def _byte_alphabet() -> dict[str, int]:
    """The characters that byte-level vocabularies write for bytes (GPT-2's ``encoder.py``)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {
        chr(256 + place): byte for place, byte in enumerate(hidden)
    }


_ALPHABET = _byte_alphabet()


class TokenDecoder:
    """Decodes the tokens of one reply.

    Most servers write a token as its text. Some write the vocabulary's piece, in which a space is
    "Ġ" (byte-level vocabularies) or "▁" (SentencePiece). A text may hold these characters too, so
    they count as spaces only where more tokens begin with one than hold a space.

    Args:
        tokens: all tokens of the reply.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        spaces = sum(" " in token for token in tokens)
        self._byte_level = sum(token.startswith(("Ġ", "Ċ")) for token in tokens) > spaces
        self._pieces = sum(token.startswith("▁") for token in tokens) > spaces

    def decode(self, token: str, listed: Sequence[int] | None = None) -> bytes:
        """Returns the bytes of a token; ``listed`` are those that the server gives, if any."""
        literal = token.encode()
        if listed and bytes(listed) != literal:
            return bytes(listed)
        if byte := _BYTE.fullmatch(token):
            return bytes([int(byte[1], 16)])
        if escaped := _ESCAPED_BYTES.fullmatch(token):
            return bytes.fromhex(escaped[1].replace(" ", "20").replace("\\x", ""))
        if self._byte_level and all(character in _ALPHABET for character in token):
            return bytes(_ALPHABET[character] for character in token)
        return literal.replace("▁".encode(), b" ") if self._pieces else literal
