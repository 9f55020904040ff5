"""Special tokens spelt out in a text: a passage must not end the turn in which it stands."""

import re
from collections.abc import Iterable

__all__ = ["LIKELY", "escape", "marks"]

# Of many families: ChatML, Llama 2 and 3, Gemma, Phi, DeepSeek (with its own bars), T5.
LIKELY = re.compile(
    r"<[|｜][^<>\s]{1,60}[|｜]>|</?s>|<(?:pad|bos|eos|unk|start_of_turn|end_of_turn)>"
    r"|\[/?INST\]|<</?SYS>>"
)
"""What looks like a special token, where the tokenizer is not known."""


def marks(spellings: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of special tokens as they are written; None where there are none to break."""
    found = sorted({one for one in spellings if len(one.strip()) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found))) if found else None


def escape(text: str, pattern: re.Pattern[str] | None) -> str:
    """The text with a space put into each special token, so that it is read as it is written."""
    if pattern is None:
        return text
    return pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
