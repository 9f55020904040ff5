"""Windows: slices of a document's text that end where tokens, sentences or paragraphs end."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.llm.tokenizer_offsets import Offsets

__all__ = ["UNITS", "Window", "WindowConfig", "cut_windows"]

# A full stop ends a sentence, with the quotation marks and brackets that close after it. Chinese
# stops need no space. An abbreviation also ends a sentence; a stop that is followed by a closing
# mark of the other script does not.
_SENTENCES = re.compile(r"""[.!?]+["'”’)\]]*\s+|[。！？；…]+[”’」』）】]*\s*|\s*\n\s*\n\s*""")
_BLANK_LINES = re.compile(r"\s*\n[^\S\n]*\n\s*")
_LINES = re.compile(r"\s*\n\s*")

UNITS = ("tokens", "sentences", "paragraphs")

# A token is assumed to have no more characters than this on average, so that only the beginning of
# a very long text is tokenised.
_CHARACTERS = 16
_SPARE = 100  # tokens at the end of a truncated text that may differ from those of the whole text


@dataclass(frozen=True)
class WindowConfig:
    """How documents are cut into windows (IDCM, arXiv 2105.09816, section 3.1).

    The defaults are the paper's; units other than tokens are ours. A sentence ends at a stop before
    a space, at a Chinese stop, or at a blank line, so abbreviations end sentences too, and a poem
    is a single sentence. A paragraph ends at a blank line or, in a text without any, at a line's
    end. A sentence or paragraph that is longer than a window is cut after every ``window`` tokens.

    Raises:
        InputError: A number is out of range, or the unit is unknown.
    """

    window: Annotated[int, "Tokens in the central part of a window."] = 50
    overlap: Annotated[int, "Tokens of overlap on each side of a window's central part."] = 7
    window_unit: Annotated[
        str,
        "Fill each window with tokens, or with whole sentences or paragraphs (which do not "
        "overlap).",
    ] = "tokens"
    tokens: Annotated[int, "The most tokens of a document to read; the rest is truncated."] = 2000

    def __post_init__(self) -> None:
        for name, least in (("window", 1), ("overlap", 0), ("tokens", 1)):
            if getattr(self, name) < least:
                raise InputError(f"`{name}` must be at least {least}, not {getattr(self, name)}")
        if self.window_unit not in UNITS:
            raise UnknownNameError("`window_unit`", self.window_unit, UNITS)


class Window(NamedTuple):
    """A slice of a text, ``text[start:end]``.

    ``first`` and ``last`` are the token indices of its central part, ``last`` exclusive.
    """

    start: int
    end: int
    first: int
    last: int


def cut_windows(text: str, offsets: Offsets, config: WindowConfig) -> tuple[list[Window], bool]:
    """Cuts a document's text into windows.

    The paper drops windows whose central part is padding; here no such window is created, but a
    text without any token is still one (empty) window, so that no document is lost.

    Returns:
        The windows in order, at least one, and whether the text was longer than the limit.
    """
    tokens, truncated = _tokenise(text, offsets, config.tokens)
    overlap = config.overlap if config.window_unit == "tokens" else 0
    windows = []
    for first, last in pairwise(_central_bounds(text, tokens, config)):
        before, after = first - overlap, last + overlap
        start = tokens[before][0] if before > 0 else 0
        if after < len(tokens):  # includes the space up to the next token, so that windows touch
            end = max(tokens[after - 1][1], tokens[after][0])
        else:
            end = tokens[-1][1] if truncated else len(text)
        windows.append(Window(start, end, first, last))
    return windows, truncated


def _tokenise(text: str, offsets: Offsets, limit: int) -> tuple[Sequence[tuple[int, int]], bool]:
    """The offsets of the first ``limit`` tokens, and whether the text has more."""
    beginning = text[: limit * _CHARACTERS]
    tokens = offsets(beginning)
    if len(beginning) < len(text) and len(tokens) < limit + _SPARE:
        tokens = offsets(text)
    return tokens[:limit], len(tokens) > limit


def _central_bounds(
    text: str, tokens: Sequence[tuple[int, int]], config: WindowConfig
) -> list[int]:
    """The index of the first token of each central part, and the number of tokens."""
    total, size = len(tokens), config.window
    if config.window_unit == "tokens":
        return [*range(0, total, size), total] if total else [0, 0]
    token_starts = [start for start, _ in tokens]
    breaks = {bisect_left(token_starts, index) for index in _breaks(text, config.window_unit)}
    bounds = [0]
    for start, end in pairwise([0, *sorted(token for token in breaks if 0 < token < total), total]):
        if end - bounds[-1] > size and start > bounds[-1]:
            bounds.append(start)
        while end - bounds[-1] > size:
            bounds.append(bounds[-1] + size)
    return [*bounds, total]


def _breaks(text: str, unit: str) -> list[int]:
    """The character indices at which sentences or paragraphs begin, except the first."""
    pattern = _SENTENCES
    if unit == "paragraphs":
        pattern = _BLANK_LINES if _BLANK_LINES.search(text) else _LINES
    return [match.end() for match in pattern.finditer(text)]
