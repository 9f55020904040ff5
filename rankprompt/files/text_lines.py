"""Lines and columns of UTF-8 text files, plain or gzip."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from rankprompt.errors import FormatError, InputError

__all__ = ["LineReader", "is_gzip", "read_columns", "read_lines"]

_GZIP_MAGIC = b"\x1f\x8b"
_BLANKS = re.compile("[ \t]+")


def read_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    r"""Streams the lines of a UTF-8 file; blank lines are skipped, but counted.

    Only ``\n`` and ``\r\n`` end a line: texts may contain U+2028, form feeds and the like.

    Args:
        path: the file, plain or gzip (detected by its first bytes, not by its name).

    Yields:
        The number of each line, from 1, and its text without the line end, in the file's order.

    Raises:
        InputError: the file is missing, a directory, or cannot be read.
        FormatError: a line is not UTF-8, or the gzip data are truncated or corrupt.
    """
    return iter(LineReader(path))


class LineReader:
    """Streams lines like ``read_lines``, reports its position, and can resume from a position.

    Args:
        path: the file, plain or gzip.
        offset: where to start, in uncompressed bytes; a gzip file is decompressed again up to it.
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
        """How many bytes of the file, compressed if it is gzip, have been read."""
        return self._compressed.tell() if self._compressed else self.offset

    def __iter__(self) -> Iterator[tuple[int, str]]:
        try:
            with Path(self._path).open("rb") as file:
                for line in self._start(file):
                    self.offset += len(line)
                    self.number += 1
                    text = _decode(self._path, self.number, line)
                    if text and not text.isspace():
                        yield self.number, text
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            problem = f"truncated or corrupt gzip data after line {self.number} ({error})"
            raise FormatError(self._path, None, problem) from error
        except OSError as error:
            raise InputError(f"cannot read {self._path}: {error.strerror or error}") from error

    def _start(self, file: BufferedReader) -> Iterable[bytes]:
        stream: BufferedReader | gzip.GzipFile = file
        if file.peek(2)[:2] == _GZIP_MAGIC:
            self._compressed, stream = file, gzip.GzipFile(fileobj=file)
        if self.offset:  # never for a pipe, which cannot seek
            stream.seek(self.offset)
        return stream


def is_gzip(path: Path) -> bool:
    """Returns whether a file starts with the magic bytes of gzip.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(2) == _GZIP_MAGIC
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def read_columns(path: Path | str, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Streams the rows of a TREC file, whose columns are separated by spaces or tabs.

    Args:
        path: the file, as in ``read_lines``.
        names: the names of the columns; every row must have as many.

    Yields:
        The number of each line, from 1, and its columns in the order of ``names``.

    Raises:
        InputError: as in ``read_lines``.
        FormatError: as in ``read_lines``; or a row has another number of columns, or the file has
            no row.
    """
    expected = f"expected {len(names)} columns ({' '.join(names)})"
    empty = True
    for number, line in read_lines(path):
        columns = _BLANKS.split(line.strip(" \t"))
        if len(columns) != len(names):
            raise FormatError(path, number, f"{expected}, found {len(columns)}")
        empty = False
        yield number, columns
    if empty:
        raise FormatError(path, None, f"the file is empty; {expected}")


def _decode(path: Path | str, number: int, line: bytes) -> str:
    body = line.removesuffix(b"\n")
    if len(body) < len(line):
        body = body.removesuffix(b"\r")
    try:
        return body.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        problem = f"not UTF-8 text: byte 0x{byte:02x}, the line's byte {error.start + 1}"
        raise FormatError(path, number, problem) from error
