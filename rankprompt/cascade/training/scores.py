"""A teacher's scores of windows, kept on disk: a run that is repeated asks nothing twice."""

import math
import sqlite3
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rankprompt.errors import JournalError, ModelError

__all__ = ["Asked", "Teacher", "WindowScores"]

Teacher: TypeAlias = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Scores pairs of a query's and a window's text; higher is more relevant."""

_SCHEMA = """
create table if not exists scores (
    teacher text, query text, document text, window integer, texts blob, score real not null,
    primary key (teacher, query, document, window, texts)
) without rowid
"""
_BATCH = 32  # pairs a commit


class Asked(NamedTuple):
    """A window of a document, and the query to score it for.

    Attributes:
        query: its id.
        document: its id.
        window: its place in the document, from 0.
        texts: of the query and of the window.
    """

    query: str
    document: str
    window: int
    texts: tuple[str, str]


class WindowScores:
    """A teacher with a memory, keyed by (query, document, window) and by their texts.

    Args:
        path: an SQLite file, made if it is not there; None keeps the scores in memory.
        teacher: None where every score is expected to be there.
        fingerprint: the teacher's; another's scores are not used.

    Attributes:
        asked: the pairs that the teacher has scored.

    Raises:
        JournalError: the file cannot be opened.
    """

    def __init__(self, path: Path | None, teacher: Teacher, fingerprint: str) -> None:
        self.asked = 0
        self._path, self._teacher, self._fingerprint = path, teacher, fingerprint
        try:
            self._database = sqlite3.connect(path or ":memory:", timeout=60)
            with self._database:
                self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def __call__(
        self, windows: Sequence[Asked], progress: Callable[[int], None] = lambda _: None
    ) -> list[float]:
        """The scores, in order; new ones are kept, batch by batch.

        Args:
            windows: to score.
            progress: called with the number of windows done since the last call.

        Raises:
            ModelError: a score is not a finite number; it is named and not kept.
            JournalError: the file cannot be read or written.
        """
        try:
            known = {one: score for one in windows if (score := self._find(one)) is not None}
            progress(sum(one in known for one in windows))
            new = [one for one in dict.fromkeys(windows) if one not in known]
            # Alike lengths together: less padding.
            new.sort(key=lambda one: -len(one.texts[1]))
            for start in range(0, len(new), _BATCH):
                batch = new[start : start + _BATCH]
                known |= dict(zip(batch, self._ask(batch), strict=True))
                progress(len(batch))
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return [known[one] for one in windows]

    def close(self) -> None:
        """Closes the file; what was scored is kept."""
        self._database.close()

    def _ask(self, batch: Sequence[Asked]) -> list[float]:
        scores = [float(score) for score in self._teacher([one.texts for one in batch])]
        for one, score in zip(batch, scores, strict=True):
            if not math.isfinite(score):
                raise ModelError(
                    f"the teacher scores window {one.window} of document {one.document!r} for "
                    f"query {one.query!r} with {score}; expected a finite number: it is broken, "
                    "or too large for its number format (try float32)"
                )
        self.asked += len(batch)
        rows = [(*self._key(one), score) for one, score in zip(batch, scores, strict=True)]
        with self._database:
            self._database.executemany("insert or replace into scores values (?,?,?,?,?,?)", rows)
        return scores

    def _find(self, one: Asked) -> float | None:
        row = self._database.execute(
            "select score from scores where (teacher, query, document, window, texts) "
            "= (?,?,?,?,?)",
            self._key(one),
        ).fetchone()
        return None if row is None else float(row[0])

    def _key(self, one: Asked) -> tuple[str, str, str, int, bytes]:
        content = "\0".join(one.texts).encode("utf-8", "surrogatepass")
        texts = blake2b(content, digest_size=16).digest()
        return self._fingerprint, one.query, one.document, one.window, texts

    def _broken(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{self._path}: cannot use the teacher's scores: {error}; "
            "name another file, or move this one away"
        )
