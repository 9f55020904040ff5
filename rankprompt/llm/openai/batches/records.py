"""The batches that run at a server, kept in a file, so that a killed run finds them again."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from rankprompt.errors import InputError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.json_schema import read_as

__all__ = ["BatchRecord", "BatchRecords", "ServerId"]

_FORM = "rankprompt batches 1"
# OpenAI deletes a batch's files after this time.
_KEPT = timedelta(days=30)


def _form(form: str) -> str:
    if form != _FORM:
        raise ValueError(f"not {_FORM!r}")
    return form


def _date(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a date without its time zone")
    return text


ServerId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:=-]{1,200}$")]
"""An id of a batch or of a file at a server: it becomes part of a URL, so it has no slash."""
_Name = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True)
class BatchRecord:
    """A batch that was sent.

    Attributes:
        model: the model's fingerprint.
        address: the server's base URL.
        endpoint: of the requests.
        file: the id of the uploaded requests.
        requests: the names of the requests.
        at: when it was sent, in UTC.
        batch: the batch's id; None while it is being created.
    """

    model: str
    address: str
    endpoint: str
    file: ServerId
    requests: tuple[_Name, ...]
    at: Annotated[str, AfterValidator(_date)]
    batch: ServerId | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the server may still have its results."""
        return datetime.now(UTC) - datetime.fromisoformat(self.at) < _KEPT


@dataclass(frozen=True)
class _Content:
    form: Annotated[str, AfterValidator(_form)]
    batches: tuple[BatchRecord, ...]


class BatchRecords:
    """The batches of a run in a file; every change is on the disk before a call returns.

    The file holds ids and digests, neither texts nor keys, and is gone once no batch is left.

    Args:
        path: the file, beside the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[BatchRecord]:
        """The batches that were sent.

        Raises:
            InputError: the file cannot be read, or is none of ours.
        """
        if not self.path.exists():
            return []
        try:
            content = read_as(_Content, self.path)
        except InputError as error:
            raise InputError(
                f"{error}; move it away to go on (the batches that it names are then asked again)"
            ) from None
        return [record for record in content.batches if record.is_kept]

    def put(self, record: BatchRecord) -> None:
        """Adds a batch, or replaces what is known of the one with the same file."""
        self._write([*self._others(record), record])

    def remove(self, record: BatchRecord) -> None:
        """Removes a batch whose results need not be read again."""
        self._write(self._others(record))

    def created(self, record: BatchRecord, batch: str) -> BatchRecord:
        """Keeps the id of a batch that was created."""
        record = replace(record, batch=batch)
        self.put(record)
        return record

    def _others(self, record: BatchRecord) -> list[BatchRecord]:
        # Another run may use the same journal, so the file is read again.
        return [other for other in self.read() if other.file != record.file]

    def _write(self, batches: Sequence[BatchRecord]) -> None:
        if batches:
            content = {"form": _FORM, "batches": [asdict(one) for one in batches]}
            write_atomically(self.path, json.dumps(content, indent=1) + "\n")
        else:
            with suppress(FileNotFoundError):
                self.path.unlink()
