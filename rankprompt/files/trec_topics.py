"""TREC topics in the classic ``<top><num>..<title>..<desc>..</top>`` format."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from rankprompt.errors import FormatError

__all__ = ["LABELS", "is_topics", "read_topics"]

_KNOWN_TAG = re.compile(r"(?=</?(?:top|num|title|desc|narr)>)", re.IGNORECASE)
_TAG = re.compile(r"\s*<(/?)([A-Za-z]+)>")
# Labels that old files put before a value: "<num> Number: 051", "<title> Topic: Airbus Subsidies".
LABELS = {"num": re.compile(r"\s*Number:"), "title": re.compile(r"\s*Topic:")}


def is_topics(line: str) -> bool:
    """Returns whether a file's first line opens a topic."""
    return line.lstrip()[:5].lower() == "<top>"


def read_topics(
    path: Path | str, number: int, line: str, rest: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str, str]]:
    """Reads the number and the title of each topic; all other elements are skipped.

    A tag stands at the start of a line, its content ends at the next tag, and closing tags other
    than ``</top>`` are optional. Every run of white space in a title becomes one space. A number
    keeps its leading zeros.

    Args:
        path: the file, for messages.
        number: the first line's number.
        line: the first line.
        rest: the following lines, with their numbers.

    Yields:
        The number of the line with ``<num>``, the topic's number, and its title.

    Raises:
        FormatError: text stands outside of topics; or a topic is nested, has no end, or does not
            have exactly one number and one title.
    """
    elements: dict[str, tuple[int, str]] | None = None
    open_element = ""
    for at, text in _pieces(chain([(number, line)], rest)):
        tag, content = _next_tag(text)
        if tag == "top" and elements is None:
            elements, open_element = {}, ""
        elif tag == "top":
            raise FormatError(path, at, "<top> within a topic; expected </top> before it")
        elif elements is None:
            raise FormatError(path, at, f"expected <top>, found {text.strip()[:40]!r}")
        elif tag == "/top":
            yield _topic(path, at, elements)
            elements = None
        elif tag in LABELS:
            if tag in elements:
                raise FormatError(path, at, f"a second <{tag}> in one topic")
            elements[tag], open_element = (at, LABELS[tag].sub("", content, count=1)), tag
        elif tag:
            open_element = ""
        elif open_element:
            first_line, before = elements[open_element]
            elements[open_element] = first_line, f"{before} {content}"
    if elements is not None:
        raise FormatError(path, None, "the last topic has no </top>")


def _pieces(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    # Splits a line with several tags, such as "<top><num>1</num><title>a</title></top>".
    for number, line in lines:
        for piece in _KNOWN_TAG.split(line):
            if piece.strip():
                yield number, piece


def _next_tag(text: str) -> tuple[str, str]:
    match = _TAG.match(text)
    if not match:
        return "", text
    return (match[1] + match[2]).lower(), text[match.end() :]


def _topic(path: Path | str, at: int, elements: dict[str, tuple[int, str]]) -> tuple[int, str, str]:
    for element in LABELS:
        if element not in elements:
            raise FormatError(path, at, f"the topic that ends here has no <{element}>")
    line, name = elements["num"]
    return line, name.strip(), " ".join(elements["title"][1].split())
