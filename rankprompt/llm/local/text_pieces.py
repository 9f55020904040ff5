"""Cuts texts where a tokenizer certainly begins a new word, so that pieces can be read alone.

Prompts about the same passages are made of the same lines. A tokenizer that splits texts into words
first, by rules that look no further than a word's neighbours, reads each line the same way wherever
it stands.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["PrefixCounter", "cut", "splits_words", "tokens_before"]

# Lines that begin with a letter; and of a text's last line also its last words.
_LINE = re.compile(r"(?<=\n)(?=[^\W\d_])")
_WORD = re.compile(r"(?<=\S) (?=[A-Za-z])")
_PLACE = re.compile(r"(?<=\S) (?=[A-Za-z])|(?<=\n)(?=\S)")
# How far before a text's end its last piece may begin, in characters; it most often is near.
_REACHES = 48, 256
_SPLITTERS = {
    "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation",
    "Sequence", "Split", "Whitespace", "WhitespaceSplit",
}  # fmt: skip
# Of what the patterns of published tokenizers look for around a word, this looks at one character.
_NEIGHBOUR = "(?!\\S)"


def splits_words(backend: Any) -> bool:
    """Whether a tokenizer of the library tokenizers splits texts by rules that look no further.

    Args:
        backend: a ``tokenizers.Tokenizer``.
    """
    if backend.pre_tokenizer is None or getattr(backend.model, "dropout", None):
        return False
    try:
        splitter = json.loads(backend.pre_tokenizer.__getstate__())
        normalizer = json.loads(backend.normalizer.__getstate__() if backend.normalizer else "{}")
    except (TypeError, ValueError, AttributeError):  # a splitter in Python
        return False
    steps = [splitter, *splitter.get("pretokenizers", ())]
    patterns = [*_patterns(splitter), *_patterns(normalizer)]
    return all(step["type"] in _SPLITTERS for step in steps) and all(map(_is_local, patterns))


def _patterns(value: object) -> Iterator[str]:
    """The regular expressions in the settings of a tokenizer's step."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "Regex":
                yield str(inner)
            yield from _patterns(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _patterns(inner)


def _is_local(pattern: str) -> bool:
    """Whether a pattern looks no further than a character, and no repetition runs over lines."""
    plain = pattern.replace(_NEIGHBOUR, "").replace("(?i:", "(").replace("(?:", "(")
    negated = re.findall(r"\[\^((?:\\.|[^\]\\])*)\]", plain)
    return (
        "(?" not in plain
        and not re.search(r"\\[DPOXR]", plain)
        and all("\\s" in one or "\\n" in one for one in negated)
    )


def cut(text: str, shortest: int) -> list[int]:
    """Returns where a text's pieces end, in characters, ascending; the last one is the text's end.

    Args:
        text: the text.
        shortest: the fewest characters of the last piece.
    """
    limit = len(text) - shortest
    last = 0
    for reach in _REACHES:
        places = _PLACE.finditer(text, max(0, limit - reach), max(0, limit + 2))
        if last := max((match.start() for match in places if match.start() <= limit), default=0):
            break
    ends = [match.start() for match in _LINE.finditer(text, 1, max(1, last))]
    return [*ends, *([last] if last else []), len(text)]


def tokens_before(encoding: "Encoding", text: str, place: int) -> int | None:
    """Counts the tokens before a place in a text; None where no word begins there."""
    # Some tokenizers count a space to the word after it, and others to none.
    token = encoding.char_to_token(place + text[place].isspace())
    if not token or encoding.token_to_word(token) == encoding.token_to_word(token - 1):
        return None
    start, before = encoding.token_to_chars(token), encoding.token_to_chars(token - 1)
    return token if start and before and before[1] <= place <= start[0] else None


class PrefixCounter:
    """Counts the tokens of prefixes of a text: of all words but the last one once.

    Args:
        read: encodes a text, without special tokens.
        text: the text.
    """

    def __init__(self, read: "Callable[[str], Encoding]", text: str) -> None:
        self._read, self._text = read, text
        self._encoding: Encoding | None = None
        self._places: list[int] = []
        self._read_to = 0

    def __call__(self, end: int) -> int:
        """Counts the tokens of the text's first ``end`` characters."""
        if self._encoding is None or end > self._read_to:
            self._encoding = self._read(self._text[:end])
            self._read_to = end
            self._places = [match.start() for match in _WORD.finditer(self._text, 0, end)]
            return len(self._encoding)
        # The letter after the space still stands in the prefix, so that a word begins there.
        for place in reversed(self._places[: bisect_right(self._places, end - 2)]):
            if before := tokens_before(self._encoding, self._text, place):
                return before + len(self._read(self._text[place:end]))
        return len(self._read(self._text[:end]))
