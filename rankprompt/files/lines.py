"""Lines of text files, plain or gzip."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rankprompt.errors import FormatError, InputError

__all__ = ["read_columns", "read_lines"]

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
    number = 0
    try:
        with Path(path).open("rb") as file:
            packed = file.peek(2)[:2] == _GZIP_MAGIC
            stream: Iterable[bytes] = gzip.GzipFile(fileobj=file) if packed else file
            for number, line in enumerate(stream, start=1):
                text = _decode(path, number, line)
                if text and not text.isspace():
                    yield number, text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        problem = f"truncated or corrupt gzip data after line {number} ({error})"
        raise FormatError(path, None, problem) from error
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
