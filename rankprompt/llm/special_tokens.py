"""Escapes special tokens that untrusted text spells out: a passage must not end its own turn."""

import re
from collections.abc import Iterable

__all__ = ["LIKELY", "escape", "special_token_pattern"]

# Of many families: ChatML, Llama 2 and 3, Gemma, Phi, DeepSeek (full-width bars), T5.
LIKELY = re.compile(
    r"<[|｜][^<>\s]{1,60}[|｜]>|</?s>|<(?:pad|bos|eos|unk|start_of_turn|end_of_turn)>"
    r"|\[/?INST\]|<</?SYS>>"
)
"""Matches what looks like a special token, for models whose tokenizer is not known."""


def special_token_pattern(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Returns a pattern of special tokens, longest first; None if there are none to escape."""
    escapable = sorted({token for token in tokens if len(token.strip()) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, escapable))) if escapable else None


def escape(text: str, pattern: re.Pattern[str] | None) -> str:
    """Inserts a space after the first character of each match, so that it is read as plain text."""
    if pattern is None:
        return text
    return pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
