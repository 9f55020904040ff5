"""A file of documents: where it lies, how its lines are read, and what it held when."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from rankprompt.errors import FormatError, InputError
from rankprompt.files.queries_and_documents import Parse, detect_fields
from rankprompt.files.text_lines import LineReader, is_gzip, read_lines

__all__ = ["Source"]

_ENDS = 2**16
_SAMPLES, _SAMPLE = 32, 2**12


@dataclass(frozen=True)
class Source:
    """A file with a document a line.

    Args:
        path: the file, plain or gzip.
        form: names the way it is read, with a number to raise whenever that way changes: a store
            of another form is not used.
        detect: tells from the first line that is not blank (path, line number, text) how all lines
            are read, this one included.
    """

    path: Path
    form: str = "plain-1"
    detect: Callable[[Path, int, str], Parse] = detect_fields

    def records(
        self, reader: LineReader | None = None
    ) -> Iterator[tuple[int, str, dict[str, str]]]:
        """Streams the documents.

        Args:
            reader: to start after its line; None starts at the beginning.

        Yields:
            The line's number, the document's id and its fields; in the file's order.

        Raises:
            InputError: the file cannot be read.
            FormatError: a malformed line, or a file without a document.
        """
        reader = reader or LineReader(self.path)
        parse = None
        if reader.offset:  # not otherwise: a pipe can be opened only once
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

    def size(self) -> int:
        """The file's bytes; a gzip file's unpacked, by a guess of 4 to 1.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            return self.path.stat().st_size * (4 if is_gzip(self.path) else 1)
        except OSError as error:
            raise self._unreadable(error) from error

    def place(self) -> str:
        """Names the file by where it lies and how it is read."""
        name = f"{self.path.resolve()}\0{self.form}"
        return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()

    def content(self) -> str:
        """Names what the file holds: its size, its time of change, its ends and 32 samples.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            state = self.path.stat()
            digest = blake2b(f"{state.st_size} {state.st_mtime_ns}".encode(), digest_size=8)
            with self.path.open("rb") as file:
                digest.update(file.read(_ENDS))
                for number in range(1, _SAMPLES + 1):
                    file.seek(state.st_size * number // (_SAMPLES + 1))
                    digest.update(file.read(_SAMPLE))
                file.seek(max(0, state.st_size - _ENDS))
                digest.update(file.read(_ENDS))
        except OSError as error:
            raise self._unreadable(error) from error
        return digest.hexdigest()

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(f"cannot read {self.path}: {error.strerror or error}")
