"""Compressed files, recognised by their first bytes and never by their names."""

import bz2
import gzip
import importlib
import lzma
import zlib
from io import BufferedReader
from pathlib import Path
from types import ModuleType
from typing import IO, cast

from rankprompt.errors import PIP_LINES, FormatError, InputError

__all__ = ["COMPRESSED_ENDINGS", "compression_of", "decompress", "decompression_errors"]

COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz", ".zst")
"""How names of compressed files end; files are read by their first bytes all the same."""

_MAGIC = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "zip": b"PK\x03\x04",
    "lz4": b"\x04\x22\x4d\x18",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "compress (.Z)": b"\x1f\x9d",
    "lzma": b"\x5d\x00\x00",
}
_BEHIND_BZH9 = (b"1AY&SY", b"\x17rE8P\x90")  # the first block, or the end of an empty file
_HEAD_BYTES = 10
# Not the package zstandard: its readers end without an error where the data are truncated.
_ZSTD_MODULES = ("compression.zstd", "backports.zstd")  # Python 3.14, and its backport


def compression_of(path: Path) -> str:
    """Returns the name of a file's compression, such as "gzip"; empty for plain text.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _recognise(file)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def decompress(path: Path | str, file: BufferedReader) -> tuple[str, IO[bytes]]:
    """Opens the uncompressed bytes of a file.

    Args:
        path: the file, for messages.
        file: the file at its start, which may be a pipe.

    Returns:
        The name of the compression, empty for plain text; and the bytes, which can be sought.

    Raises:
        FormatError: the compression is not read here; the message names it.
    """
    name = _recognise(file)
    match name:
        case "":
            return name, file
        case "gzip":
            return name, cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        case "bzip2":
            return name, bz2.BZ2File(file)
        case "xz":
            return name, lzma.LZMAFile(file)
    zstd = _zstd() if name == "zstd" else None
    if zstd is None:
        hint = f", or: {PIP_LINES[name]}" if name in PIP_LINES else ""
        problem = f"the file is compressed by {name}, which is not read; decompress it first{hint}"
        raise FormatError(path, None, problem)
    stream: IO[bytes] = zstd.ZstdFile(file)
    return name, stream


def decompression_errors() -> tuple[type[Exception], ...]:
    """Returns what corrupt or truncated data raise, beside the plain OSError of bzip2."""
    zstd = _zstd()
    errors = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)
    return errors if zstd is None else (*errors, zstd.ZstdError)


def _recognise(file: BufferedReader) -> str:
    head = file.peek(_HEAD_BYTES)
    for name, magic in _MAGIC.items():
        if head.startswith(magic) and (name != "bzip2" or head[4:].startswith(_BEHIND_BZH9)):
            return name
    return ""


def _zstd() -> ModuleType | None:
    for name in _ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
