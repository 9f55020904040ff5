"""The journal: a SQLite file that stores every answer of a model, keyed by content.

An answer's key is a digest of all that it depends on: the model's fingerprint, the exact prompt,
the options, the number of tokens to write, and whether the chat template is used. The answers of a
model batch are committed together. A run that was killed and started again finds its answers here,
so that no request is sent to the model twice.
"""

import json
import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from rankprompt.errors import JournalError
from rankprompt.journal.entries import Entry, checksum, chunk_name, key, parse_value
from rankprompt.llm.base import Answer

__all__ = ["Entry", "Journal", "chunk_name", "key"]

log = logging.getLogger("rankprompt")

# Distinguishes our databases from other programs'; SQLite stores it at byte 68.
_APPLICATION_ID = b"rkpr"
_VERSION = 1
_SQLITE_HEADER = b"SQLite format 3\0"
_SCHEMA = """
create table answers (
    key blob primary key, value text not null, digest blob not null, chunk blob not null
) without rowid;
create table batches (
    id integer primary key, prompts integer not null, tokens integer not null,
    padding integer not null, at text not null default current_timestamp
);
"""
# Keys in a select statement: SQLite used to allow no more than 999 variables.
_SELECT = 500
# Answers that are checked when a file is opened, which takes a second; of 20 million, it would take
# minutes. The others are checked when they are read.
_CHECKED = 100_000


class Journal:
    """A SQLite file of answers, which several processes and threads may share.

    The threads of a process take turns at one connection.

    Args:
        path: the file, which is created if it does not exist. None keeps the answers in memory
            only.

    Attributes:
        path: the file, or None.
        set_aside: the path to which a damaged journal at ``path`` was moved, or None.

    Raises:
        JournalError: the file belongs to another program, or cannot be opened or written.

    Examples:
        >>> from rankprompt.journal.store import Journal, chunk_name, key
        >>> from rankprompt.llm.base import Answer, Request
        >>> name = key("a model's fingerprint", Request("2 + 2 =", max_tokens=1))
        >>> journal = Journal(None)
        >>> chunk = chunk_name([name])
        >>> journal.put({name: Answer(text=" 4")}, chunk=chunk, tokens=5, padding=0)
        >>> journal.get([name])[name].answer.text
        ' 4'
        >>> journal.totals()
        (1, 1)
        >>> journal.close()
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._lock, self._closed = Lock(), False
        try:
            if path is not None and path.exists():
                self._check_format(path)
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if path is None or isinstance(error, sqlite3.OperationalError):
                    raise
                self._move_aside(path)
                self._open()
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise JournalError(
                f"{path}: cannot open the journal: {reason}{_no_locks(error)}"
            ) from error

    def _check_format(self, path: Path) -> None:
        """Refuses another program's file, and moves a journal with a damaged header aside."""
        if not path.is_file():
            raise JournalError(f"{path}: not a file; name another `journal`")
        with path.open("rb") as file:
            header = file.read(72)
        if not header or (header.startswith(_SQLITE_HEADER) and header[68:] == _APPLICATION_ID):
            return
        if header.startswith(_SQLITE_HEADER) and len(header) == 72:
            raise self._foreign_database()
        if path.suffix != ".journal":
            # Renaming it would lose nothing, but it may be a file that rankprompt did not write.
            raise JournalError(
                f"{path}: not a rankprompt journal; name another `journal` "
                "(if it is a damaged journal, move it away)"
            )
        self._move_aside(path)

    def _foreign_database(self) -> JournalError:
        return JournalError(f"{self.path}: another program's database; name another `journal`")

    def _open(self) -> None:
        self._database = sqlite3.connect(
            self.path or ":memory:", timeout=60, check_same_thread=False
        )
        try:
            self._prepare()
        except UnicodeDecodeError as error:  # in a table's name or definition
            self._database.close()
            raise sqlite3.DatabaseError(f"not UTF-8 text: {error.reason}") from error
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        database = self._database
        with database:
            database.execute("begin immediate")
            version = database.execute("pragma user_version").fetchone()[0]
            if version > _VERSION:
                raise JournalError(f"{self.path}: written by a newer rankprompt (form {version})")
            if version == 0:
                if database.execute("select count(*) from sqlite_master").fetchone()[0]:
                    raise self._foreign_database()
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                number = int.from_bytes(_APPLICATION_ID, "big")
                database.execute(f"pragma application_id = {number}")
                database.execute(f"pragma user_version = {_VERSION}")
        # After the commit: with WAL from the start, the file of a killed run might lack its header.
        database.execute("pragma journal_mode = wal")
        # With WAL, a power cut may lose the last batches but cannot damage the file.
        database.execute("pragma synchronous = normal")
        problems = database.execute("pragma quick_check").fetchone()[0]
        if problems != "ok":
            raise sqlite3.DatabaseError(problems)
        for name, value, digest, chunk in database.execute(
            "select key, cast(value as blob), digest, chunk from answers limit ?", (_CHECKED,)
        ):
            if not all(isinstance(column, bytes) for column in (name, value, chunk)):
                raise sqlite3.DatabaseError("a column has values of another type")
            if checksum(name, value) != digest:
                raise sqlite3.DatabaseError("an answer does not match its checksum")
            parse_value(value)

    def _move_aside(self, path: Path) -> None:
        number = 1
        while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        # The logs go first: a new journal must never be opened with the old journal's log.
        for suffix in ("-wal", "-shm", "-journal", ""):
            file = path.with_name(path.name + suffix)
            if file.exists():
                file.rename(target.with_name(target.name + suffix))
        self.set_aside = target
        log.warning("%s was damaged; it is kept as %s, and a fresh journal is begun", path, target)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The stored entries of those ``keys`` that have an answer.

        An answer that does not match its checksum is deleted with a warning, and is none: one
        flipped bit among millions of answers costs one prompt.

        Raises:
            JournalError: the file was damaged while it was open, or the journal is closed.
        """
        entries: dict[bytes, Entry] = {}
        damaged: list[bytes] = []
        for start in range(0, len(keys), _SELECT):
            selected = keys[start : start + _SELECT]
            variables = ",".join("?" * len(selected))
            with self._use() as database:
                rows = database.execute(
                    "select key, cast(value as blob), digest, chunk from answers "
                    f"where key in ({variables})",
                    selected,
                ).fetchall()
            try:
                for name, value, digest, chunk in rows:
                    if checksum(name, value) == digest:
                        entries[name] = Entry(parse_value(value), chunk)
                    else:
                        damaged.append(name)
            except sqlite3.Error as error:
                raise self._failure(error) from error
        if damaged:
            self.forget(damaged)
            log.warning(
                "%s: answers that were damaged are asked again: %d", self.path, len(damaged)
            )
        return entries

    def put(
        self, answers: Mapping[bytes, Answer], *, chunk: bytes, tokens: int, padding: int
    ) -> None:
        """Stores the answers of a model batch, in a single commit; a stored answer stays.

        An answer with a problem other than "cut" is none: it is counted but not stored, so that a
        later run asks again.

        Args:
            answers: the answers by key.
            chunk: the name of the chunk of questions that the batch belongs to.
            tokens: the number of tokens that the batch processed.
            padding: the number of padding tokens that it processed in addition.

        Raises:
            JournalError: the answers cannot be written, for instance on a full disk, or the journal
                is closed.
        """
        rows = []
        for name, answer in answers.items():
            if answer.problem not in ("", "cut"):
                continue
            # The last field only where it says something: older versions read three.
            value = json.dumps(answer if answer.problem else answer[:-1]).encode()
            rows.append((name, value.decode(), checksum(name, value), chunk))
        with self._use() as database, database:
            database.executemany("insert or ignore into answers values (?,?,?,?)", rows)
            database.execute(
                "insert into batches (prompts, tokens, padding) values (?,?,?)",
                (len(answers), tokens, padding),
            )

    def forget(self, keys: Sequence[bytes]) -> None:
        """Deletes the answers to ``keys``, so that a later run asks them again.

        Raises:
            JournalError: the file cannot be written, or the journal is closed.
        """
        with self._use() as database, database:
            database.executemany("delete from answers where key = ?", [(name,) for name in keys])

    def totals(self) -> tuple[int, int]:
        """The number of stored answers, and of prompts sent.

        They are equal unless a prompt was repeated, or an answer could not be read.
        """
        with self._use() as database:
            answers, prompts = database.execute(
                "select (select count(*) from answers), coalesce(sum(prompts), 0) from batches"
            ).fetchone()
        return answers, prompts

    def close(self) -> None:
        """Closes the file, after what other threads are doing; all stored answers are kept."""
        with self._lock:
            self._closed = True
            self._database.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """Gives the connection to one thread at a time."""
        with self._lock:
            if self._closed:
                raise JournalError(f"{self.path}: the journal is closed: nothing more is stored")
            try:
                yield self._database
            except sqlite3.Error as error:
                raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{self.path}: the journal failed: {error}{_no_locks(error)}; all committed answers "
            "are kept, start the same command again once this is fixed"
        )


def _no_locks(error: Exception) -> str:
    """A hint where SQLite fails as it does on a file system without locks."""
    failed = re.search("disk I/O error|locking protocol|database is locked", str(error))
    hint = " (a network file system such as NFS may lack locks: put `journal` on a local disk)"
    return hint if failed else ""
