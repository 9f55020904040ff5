"""A teacher's scores of windows, kept in a journal: a run that is repeated asks nothing twice."""

import json
import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from rankprompt.errors import ModelError
from rankprompt.journal.store import Journal, chunk_name
from rankprompt.llm.base import Answer

__all__ = ["Asked", "Teacher", "WindowScores"]

Teacher: TypeAlias = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Scores pairs of a query's and a window's text; higher is more relevant."""

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
        journal: keeps the scores; one of ``Journal(None)`` keeps them in memory.
        teacher: scores what is not there.
        fingerprint: the teacher's; another's scores are not used.

    Attributes:
        asked: the pairs that the teacher has scored.
        kept: those that the journal held.
    """

    def __init__(self, journal: Journal, teacher: Teacher, fingerprint: str) -> None:
        self.asked = self.kept = 0
        self._journal, self._teacher, self._fingerprint = journal, teacher, fingerprint

    def __call__(
        self, windows: Sequence[Asked], progress: Callable[[int], None] = lambda _: None
    ) -> list[float]:
        """The scores, in order; new ones are kept, batch by batch.

        The batches are those that would be asked if this call had never begun before, so a run
        that was stopped goes on to the same scores although a model's may vary with the batch.

        Args:
            windows: to score.
            progress: called with the number of windows done since the last call.

        Raises:
            ModelError: a score is not a finite number; it is named and not kept.
            JournalError: the journal cannot be read or written.
        """
        keys = {one: self._key(one) for one in windows}
        chunk = chunk_name(keys.values())
        kept = self._journal.get(list(keys.values()))
        known = {
            one: kept[key].answer.loglikelihoods[0] for one, key in keys.items() if key in kept
        }
        self.kept += len(known)
        progress(sum(one in known for one in windows))
        planned = [one for one, key in keys.items() if one not in known or kept[key].chunk == chunk]
        # Alike lengths together: less padding.
        planned.sort(key=lambda one: -len(one.texts[1]))
        for start in range(0, len(planned), _BATCH):
            batch = [one for one in planned[start : start + _BATCH] if one not in known]
            if batch:
                known |= dict(zip(batch, self._ask(batch, chunk), strict=True))
                progress(len(batch))
        return [known[one] for one in windows]

    def _ask(self, batch: Sequence[Asked], chunk: bytes) -> list[float]:
        scores = [float(score) for score in self._teacher([one.texts for one in batch])]
        for one, score in zip(batch, scores, strict=True):
            if not math.isfinite(score):
                raise ModelError(
                    f"the teacher scores window {one.window} of document {one.document!r} for "
                    f"query {one.query!r} with {score}; expected a finite number: it is broken, "
                    "or too large for its number format (try float32)"
                )
        self.asked += len(batch)
        answers = {
            self._key(one): Answer((score,)) for one, score in zip(batch, scores, strict=True)
        }
        self._journal.put(answers, chunk=chunk, tokens=0, padding=0)
        return scores

    def _key(self, one: Asked) -> bytes:
        content = json.dumps([self._fingerprint, *one], ensure_ascii=False)
        return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
