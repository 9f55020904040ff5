"""A file with one document per line: how its lines are parsed, and how its state is recognised."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from rankprompt.errors import FormatError, InputError
from rankprompt.files.compression import COMPRESSED_ENDINGS, compression_of
from rankprompt.files.queries_and_documents import LineParser, detect_fields
from rankprompt.files.text_lines import LineReader, read_lines
from rankprompt.files.unique_ids import gather_queries

__all__ = ["SUFFIXES", "DocumentFile", "find_file", "require_file"]

SUFFIXES = ("", *COMPRESSED_ENDINGS)
"""What may follow the name of a dataset's file, in the order of precedence."""

_END_BYTES = 2**16
_SAMPLES, _SAMPLE_BYTES = 32, 2**12
_COMPRESSION_RATIO = 4


@dataclass(frozen=True)
class DocumentFile:
    """A file with one document per line.

    Args:
        path: the file, plain or compressed.
        form: names the way in which the file is read. Its number must be raised whenever that way
            changes, so that document stores of the old form are not used.
        detect: returns the parser of all lines, given the path and the number and text of the
            first line that is not blank.
    """

    path: Path
    form: str = "plain-3"
    detect: Callable[[Path, int, str], LineParser] = detect_fields

    def records(
        self, reader: LineReader | None = None
    ) -> Iterator[tuple[int, str, dict[str, str]]]:
        """Streams the documents.

        Args:
            reader: continues after this reader's last line; None starts at the beginning.

        Yields:
            Each line's number, the document's id and its fields, in the file's order.

        Raises:
            InputError: the file cannot be read.
            FormatError: a line is malformed, or the file has no document.
        """
        reader = reader or LineReader(self.path)
        parse = None
        if reader.offset:  # never for a pipe, which can be opened only once
            parse = self.detect(self.path, *next(read_lines(self.path)))
        empty = parse is None
        for number, line in reader:
            parse = parse or self.detect(self.path, number, line)
            record = parse(number, line)
            if record is not None:
                empty = False
                yield number, *record
        if empty:
            raise FormatError(self.path, None, "the file is empty; expected documents")

    def read_queries(self) -> dict[str, str]:
        """Reads a file of the same form whose records are queries, with the field ``text``.

        Raises:
            InputError: the file cannot be read.
            FormatError: a line is malformed, an id occurs twice, or the file is empty.
        """
        rows = ((line, name, fields["text"]) for line, name, fields in self.records())
        return gather_queries(self.path, rows)

    def size(self) -> int:
        """Returns the file's size in bytes; a compressed file's is estimated as 4 times its own.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            ratio = _COMPRESSION_RATIO if compression_of(self.path) else 1
            return self.path.stat().st_size * ratio
        except OSError as error:
            raise self._unreadable(error) from error

    def location_key(self) -> str:
        """Returns a digest of the file's path and of the way in which it is read."""
        name = f"{self.path.resolve()}\0{self.form}"
        return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()

    def content_key(self) -> str:
        """Returns a digest of the file's size, modification time, both ends and 32 samples.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            state = self.path.stat()
            digest = blake2b(f"{state.st_size} {state.st_mtime_ns}".encode(), digest_size=8)
            with self.path.open("rb") as file:
                digest.update(file.read(_END_BYTES))
                for number in range(1, _SAMPLES + 1):
                    file.seek(state.st_size * number // (_SAMPLES + 1))
                    digest.update(file.read(_SAMPLE_BYTES))
                file.seek(max(0, state.st_size - _END_BYTES))
                digest.update(file.read(_END_BYTES))
        except OSError as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(f"cannot read {self.path}: {error.strerror or error}")


def find_file(folder: Path, name: str) -> Path | None:
    """Returns a folder's file, or else a compressed one, such as ``NAME.gz``; None without any."""
    for path in (folder / f"{name}{suffix}" for suffix in SUFFIXES):
        if path.is_file():
            return path
    return None


def require_file(folder: Path, name: str) -> Path:
    """Returns the file as ``find_file`` does.

    Raises:
        InputError: it does not exist.
    """
    path = find_file(folder, name)
    if path is None:
        raise InputError(f"no {name} in {folder}")
    return path
