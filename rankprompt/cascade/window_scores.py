"""A teacher's window scores, stored in a journal, so that a repeated run scores nothing twice."""

import json
import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from rankprompt.errors import ModelError
from rankprompt.journal.store import Journal, chunk_name
from rankprompt.llm.base import Answer

__all__ = ["BATCH", "PairScorer", "WindowQuestion", "WindowScores"]

PairScorer: TypeAlias = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Scores pairs of a query's text and a window's text; higher is more relevant."""

BATCH = 32
"""The most pairs that a teacher in this process scores together."""


class WindowQuestion(NamedTuple):
    """How relevant is a window of a document to a query?

    The order of the fields is part of the journal's keys.

    Attributes:
        query: The query's id.
        document: The document's id.
        window: The window's index in the document, from 0.
        texts: The texts of the query and of the window.
    """

    query: str
    document: str
    window: int
    texts: tuple[str, str]


class WindowScores:
    """A teacher behind a journal, keyed by query, document and window and by their texts.

    A key never depends on a position in a batch, so training epochs and runs share the scores.

    Args:
        journal: Stores the scores; ``Journal(None)`` keeps them in memory.
        teacher: Scores what the journal lacks.
        fingerprint: The teacher's fingerprint; scores of another teacher are not used.
        batch: The most pairs that the teacher scores, and the journal stores, together.

    Attributes:
        teacher_calls: How many windows the teacher has scored.
        cache_hits: How many scores came from the journal.
    """

    def __init__(
        self, journal: Journal, teacher: PairScorer, fingerprint: str, *, batch: int = BATCH
    ) -> None:
        self.teacher_calls = self.cache_hits = 0
        self.fingerprint = fingerprint
        self._journal, self._teacher, self._batch = journal, teacher, batch

    def __call__(
        self, windows: Sequence[WindowQuestion], progress: Callable[[int], None] = lambda _: None
    ) -> list[float]:
        """Returns the scores in order; new scores are stored batch by batch.

        Batches are planned as if this call had never been started before. A real model's scores
        may vary with the batch, so this makes a resumed run end with the same scores. ``progress``
        is called with the number of windows scored since its last call.

        Raises:
            ModelError: A score is not a finite number; it is named and not stored.
            JournalError: The journal cannot be read or written.
        """
        keys = {question: self._key(question) for question in windows}
        chunk = chunk_name(keys.values())
        entries = self._journal.get(list(keys.values()))
        scores = {
            question: entries[key].answer.loglikelihoods[0]
            for question, key in keys.items() if key in entries
        }  # fmt: skip
        self.cache_hits += len(scores)
        progress(sum(question in scores for question in windows))
        planned = [q for q, key in keys.items() if q not in scores or entries[key].chunk == chunk]
        # Windows of similar length share a batch, which needs less padding.
        planned.sort(key=lambda question: -len(question.texts[1]))
        for start in range(0, len(planned), self._batch):
            batch = [item for item in planned[start : start + self._batch] if item not in scores]
            if batch:
                scores |= dict(zip(batch, self._score(batch, chunk), strict=True))
                progress(len(batch))
        return [scores[question] for question in windows]

    def _score(self, batch: Sequence[WindowQuestion], chunk: bytes) -> list[float]:
        scores = list(map(float, self._teacher([question.texts for question in batch])))
        answers = {}
        for question, score in zip(batch, scores, strict=True):
            if not math.isfinite(score):
                raise ModelError(
                    f"the teacher scores window {question.window} of document "
                    f"{question.document!r} for query {question.query!r} with {score}; expected a "
                    "finite number: the model is broken, or its values overflow (try float32)"
                )
            answers[self._key(question)] = Answer((score,))
        self.teacher_calls += len(batch)
        self._journal.put(answers, chunk=chunk, tokens=0, padding=0)
        return scores

    def _key(self, question: WindowQuestion) -> bytes:
        content = json.dumps([self.fingerprint, *question], ensure_ascii=False)
        return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
