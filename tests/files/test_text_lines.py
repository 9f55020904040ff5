import bz2
import ctypes
import gzip
import io
import lzma
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import FormatError, InputError
from rankprompt.files import read_lines
from rankprompt.files.text_lines import LineReader, split_columns

PACKS = [bytes, gzip.compress, bz2.compress, lzma.compress]
ISSPACE = ctypes.CDLL(None).isspace  # by which trec_eval knows blanks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.txt"


@pytest.mark.parametrize("pack", PACKS)
def test_lines_are_numbered_and_blank_ones_skipped(
    path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path.write_bytes(pack(b"\xef\xbb\xbfone\r\n\n \t\r\ntwo\nthree"))
    assert list(read_lines(path)) == [(1, "one"), (4, "two"), (5, "three")]


def test_only_newlines_end_a_line(path: Path) -> None:
    text = "a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg\rh"
    path.write_bytes(f"{text}\n{text}\r\n{text}\r".encode())
    assert [line for _, line in read_lines(path)] == [text, text, text + "\r"]


def test_byte_order_marks_are_dropped_where_files_were_put_together(path: Path) -> None:
    path.write_bytes("\ufeffa\n\ufeffb\ufeff\n\ufeff\n\ufeff\ufeffc".encode())
    assert list(read_lines(path)) == [(1, "a"), (2, "b\ufeff"), (4, "c")]


def test_an_empty_file_has_no_lines(path: Path) -> None:
    path.write_bytes(b"")
    assert list(read_lines(path)) == []


def test_lines_are_streamed(path: Path) -> None:
    path.write_bytes(b"good\n" + b"\xff\n")
    assert next(read_lines(path)) == (1, "good")


@pytest.mark.parametrize("pack", PACKS)
def test_other_encodings_are_told_with_the_line(path: Path, pack: Callable[[bytes], bytes]) -> None:
    path.write_bytes(pack("good\nna\u00efve\n".encode("latin-1")))
    with pytest.raises(FormatError, match=r"lines\.txt:2: not UTF-8.*0xef.*byte 3") as caught:
        list(read_lines(path))
    assert caught.value.line == 2
    path.write_bytes(pack("a\n".encode("utf-16")))
    with pytest.raises(FormatError, match=r"lines\.txt:1: not UTF-8.*; the file is UTF-16"):
        list(read_lines(path))


def corrupt(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle:])


@pytest.mark.parametrize(
    "spoil",
    [
        corrupt,
        lambda packed: packed[:-20],
        lambda packed: packed[:2],
        lambda packed: packed[:5],
        lambda packed: packed + b"rubbish",
        lambda packed: packed[:-8] + bytes(8),
    ],
    ids=["corrupt", "truncated", "magic alone", "half a header", "rubbish behind", "checksum"],
)
def test_a_spoilt_gzip_is_told(path: Path, spoil: Callable[[bytes], bytes]) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        for number in range(5000):
            file.write(f"{number * number}\n".encode())
    path.write_bytes(spoil(packed.getvalue()))
    with pytest.raises(FormatError, match=r"lines\.txt: truncated or corrupt gzip"):
        list(read_lines(path))


def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"absent\.txt: No such file"):
        list(read_lines(tmp_path / "absent.txt"))
    with pytest.raises(InputError, match="directory"):
        list(read_lines(tmp_path))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(InputError, match="Permission denied"):
        list(read_lines(tmp_path / "secret.txt"))


@pytest.mark.parametrize("pack", PACKS)
def test_a_reader_goes_on_where_another_stopped(path: Path, pack: Callable[[bytes], bytes]) -> None:
    path.write_bytes(pack("\ufeffa\n\n题\r\n b\nlast".encode()))
    whole = list(LineReader(path))
    assert whole == [(1, "a"), (3, "题"), (4, " b"), (5, "last")]
    for count in range(len(whole) + 1):
        first = LineReader(path)
        assert list(islice(first, count)) == whole[:count]
        second = LineReader(path, offset=first.offset, number=first.number)
        assert list(second) == whole[count:]
        assert second.number == 5
        assert second.offset == len("\ufeffa\n\n题\r\n b\nlast".encode())


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), max_size=9))
def test_columns_part_where_c_has_spaces(text: str) -> None:
    spaced = bytes(32 if ISSPACE(byte) else byte for byte in text.encode())
    assert [column.encode() for column in split_columns(text) if column] == spaced.split()
