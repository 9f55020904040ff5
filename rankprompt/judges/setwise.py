"""Judges of questions that are no pairs: gradings, selections and listings."""

from collections.abc import Mapping, Sequence
from typing import Any

from rankprompt.journal.cached_model import Answering, AsyncAnswering
from rankprompt.judges.adapters.base import SetReading
from rankprompt.judges.diagnostics import SetDiagnostics
from rankprompt.judges.llm_judge import Asking, InLockStep, SideBySide
from rankprompt.llm.base import Answer, Request
from rankprompt.types import Query, Question

__all__ = ["AsyncSetJudge", "SetJudge"]


class _Sets(Asking[Question, Any]):
    """What asking a language model about passages means that are shown once, in one order.

    Args:
        answering: the model behind its journal.
        reading: what is asked about some passages, and what the answers mean.
        settings: of ``Asking``.

    Attributes:
        diagnostics: unreadable and repaired answers, and a liking for the passage shown first.
    """

    def __init__(
        self, answering: Answering | AsyncAnswering, reading: SetReading, **settings: Any
    ) -> None:
        super().__init__(answering, **settings)
        self._reading = reading
        self.diagnostics = SetDiagnostics()

    def _requests(self, question: Question) -> dict[bool, list[Request]]:
        query, documents = question.query, question.documents
        texts = self._show(query, documents, len(documents))
        return {False: self._reading.requests(self._read(query.text, query.id), texts)}

    def _bare(self, query: Query, number: int) -> list[Request]:
        return self._reading.requests(self._read(query.text, query.id), [""] * number)

    def _conclude(self, question: Question, heard: Mapping[bool, Sequence[Answer]]) -> Any:
        found = self._reading.read(heard[False], len(question.documents))
        self.diagnostics.add(question, found.answer, found.repairs)
        return self._unknown(question) if found.answer is None else found.answer

    def _unknown(self, question: Question) -> Any:
        return self._reading.unknown(len(question.documents))


class SetJudge(_Sets, InLockStep[Question, Any]):
    """A language model, asked about one passage, or about several at a time."""


class AsyncSetJudge(_Sets, SideBySide[Question, Any]):
    """A language model behind a server, as ``SetJudge``."""
