import bz2
import importlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from rankprompt.errors import FormatError
from rankprompt.files import read_lines
from rankprompt.files.compression import compression_of

LINES = b"".join(b"%d\n" % number**3 for number in range(5000))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.txt"


@pytest.mark.parametrize(
    ("name", "pack"), [("bzip2", bz2.compress), ("xz", lzma.compress)], ids=["bzip2", "xz"]
)
def test_truncated_or_corrupt_data_are_told(
    path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(LINES)
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle:])
    for spoilt in (packed[:-9], packed[:middle], flipped):
        path.write_bytes(spoilt)
        with pytest.raises(FormatError, match=rf"lines\.txt: truncated or corrupt {name} data"):
            list(read_lines(path))


def test_files_put_together_after_compression_are_read(path: Path) -> None:
    for pack in (bz2.compress, lzma.compress):
        path.write_bytes(pack(b"a\n") + pack(b"b\n"))
        assert list(read_lines(path)) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "content", [b"", b"BZh", b"BZh9 is the head of bzip2\n", b"PK is a start\n", b"1\ta\n"]
)
def test_text_is_no_compressed_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert compression_of(path) == ""
    assert [line.encode() for _, line in read_lines(path)] == content.splitlines()


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_a_compressed_file_without_content_is_empty(
    path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path.write_bytes(pack(b""))
    assert compression_of(path)
    assert list(read_lines(path)) == []


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (b"PK\x03\x04", "zip"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"\x1f\x9d\x90", r"compress \(\.Z\)"),
        (lzma.compress(b"q1 Q0 d1 1\n", lzma.FORMAT_ALONE), "lzma"),
    ],
)
def test_a_compression_that_is_not_read_is_named(path: Path, magic: bytes, name: str) -> None:
    path.write_bytes(magic + b"\x14\0\0\0\x08\0")
    with pytest.raises(FormatError, match=rf"lines\.txt: the file is compressed by {name}, which"):
        list(read_lines(path))


# A frame of zstd that holds b"a\nb\n" uncompressed: magic, header, size, one raw block.
ZSTD = b"\x28\xb5\x2f\xfd\x20\x04" + (4 << 3 | 1).to_bytes(3, "little") + b"a\nb\n"


def test_zstd_is_read_where_a_module_reads_it_or_named(path: Path) -> None:
    path.write_bytes(ZSTD)
    assert compression_of(path) == "zstd"
    try:
        importlib.import_module("backports.zstd")
    except ImportError:
        with pytest.raises(FormatError, match=r"compressed by zstd, .*pip install backports\.zstd"):
            list(read_lines(path))
        return
    path.write_bytes(ZSTD + ZSTD)
    assert [line for _, line in read_lines(path)] == ["a", "b", "a", "b"]
    path.write_bytes(ZSTD[:-1])
    with pytest.raises(FormatError, match="truncated or corrupt zstd data"):
        list(read_lines(path))
