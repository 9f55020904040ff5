"""Imports a big file of documents into its document store, once."""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path

from rankprompt.datasets.base import Fields
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.document_store import (
    APPLICATION_ID,
    BLOCK,
    StoredDocuments,
    fetch,
    is_complete,
    pack,
)
from rankprompt.errors import FormatError, InputError
from rankprompt.files.cache_directory import cache_dir
from rankprompt.files.text_lines import LineReader

__all__ = ["COMMIT_BYTES", "open_store", "watching"]

log = logging.getLogger("rankprompt")

COMMIT_BYTES = 2**24
"""Uncompressed bytes of the source between two commits."""
_SCHEMA = f"""
begin immediate;
pragma application_id = {APPLICATION_ID};
create table if not exists documents (id text primary key, line integer not null) without rowid;
create table if not exists blocks (line integer primary key, texts blob not null);
create table if not exists state (
    offset integer not null, line integer not null, documents integer not null,
    complete integer not null
);
insert into state select 0, 0, 0, 0 where not exists (select * from state);
commit;
"""

_Progress = Callable[[int, int], None]


def _no_progress(done: int, total: int) -> None:
    del done, total


_progress: ContextVar[_Progress] = ContextVar("progress", default=_no_progress)


@contextlib.contextmanager
def watching(progress: _Progress) -> Iterator[None]:
    """Reports the progress of every import that starts within the context.

    Args:
        progress: called repeatedly with the number of bytes read and the size of the file.
    """
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def open_store(source: DocumentFile) -> StoredDocuments:
    """Opens the document store of a file, and imports the file first if there is no store.

    The store is in the cache, under ``collections``; its name depends on the file's path, form,
    size, modification time and samples of its content. An import that was killed continues from
    its last commit (a gzip file is decompressed again up to there). If several processes need the
    store, one imports and the others wait. The store of a file's older content is deleted.

    Args:
        source: the file.

    Raises:
        InputError: the file cannot be read or changes during the import, or the cache cannot be
            written.
        FormatError: a line is malformed, an id occurs twice with different texts, or the file is
            empty.
    """
    path = cache_dir("collections") / f"{source.location_key()}-{source.content_key()}.sqlite"
    if not is_complete(path):
        _build(source, path)
    return StoredDocuments(path, partial(_build, source, path, rebuild=True))


def _build(source: DocumentFile, path: Path, *, rebuild: bool = False) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(source, path.with_name(f"{source.location_key()}.lock")):
            if rebuild:
                log.warning("%s was damaged; it is rebuilt", path)
                _delete(path)
            if not is_complete(path):
                _import(source, path)
                for old in path.parent.glob(f"{source.location_key()}-*.sqlite"):
                    if old != path:
                        _delete(old)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot store the documents of {source.path} in {path.parent}: {reason}; free some "
            "space there, or set RANKPROMPT_CACHE to another folder. The import can be resumed"
        ) from error


@contextlib.contextmanager
def _exclusive(source: DocumentFile, lock: Path) -> Iterator[None]:
    # Locked through SQLite, because every system releases that lock when the process ends.
    database = sqlite3.connect(lock, timeout=0.5, isolation_level=None)
    logged = False
    try:
        while True:
            try:
                database.execute("begin exclusive")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
            if not logged:
                log.info("another process imports %s; waiting for it", source.path)
                logged = True
        yield
    finally:
        database.close()


def _import(source: DocumentFile, path: Path) -> None:
    try:
        _fill(source, path)
    except sqlite3.OperationalError:  # such as a full disk
        raise
    except sqlite3.DatabaseError:
        log.warning("%s was damaged; it is rebuilt", path)
        _delete(path)
        _fill(source, path)


def _fill(source: DocumentFile, path: Path) -> None:
    database = sqlite3.connect(path)
    try:
        database.execute("pragma cache_size = -65536")  # 64 MB, because ids come in any order
        database.executescript(_SCHEMA)
        importer = _Importer(source, database)
        started, before = time.monotonic(), importer.documents
        log.info(
            "importing %s into %s, once%s",
            source.path,
            path,
            f"; resuming after {before:,} documents" if before else "",
        )
        importer.run()
        if not path.name.endswith(f"-{source.content_key()}.sqlite"):
            raise InputError(f"{source.path} changed while it was read; start again")
        database.execute("update state set complete = 1")
        database.commit()
        log.info(
            "imported %s documents of %s in %.0f s",
            f"{importer.documents - before:,}",
            source.path,
            time.monotonic() - started,
        )
    finally:
        database.close()


def _delete(path: Path) -> None:
    # The rollback journal first: a new store must never be opened with the journal of an old one.
    for file in (path.with_name(f"{path.name}-journal"), path):
        file.unlink(missing_ok=True)


class _Importer:
    """Imports the source from the store's last commit onwards."""

    def __init__(self, source: DocumentFile, database: sqlite3.Connection) -> None:
        self._source, self._database = source, database
        offset, line, self.documents = database.execute(
            "select offset, line, documents from state"
        ).fetchone()
        self._reader = LineReader(source.path, offset=offset, number=line)
        self._block: dict[str, tuple[int, Fields]] = {}

    def run(self) -> None:
        """Reads the source to its end; the caller commits the last transaction."""
        progress, total = _progress.get(), self._source.path.stat().st_size
        size, committed = 0, self._reader.offset
        for line, name, fields in self._source.records(self._reader):
            first_line, known = self._block.setdefault(name, (line, fields))
            if first_line == line:
                size += len(name) + sum(map(len, fields.values()))
            elif known != fields:
                raise self._contradiction(name, line, first_line)
            if size >= BLOCK:
                self._flush()
                size = 0
                if self._reader.offset - committed >= COMMIT_BYTES:
                    self._save_state()
                    self._database.commit()
                    committed = self._reader.offset
                    progress(self._reader.read, total)
        self._flush()
        self._save_state()
        progress(total, total)

    def _flush(self) -> None:
        rows = [(name, line) for name, (line, _) in self._block.items()]
        insert = "insert or ignore into documents values (?, ?)"
        if rows and self._database.executemany(insert, rows).rowcount < len(rows):
            self._drop_duplicates()
        if self._block:
            texts = pack({name: fields for name, (_, fields) in self._block.items()})
            first_line = next(line for line, _ in self._block.values())
            self._database.execute("insert into blocks values (?, ?)", (first_line, texts))
        self.documents += len(self._block)
        self._block.clear()

    def _drop_duplicates(self) -> None:
        for name, (line, fields) in list(self._block.items()):
            (first_line,) = self._database.execute(
                "select line from documents where id = ?", (name,)
            ).fetchone()
            if first_line == line:
                continue
            if fetch(self._database, [name])[name] != fields:
                raise self._contradiction(name, line, first_line)
            del self._block[name]

    def _save_state(self) -> None:
        self._database.execute(
            "update state set offset = ?, line = ?, documents = ?",
            (self._reader.offset, self._reader.number, self.documents),
        )

    def _contradiction(self, name: str, line: int, first_line: int) -> FormatError:
        problem = f"document {name} has another text on line {first_line}"
        return FormatError(self._source.path, line, problem)
