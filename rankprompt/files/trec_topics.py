"""TREC topics: the classic ``<top><num>..<title>..<desc>..</top>`` form."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from rankprompt.errors import FormatError

__all__ = ["is_topics", "read_topics"]

_KNOWN = re.compile(r"(?=</?(?:top|num|title|desc|narr)>)", re.IGNORECASE)
_TAG = re.compile(r"\s*<(/?)([A-Za-z]+)>")
# What old files write before the value: "<num> Number: 051", "<title> Topic: Airbus Subsidies".
_LABELS = {"num": re.compile(r"\s*Number:"), "title": re.compile(r"\s*Topic:")}


def is_topics(line: str) -> bool:
    """Whether a file's first line opens a topic."""
    return line.lstrip()[:5].lower() == "<top>"


def read_topics(
    path: Path | str, number: int, line: str, rest: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str, str]]:
    """Read topics; of each its number and its title, while all other parts are skipped.

    A tag stands at the start of a line; what it holds ends at the next tag, and closing tags may be
    left out (but ``</top>``). In a title every run of white space becomes one space. The number is
    kept as it stands, zeros before it included.

    Args:
        path: the file, for messages.
        number: the first line's number.
        line: the first line.
        rest: the lines after it.

    Yields:
        The number of the line with ``<num>``, the topic's number and its title.

    Raises:
        FormatError: text outside of topics, a topic within another, one without an end, a number
            or a title, or one with two of them.
    """
    parts: dict[str, tuple[int, str]] | None = None
    open_part = ""
    for at, text in _pieces(chain([(number, line)], rest)):
        tag, content = _next_tag(text)
        if tag == "top" and parts is None:
            parts, open_part = {}, ""
        elif tag == "top":
            raise FormatError(path, at, "<top> within a topic; expected </top> before it")
        elif parts is None:
            raise FormatError(path, at, f"expected <top>, found {text.strip()[:40]!r}")
        elif tag == "/top":
            yield _topic(path, at, parts)
            parts = None
        elif tag in _LABELS:
            if tag in parts:
                raise FormatError(path, at, f"a second <{tag}> in one topic")
            parts[tag], open_part = (at, _LABELS[tag].sub("", content, count=1)), tag
        elif tag:
            open_part = ""
        elif open_part:
            first, before = parts[open_part]
            parts[open_part] = first, f"{before} {content}"
    if parts is not None:
        raise FormatError(path, None, "the last topic has no </top>")


def _pieces(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    # Tags that share a line, such as "<top><num>1</num><title>a</title></top>", are set apart.
    for number, line in lines:
        for piece in _KNOWN.split(line):
            if piece.strip():
                yield number, piece


def _next_tag(text: str) -> tuple[str, str]:
    found = _TAG.match(text)
    if not found:
        return "", text
    return (found[1] + found[2]).lower(), text[found.end() :]


def _topic(path: Path | str, at: int, parts: dict[str, tuple[int, str]]) -> tuple[int, str, str]:
    for part in _LABELS:
        if part not in parts:
            raise FormatError(path, at, f"the topic that ends here has no <{part}>")
    line, name = parts["num"]
    return line, name.strip(), " ".join(parts["title"][1].split())
