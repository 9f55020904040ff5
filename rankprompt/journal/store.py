"""The journal: every answer of a model, kept by content.

An answer is keyed by what it depends on (the model's fingerprint, the exact prompt, the options,
the reading) and committed together with the others of its model batch. A run that was killed finds
here what it had asked, so nothing is asked twice.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import JournalError
from rankprompt.llm.base import Answer, Request

__all__ = ["Entry", "Journal", "chunk_name", "key"]

log = logging.getLogger("rankprompt")

# Tells our databases from other programs'; SQLite keeps it at byte 68.
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
# SQLite's own limit on variables in a statement was 999 for long.
_SELECT = 500


class Entry(NamedTuple):
    """A kept answer, and the chunk of questions in which it was asked first."""

    answer: Answer
    chunk: bytes


def key(fingerprint: str, request: Request) -> bytes:
    """The content key of a request to a model, 16 bytes."""
    # Not the breaks: they change what is computed twice, and no answer.
    asked = [request.prompt, request.options, request.max_tokens, request.chat]
    content = json.dumps([fingerprint, *asked], ensure_ascii=False)
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _digest(name: bytes, value: bytes) -> bytes:
    return blake2b(name + value, digest_size=8).digest()


class Journal:
    """An SQLite file of answers. Two processes may share one.

    Args:
        path: the file; made if it is not there. None keeps the answers in memory only.

    Attributes:
        set_aside: where a damaged journal found at ``path`` was moved to, or None.

    Raises:
        JournalError: the file is another program's, or cannot be opened or written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.set_aside: Path | None = None
        try:
            if path is not None and path.exists():
                self._recognise(path)
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if path is None or isinstance(error, sqlite3.OperationalError):
                    raise
                self._move_aside(path)
                self._open()
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise JournalError(f"{path}: cannot open the journal: {reason}") from error

    def _recognise(self, path: Path) -> None:
        if not path.is_file():
            raise JournalError(f"{path}: not a file; name another --journal")
        with path.open("rb") as file:
            head = file.read(72)
        if not head or (head.startswith(_SQLITE_HEADER) and head[68:] == _APPLICATION_ID):
            return
        if head.startswith(_SQLITE_HEADER) and len(head) == 72:
            raise JournalError(f"{path}: another program's database; name another --journal")
        if path.suffix != ".journal":
            # A rename would lose nothing, but what we did not write is not ours to rename.
            raise JournalError(
                f"{path}: not a rankprompt journal; name another --journal "
                "(if it is one and damaged, move it away)"
            )
        self._move_aside(path)

    def _open(self) -> None:
        self._database = sqlite3.connect(self.path or ":memory:", timeout=60)
        try:
            self._prepare()
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
                    raise JournalError(
                        f"{self.path}: another program's database; name another --journal"
                    )
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                number = int.from_bytes(_APPLICATION_ID, "big")
                database.execute(f"pragma application_id = {number}")
                database.execute(f"pragma user_version = {_VERSION}")
        # Only now: with WAL from the start, the file of a killed run might not tell whose it is.
        database.execute("pragma journal_mode = wal")
        # With WAL, a power cut may lose the last batches but cannot damage the file.
        database.execute("pragma synchronous = normal")
        problems = database.execute("pragma quick_check").fetchone()[0]
        if problems != "ok":
            raise sqlite3.DatabaseError(problems)
        for name, value, digest in database.execute(
            "select key, cast(value as blob), digest from answers"
        ):
            if _digest(name, value) != digest:
                raise sqlite3.DatabaseError("an answer does not match its checksum")

    def _move_aside(self, path: Path) -> None:
        number = 1
        while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        # The log goes first: a fresh journal must never be opened over the old one's.
        for suffix in ("-wal", "-shm", "-journal", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
        self.set_aside = target
        log.warning("%s was damaged; it is kept as %s, and a fresh one begun", path, target)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The kept answers among ``keys``.

        Raises:
            JournalError: the file was damaged while it was open.
        """
        found = {}
        try:
            for start in range(0, len(keys), _SELECT):
                part = keys[start : start + _SELECT]
                marks = ",".join("?" * len(part))
                rows = self._database.execute(
                    "select key, cast(value as blob), digest, chunk from answers "
                    f"where key in ({marks})",
                    part,
                )
                for name, value, digest, chunk in rows:
                    if _digest(name, value) != digest:
                        raise sqlite3.DatabaseError("an answer does not match its checksum")
                    loglikelihoods, tokens, text = json.loads(value)
                    answer = Answer(tuple(loglikelihoods), tuple(tokens), text)
                    found[name] = Entry(answer, chunk)
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return found

    def put(
        self, answers: Mapping[bytes, Answer], *, chunk: bytes, tokens: int, padding: int
    ) -> None:
        """Keeps the answers of one model batch, in one commit.

        Args:
            answers: by key.
            chunk: names the chunk of questions that the batch belongs to.
            tokens: that the batch processed.
            padding: processed beside them.

        Raises:
            JournalError: the answers cannot be written, for instance on a full disk.
        """
        rows = []
        for name, answer in answers.items():
            value = json.dumps(answer).encode()
            rows.append((name, value.decode(), _digest(name, value), chunk))
        try:
            with self._database:
                self._database.executemany("insert or ignore into answers values (?,?,?,?)", rows)
                self._database.execute(
                    "insert into batches (prompts, tokens, padding) values (?,?,?)",
                    (len(rows), tokens, padding),
                )
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def totals(self) -> tuple[int, int]:
        """The answers kept, and the prompts ever asked; equal where nothing was asked twice."""
        try:
            answers, asked = self._database.execute(
                "select (select count(*) from answers), coalesce(sum(prompts), 0) from batches"
            ).fetchone()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return answers, asked

    def close(self) -> None:
        """Closes the file; what was put is kept."""
        self._database.close()

    def _broken(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{self.path}: the journal failed: {error}; what was committed is kept, "
            "start the same command again once this is mended"
        )


def chunk_name(keys: Iterable[bytes]) -> bytes:
    """Names a chunk of questions by its content, 8 bytes."""
    return blake2b(b"".join(sorted(set(keys))), digest_size=8).digest()
