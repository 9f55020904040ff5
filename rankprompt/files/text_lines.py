"""Lines and columns of UTF-8 text files, plain or compressed."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType

from rankprompt.errors import FormatError, InputError
from rankprompt.files.compression import decompress, decompression_errors

__all__ = ["LineReader", "is_word", "read_columns", "read_lines", "split_columns"]

# What C's isspace takes for a blank, as trec_eval does: an id may contain U+00A0 or U+3000.
_BLANKS = " \t\n\r\v\f"
_BLANK_RUN = re.compile(f"[{_BLANKS}]+")

log = logging.getLogger("rankprompt")


def read_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    r"""Streams the lines of a UTF-8 file; blank lines are skipped, but counted.

    Only ``\n`` and ``\r\n`` end a line: texts may contain U+2028, form feeds and the like. A byte
    order mark at the start of a line is dropped: files may have been put together.

    Args:
        path: the file, plain or compressed by gzip, bzip2, xz or zstd, as its first bytes tell.

    Yields:
        The number of each line, from 1, and its text without the line end, in the file's order.

    Raises:
        InputError: the file is missing, a directory, or cannot be read.
        FormatError: a line is not UTF-8; or compressed data are truncated or corrupt, or of a
            compression that is not read.
    """
    return iter(LineReader(path))


class LineReader:
    """Streams lines like ``read_lines``, reports its position, and can resume from a position.

    Args:
        path: the file, plain or compressed.
        offset: where to start, in uncompressed bytes; up to it, a file is decompressed again.
        number: the number of the line that ends at ``offset``.

    Attributes:
        offset: the end of the last line, in uncompressed bytes.
        number: the last line's number, from 1.
    """

    def __init__(self, path: Path | str, *, offset: int = 0, number: int = 0) -> None:
        self._path = path
        self.offset, self.number = offset, number
        self._compressed: BufferedReader | None = None

    @property
    def read(self) -> int:
        """How many bytes of the file, compressed or not, have been read."""
        return self._compressed.tell() if self._compressed else self.offset

    def __iter__(self) -> Iterator[tuple[int, str]]:
        # Named here: the garbage collector may close the generator where nothing can be imported.
        compression, corrupt = "", decompression_errors()
        try:
            with Path(self._path).open("rb") as file:
                compression, stream = decompress(self._path, file)
                self._compressed = file if compression else None
                if self.offset:  # never for a pipe, which cannot seek
                    stream.seek(self.offset)
                yield from self._lines(stream)
        except corrupt as error:
            raise self._corrupt(compression, error) from error
        except OSError as error:
            if compression and error.errno is None:
                raise self._corrupt(compression, error) from error
            raise InputError(f"cannot read {self._path}: {error.strerror or error}") from error

    def _lines(self, stream: Iterable[bytes]) -> Iterator[tuple[int, str]]:
        for line in stream:
            self.offset += len(line)
            self.number += 1
            text = _decode(self._path, self.number, line)
            if text and not text.isspace():
                yield self.number, text

    def _corrupt(self, compression: str, error: Exception) -> FormatError:
        problem = f"truncated or corrupt {compression} data after line {self.number} ({error})"
        return FormatError(self._path, None, problem)


def is_word(text: str) -> bool:
    """Returns whether a text is one column of a TREC file: not empty, and without ASCII blanks."""
    return bool(text) and not _BLANK_RUN.search(text)


def split_columns(line: str) -> list[str]:
    """Splits a line at runs of ASCII blanks, as trec_eval does; other blanks belong to ids."""
    return _BLANK_RUN.split(line.strip(_BLANKS))


def read_columns(
    path: Path | str,
    names: Sequence[str],
    *,
    more: bool = False,
    hints: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[tuple[int, list[str]]]:
    """Streams the rows of a TREC file, as ``split_columns`` splits them.

    Args:
        path: the file, as in ``read_lines``.
        names: the names of the columns; every row must have as many.
        more: let rows have more columns, which are left out; a warning at the end counts the rows.
        hints: what to add to the message about a row, by its number of columns.

    Yields:
        The number of each line, from 1, and its columns in the order of ``names``.

    Raises:
        InputError: as in ``read_lines``.
        FormatError: as in ``read_lines``; or a row has another number of columns or a carriage
            return in it, or the file has no row.
    """
    expected = f"expected {len(names)} columns ({' '.join(names)})"
    empty, longer, first = True, 0, 0
    for number, line in read_lines(path):
        columns = split_columns(line)
        if len(columns) < len(names) or (len(columns) > len(names) and not more):
            problem = f"{expected}, found {len(columns)}{hints.get(len(columns), '')}"
            raise FormatError(path, number, problem)
        if "\r" in line.strip(_BLANKS):  # or a file with such line ends would be one long row
            problem = "a carriage return within the line; lines must end with a newline"
            raise FormatError(path, number, problem)
        if len(columns) > len(names):
            longer, first = longer + 1, first or number
        empty = False
        yield number, columns[: len(names)]
    if empty:
        raise FormatError(path, None, f"the file is empty; {expected}")
    if longer:
        log.warning(
            "%s: lines with more than %d columns: %d, first line %d; what follows the %s is "
            "ignored",
            path, len(names), longer, first, names[-1],
        )  # fmt: skip


def _decode(path: Path | str, number: int, line: bytes) -> str:
    body = line.removesuffix(b"\n")
    if len(body) < len(line):
        body = body.removesuffix(b"\r")
    try:
        return body.decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        problem = f"not UTF-8 text: byte 0x{byte:02x}, the line's byte {error.start + 1}"
        if number == 1 and body.startswith((b"\xff\xfe", b"\xfe\xff")):
            problem += "; the file is UTF-16, save it as UTF-8"
        raise FormatError(path, number, problem) from error
