"""TREC topics in XML: ``<topics><topic number="1"><query>..</query>..</topic>..</topics>``."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.parsers import expat

from rankprompt.errors import FormatError
from rankprompt.files.trec_topics import LABELS

__all__ = ["is_xml", "read_xml_topics"]

_START = re.compile("<[?!A-Za-z]")
_TOPICS = ("topic", "top")
_NUMBERS = ("number", "num", "id", "qid")
_TEXTS = ("query", "title")


def is_xml(line: str) -> bool:
    """Returns whether a file's first line opens an XML document, and has no tab as TSV has."""
    return bool(_START.match(line.lstrip())) and "\t" not in line.strip()


def read_xml_topics(
    path: Path | str, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str, str]]:
    """Reads the number and the text of each topic; all other elements are skipped.

    The number is an attribute or a child ``number``, ``num``, ``id`` or ``qid``, in capitals or
    not, of which a label "Number:" is left out; the text is the
    child ``query``, or else ``title``, or else the topic's own text if it has no children. Every
    run of white space in a text becomes one space.

    Args:
        path: the file, for messages.
        lines: its lines, with their numbers.

    Yields:
        The number of the line where the topic starts, the topic's number, and its text.

    Raises:
        FormatError: the XML is malformed or declares a document type; a topic lacks its number or
            its text; or there is no topic.
    """
    reader, fed, empty = _Reader(path), 0, True
    for number, line in lines:
        reader.feed("\n" * (number - fed - 1) + line + "\n")  # so that expat counts blank lines
        fed = number
        while reader.topics:
            empty = False
            yield reader.topics.pop(0)
    reader.feed("", final=True)
    if empty:
        raise FormatError(path, None, "no <topic> among the XML elements; expected TREC topics")


class _Reader:
    """Collects topics as expat comes to their ends."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add
        # Entities, which can blow up a text, are declared nowhere else.
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._open: list[str] = []
        self._line = self._depth = 0
        self._texts: dict[str, str] = {}
        self.topics: list[tuple[int, str, str]] = []

    def feed(self, text: str, *, final: bool = False) -> None:
        """Parses the next text."""
        try:
            self._parser.Parse(text, final)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            problem = f"malformed XML: {reason}, column {error.offset + 1}"
            raise FormatError(self._path, error.lineno, problem) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name.lower())
        inside = self._depth and len(self._open) - self._depth
        if not inside and self._open[-1] in _TOPICS:
            self._depth, self._line = len(self._open), self._parser.CurrentLineNumber
            given = {key.lower(): value for key, value in attributes.items()}
            self._texts = {"": "", **{key: given[key] for key in _NUMBERS if key in given}}
        elif inside == 1:
            if self._open[-1] in self._texts and self._open[-1] in (*_NUMBERS, *_TEXTS):
                raise self._error(f"a second {name} in one topic")
            self._texts.setdefault(self._open[-1], "")

    def _add(self, text: str) -> None:
        if self._depth:
            child = "".join(self._open[self._depth : self._depth + 1])
            self._texts[child] += text

    def _end(self, name: str) -> None:
        del name
        if len(self._open) == self._depth:
            number = next((self._texts[key] for key in _NUMBERS if key in self._texts), "")
            number = LABELS["num"].sub("", number, count=1).strip()
            children = [key for key in self._texts if key not in ("", *_NUMBERS)]
            key = next(filter(self._texts.__contains__, _TEXTS), "")
            if not number:
                raise self._error("the topic that ends here has no number")
            if children and not key:
                names = ", ".join(f"<{child}>" for child in children)
                raise self._error(f"topic {number} has no <query> or <title>, only {names}")
            self.topics.append((self._line, number, " ".join(self._texts[key].split())))
            self._depth = 0
        self._open.pop()

    def _refuse(self, *_: object) -> None:
        raise self._error("a document type declaration, which is not read; delete it")

    def _error(self, problem: str) -> FormatError:
        return FormatError(self._path, self._parser.CurrentLineNumber, problem)
