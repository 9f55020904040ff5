"""Makes the store of a big file of documents, once."""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path

from rankprompt.datasets.base import Fields
from rankprompt.datasets.document_store import (
    APPLICATION_ID,
    BLOCK,
    StoredDocuments,
    fetch,
    is_complete,
    pack,
)
from rankprompt.datasets.source_file import Source
from rankprompt.errors import FormatError, InputError
from rankprompt.files.cache_directory import cache_dir
from rankprompt.files.text_lines import LineReader

__all__ = ["open_store", "watching"]

log = logging.getLogger("rankprompt")

_COMMIT = 2**24  # unpacked bytes of the source between two commits
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


def _unseen(done: int, total: int) -> None:
    del done, total


_progress: ContextVar[_Progress] = ContextVar("progress", default=_unseen)


@contextlib.contextmanager
def watching(progress: Callable[[int, int], None]) -> Iterator[None]:
    """Has imports that start within the context tell how far they are.

    Args:
        progress: called now and then with the bytes of the file that are read, and all it has.
    """
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def open_store(source: Source) -> StoredDocuments:
    """Opens the store of a file of documents; makes it if it is not there.

    It lies in the cache, under ``collections``, and is found by the file's place, form, size, time
    of change and samples of its content. An import that was killed goes on where it last committed
    (in a gzip file after unpacking what lies before); of several processes one imports and the
    others wait. Once a changed file is imported, the store of its older content is deleted.

    Args:
        source: the file.

    Raises:
        InputError: the file cannot be read, changed meanwhile, or the cache cannot be written.
        FormatError: a malformed line, an id twice with different texts, or an empty file.
    """
    path = cache_dir("collections") / f"{source.place()}-{source.content()}.sqlite"
    if not is_complete(path):
        _make(source, path)
    return StoredDocuments(path, partial(_make, source, path, anew=True))


def _make(source: Source, path: Path, *, anew: bool = False) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(source, path.with_name(f"{source.place()}.lock")):
            if anew:
                log.warning("%s was damaged; it is made anew", path)
                _delete(path)
            if not is_complete(path):
                _import(source, path)
                for old in path.parent.glob(f"{source.place()}-*.sqlite"):
                    if old != path:
                        _delete(old)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot keep the documents of {source.path} in {path.parent}: {reason}; make room "
            "there, or set RANKPROMPT_CACHE to another folder. What is done is kept"
        ) from error


@contextlib.contextmanager
def _alone(source: Source, lock: Path) -> Iterator[None]:
    # A lock of SQLite's: on every system it ends with the process that holds it, killed or not.
    database = sqlite3.connect(lock, timeout=0.5, isolation_level=None)
    told = False
    try:
        while True:
            try:
                database.execute("begin exclusive")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
            if not told:
                log.info("another process imports %s; waiting for it", source.path)
                told = True
        yield
    finally:
        database.close()


def _import(source: Source, path: Path) -> None:
    try:
        _fill(source, path)
    except sqlite3.OperationalError:  # a full disk and the like
        raise
    except sqlite3.DatabaseError:
        log.warning("%s was damaged; it is made anew", path)
        _delete(path)
        _fill(source, path)


def _fill(source: Source, path: Path) -> None:
    database = sqlite3.connect(path)
    try:
        database.execute("pragma cache_size = -65536")  # ids may come in any order
        database.executescript(_SCHEMA)
        imported = _Import(source, database)
        started, before = time.monotonic(), imported.documents
        log.info(
            "importing %s into %s, once%s",
            source.path,
            path,
            f"; going on after {before:,} documents" if before else "",
        )
        imported.run()
        if not path.name.endswith(f"-{source.content()}.sqlite"):
            raise InputError(f"{source.path} changed while it was read; start again")
        database.execute("update state set complete = 1")
        database.commit()
        log.info(
            "imported %s documents of %s in %.0f s",
            f"{imported.documents - before:,}",
            source.path,
            time.monotonic() - started,
        )
    finally:
        database.close()


def _delete(path: Path) -> None:
    # The journal first: a fresh store must never be opened beside an old one's.
    for part in (path.with_name(f"{path.name}-journal"), path):
        part.unlink(missing_ok=True)


class _Import:
    """Reads on from where the store ends."""

    def __init__(self, source: Source, database: sqlite3.Connection) -> None:
        self._source, self._database = source, database
        offset, line, self.documents = database.execute(
            "select offset, line, documents from state"
        ).fetchone()
        self._reader = LineReader(source.path, offset=offset, number=line)
        self._block: dict[str, tuple[int, Fields]] = {}

    def run(self) -> None:
        """Reads to the end; what came since the last commit is still to be committed."""
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
                if self._reader.offset - committed >= _COMMIT:
                    self._mark()
                    self._database.commit()
                    committed = self._reader.offset
                    progress(self._reader.read, total)
        self._flush()
        self._mark()
        progress(total, total)

    def _flush(self) -> None:
        rows = [(name, line) for name, (line, _) in self._block.items()]
        insert = "insert or ignore into documents values (?, ?)"
        if rows and self._database.executemany(insert, rows).rowcount < len(rows):
            self._leave_out_known()
        if self._block:
            texts = pack({name: fields for name, (_, fields) in self._block.items()})
            first_line = next(line for line, _ in self._block.values())
            self._database.execute("insert into blocks values (?, ?)", (first_line, texts))
        self.documents += len(self._block)
        self._block.clear()

    def _leave_out_known(self) -> None:
        for name, (line, fields) in list(self._block.items()):
            (first_line,) = self._database.execute(
                "select line from documents where id = ?", (name,)
            ).fetchone()
            if first_line == line:
                continue
            if fetch(self._database, [name])[name] != fields:
                raise self._contradiction(name, line, first_line)
            del self._block[name]

    def _mark(self) -> None:
        self._database.execute(
            "update state set offset = ?, line = ?, documents = ?",
            (self._reader.offset, self._reader.number, self.documents),
        )

    def _contradiction(self, name: str, line: int, first_line: int) -> FormatError:
        problem = f"document {name} has another text on line {first_line}"
        return FormatError(self._source.path, line, problem)
