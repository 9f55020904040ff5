"""Lines of text files, plain or gzip."""

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
    r"""Stream a UTF-8 file's lines; blank ones are left out, but counted.

    Only ``\n`` and ``\r\n`` end a line: texts may hold U+2028, form feeds and the like.

    Args:
        path: the file, plain or gzip (told by its first bytes, whatever its name).

    Yields:
        The line's number, from 1, and its text without the line end; in the file's order.

    Raises:
        InputError: the file is missing, a directory, or cannot be read.
        FormatError: a line is not UTF-8, or the gzip data are truncated or corrupt.
    """
    return iter(LineReader(path))


class LineReader:
    """Streams as ``read_lines``, says how far it is, and starts where another stopped.

    Args:
        path: the file, plain or gzip.
        offset: where to start, in unpacked bytes; a gzip file is unpacked again up to there.
        number: the number of the line that ends at ``offset``.

    Attributes:
        offset: the end of the last line, in unpacked bytes.
        number: the last line's number, from 1.
    """

    def __init__(self, path: Path | str, *, offset: int = 0, number: int = 0) -> None:
        self._path = path
        self.offset, self.number = offset, number
        self._packed: BufferedReader | None = None

    @property
    def read(self) -> int:
        """The bytes of the file that are read, packed where the file is; while it is open."""
        return self._packed.tell() if self._packed else self.offset

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
            self._packed, stream = file, gzip.GzipFile(fileobj=file)
        if self.offset:  # a pipe cannot seek, and need not
            stream.seek(self.offset)
        return stream


def is_gzip(path: Path) -> bool:
    """Whether a file's first bytes are gzip's.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(2) == _GZIP_MAGIC
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def read_columns(path: Path | str, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Stream the rows of a TREC file, whose columns stand between spaces or tabs.

    Args:
        path: the file, as for `read_lines`.
        names: the columns' names, for messages; every row must have as many.

    Yields:
        The line's number, from 1, and its columns, in the order of ``names``.

    Raises:
        InputError: as `read_lines`.
        FormatError: as `read_lines`; another number of columns; no line at all.
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
