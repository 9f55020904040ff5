"""Windows: slices of a document's text, cut where its tokens, sentences or paragraphs end."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.llm.tokenizer_offsets import Offsets

__all__ = ["UNITS", "Window", "WindowSettings", "cut_windows"]

# After a stop (and what closes with it): Chinese ones need no space. An abbreviation ends a
# sentence, too, and a stop within closing marks of another kind does not.
_SENTENCES = re.compile(r"""[.!?]+["'”’)\]]*\s+|[。！？；…]+[”’」』）】]*\s*|\s*\n\s*\n\s*""")
_BLANK_LINES = re.compile(r"\s*\n[^\S\n]*\n\s*")
_LINES = re.compile(r"\s*\n\s*")

UNITS = ("tokens", "sentences", "paragraphs")

# Tokens have this many characters at the most, in the mean: of a text that is longer than the
# limit, no more than needed is tokenised.
_CHARACTERS = 16
_SPARE = 100  # tokens at the end of a part that might be others in the whole text


@dataclass(frozen=True)
class WindowSettings:
    """How documents are cut into windows (IDCM, arXiv 2105.09816, section 3.1).

    Attributes:
        size: tokens of a window's central part; central parts follow each other without a gap.
        overlap: tokens that are shown beyond it on each side (``unit`` tokens only).
        limit: tokens of a document that are read; the rest is cut off.
        unit: "tokens" cuts after every ``size`` tokens. "sentences" and "paragraphs" put as many
            whole ones into a window as ``size`` has room for; one that is longer is cut after
            every ``size`` tokens. Sentences end at a stop before a space, at a Chinese stop, or at
            a blank line: so they do after an abbreviation, and verse is one sentence. Paragraphs
            end at blank lines or, in a text without any, at every line's end.

    Raises:
        InputError: a number is out of range, or there is no such unit.
    """

    size: int = 50
    overlap: int = 7
    limit: int = 2000
    unit: str = "tokens"

    def __post_init__(self) -> None:
        if self.size < 1 or self.limit < 1 or self.overlap < 0:
            raise InputError(
                "expected a window of 1 token or more, an overlap of 0 or more and a limit of 1 "
                f"or more, not {self.size}, {self.overlap} and {self.limit}"
            )
        if self.unit not in UNITS:
            raise InputError(f"windows are of {', '.join(UNITS)}, not {self.unit!r}")


class Window(NamedTuple):
    """A slice of a text, ``text[start:end]``.

    ``first`` and ``last`` are the tokens of its central part, ``last`` not included.
    """

    start: int
    end: int
    first: int
    last: int


def cut_windows(text: str, offsets: Offsets, settings: WindowSettings) -> tuple[list[Window], bool]:
    """Cuts a text into windows.

    Args:
        text: of a document.
        offsets: where its tokens stand.
        settings: how to cut.

    Returns:
        The windows in order, at least one: of a text of no more than ``size`` tokens, or of none,
        the whole text. And whether the text was longer than the limit.
    """
    found, cut = _read(text, offsets, settings.limit)
    overlap = settings.overlap if settings.unit == "tokens" else 0
    windows = []
    for first, last in pairwise(_bounds(text, found, settings)):
        before, after = first - overlap, last + overlap
        start = found[before][0] if before > 0 else 0
        if after < len(found):  # with the space up to the next token, so that windows touch
            end = max(found[after - 1][1], found[after][0])
        else:
            end = found[-1][1] if cut else len(text)
        windows.append(Window(start, end, first, last))
    return windows, cut


def _read(text: str, offsets: Offsets, limit: int) -> tuple[Sequence[tuple[int, int]], bool]:
    part = text[: limit * _CHARACTERS]
    found = offsets(part)
    if len(part) < len(text) and len(found) < limit + _SPARE:
        found = offsets(text)
    return found[:limit], len(found) > limit


def _bounds(text: str, found: Sequence[tuple[int, int]], settings: WindowSettings) -> list[int]:
    """The token that each central part begins with, and the end."""
    total, size = len(found), settings.size
    if settings.unit == "tokens":
        return [*range(0, total, size), total] if total else [0, 0]
    tokens = [start for start, _ in found]
    starts = sorted({bisect_left(tokens, place) for place in _breaks(text, settings.unit)})
    bounds = [0]
    for start, end in pairwise([0, *(one for one in starts if 0 < one < total), total]):
        if end - bounds[-1] > size and start > bounds[-1]:
            bounds.append(start)
        while end - bounds[-1] > size:
            bounds.append(bounds[-1] + size)
    return [*bounds, total]


def _breaks(text: str, unit: str) -> list[int]:
    """Where sentences or paragraphs begin, the first left out."""
    pattern = _SENTENCES
    if unit == "paragraphs":
        pattern = _BLANK_LINES if _BLANK_LINES.search(text) else _LINES
    return [found.end() for found in pattern.finditer(text)]
