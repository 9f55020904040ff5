"""What a run has asked: an answer that it needs again is repeated, and none is asked twice."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from rankprompt.journal.store import Entry
from rankprompt.llm.base import Answer

__all__ = ["AnswerStore", "Memory"]


class AnswerStore(Protocol):
    """Stores answers by key: the journal, or a worker's connection to the journal."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The stored entries of those ``keys`` that have an answer."""

    def put(
        self, answers: Mapping[bytes, Answer], *, chunk: bytes, tokens: int, padding: int
    ) -> None:
        """Stores the answers of a model batch, all of them or none."""

    def forget(self, keys: Sequence[bytes]) -> None:
        """Deletes the answers to ``keys``."""


class Memory:
    """What a run has asked, and the unreadable answers that the journal does not keep.

    Args:
        journal: stores the answers.
    """

    def __init__(self, journal: AnswerStore) -> None:
        self._journal = journal
        self._asked: set[bytes] = set()
        self._read: set[bytes] = set()
        self._unreadable: dict[bytes, Answer] = {}

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """The answers that need not be asked for, stored or unreadable."""
        entries = self._journal.get([name for name in keys if name not in self._unreadable])
        known = {name: self._unreadable[name] for name in keys if name in self._unreadable}
        return entries | {name: Entry(answer, b"") for name, answer in known.items()}

    def repeated(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of ``keys``, whose answers are known, that this run has needed before."""
        repeated = {name for name in keys if name in self._asked or name in self._read}
        self._read.update(name for name in keys if name not in self._asked)
        return repeated

    def put(
        self, answers: Mapping[bytes, Answer], *, chunk: bytes, tokens: int, padding: int
    ) -> None:
        """Stores new answers."""
        self._journal.put(answers, chunk=chunk, tokens=tokens, padding=padding)
        self._asked.update(answers)
        # The journal does not keep these.
        self._unreadable |= {
            name: answer for name, answer in answers.items() if answer.problem not in ("", "cut")
        }

    def begin(self) -> None:
        """Forgets what has been asked, which takes 100 bytes an answer."""
        self._asked, self._read = set(), set()

    def forget(self, answers: Mapping[bytes, Answer]) -> None:
        """Removes unreadable answers from the journal; this run asks for an answer only once."""
        self._journal.forget([name for name in answers if name not in self._unreadable])
        self._unreadable |= {name: answers[name] for name in answers if name in self._asked}
