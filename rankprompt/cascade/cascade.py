"""The cascade itself: a student chooses windows; a teacher or a judge reads those alone."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rankprompt.cascade.aggregation import Aggregate, best_places, join_slices
from rankprompt.cascade.students import Student, cuts_query
from rankprompt.cascade.window_scores import Asked, WindowScores
from rankprompt.cascade.windows import Window, WindowSettings, cut_windows
from rankprompt.errors import InputError
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.types import Candidates, Document, Query

__all__ = ["Cascade", "Chosen", "Counts", "cut_candidates", "percentile"]


@dataclass
class Counts:
    """What a cascade has done so far.

    Attributes:
        documents: candidates, each counted for each of its queries.
        documents_cut: of them, those longer than the limit.
        queries_cut: ids of the queries that a student or teacher did not read to their ends.
        windows: that the student has seen.
        windows_cut: of those that the teacher scored anew, those longer than what it reads.
        kept: that a teacher or judge reads.
        teacher_pairs: windows that the teacher was asked to score; what it had scored before is
            not asked again.
        seconds: of each query, from texts to passages or scores: cutting, student and teacher. A
            query of which the journal held windows is left out: it would seem to be quick.
    """

    documents: int = 0
    documents_cut: int = 0
    queries_cut: set[str] = field(default_factory=set)
    windows: int = 0
    windows_cut: int = 0
    kept: int = 0
    teacher_pairs: int = 0
    seconds: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The counts for a manifest, with percentiles of the milliseconds a query."""
        return {
            "documents": self.documents,
            "documents_cut": self.documents_cut,
            "queries_cut": len(self.queries_cut),
            "windows_seen": self.windows,
            "windows_kept": self.kept,
            "windows_cut": self.windows_cut,
            "teacher_pairs": self.teacher_pairs,
            "queries_timed": len(self.seconds),
            "milliseconds_a_query": {
                f"p{rank}": round(1000 * percentile(self.seconds, rank), 1) for rank in (50, 95, 99)
            },
        }


class Cascade:
    """Reduces documents to the passages that a student chooses (IDCM, arXiv 2105.09816).

    Args:
        student: scores windows; None keeps all of them.
        offsets: where a text's tokens stand, best by the tokenizer of what reads the passages.
        keep: windows a document, at the most; a document that has fewer keeps all.
        settings: how documents are cut into windows.
        passage_tokens: of a document's passage, at the most: the best windows that fit, at least
            one, which is cut if need be. None for no limit.
        on_query: called with each query that is done.

    Attributes:
        counts: what has been done so far.

    Raises:
        InputError: ``keep`` or ``passage_tokens`` is below 1.
    """

    def __init__(
        self,
        student: Student | None,
        offsets: Offsets,
        *,
        keep: int = 4,
        settings: WindowSettings | None = None,
        passage_tokens: int | None = None,
        on_query: Callable[[Query], None] = lambda _: None,
    ) -> None:
        if keep < 1:
            raise InputError(f"keep must be 1 or more windows, not {keep}")
        if passage_tokens is not None and passage_tokens < 1:
            raise InputError(f"passage_tokens must be a whole number from 1, not {passage_tokens}")
        self._student, self._offsets, self._keep = student, offsets, keep
        self._settings = settings or WindowSettings()
        self._passage_tokens, self._on_query = passage_tokens, on_query
        self.counts = Counts()

    def __call__(self, candidates: Sequence[Candidates]) -> list[Candidates]:
        """Puts each document's passage in the place of its text; all else stays, in order.

        A passage is the chosen windows in the document's order, " ... " between those that do not
        touch. A document of which all is chosen keeps its text.
        """
        return [self._shorten(one) for one in candidates]

    def teacher_scores(
        self, candidates: Sequence[Candidates], scores: WindowScores, aggregate: Aggregate
    ) -> dict[str, dict[str, float]]:
        """Ranks documents by a teacher's scores of the chosen windows.

        Args:
            candidates: of each query.
            scores: the teacher, with its memory.
            aggregate: makes a document's score.

        Returns:
            Scores by query and document id, best first; equal ones in the candidates' order.

        Raises:
            ModelError: a score is not a finite number, or the teacher's budget is spent.
        """
        return {one.query.id: self._rank(one, scores, aggregate) for one in candidates}

    def _shorten(self, candidates: Candidates) -> Candidates:
        started = time.perf_counter()
        documents = tuple(
            Document(one.document.id, self._passage(one)) for one in self._choose(candidates)
        )
        self.counts.seconds.append(time.perf_counter() - started)
        self._on_query(candidates.query)
        return candidates._replace(documents=documents)

    def _rank(
        self, candidates: Candidates, scores: WindowScores, aggregate: Aggregate
    ) -> dict[str, float]:
        started = time.perf_counter()
        chosen = self._choose(candidates)
        before, kept = scores.asked, scores.kept
        values = iter(scores([one for each in chosen for one in each.asked(candidates.query)]))
        self.counts.teacher_pairs += scores.asked - before
        found = {
            each.document.id: aggregate([next(values) for _ in each.places]) for each in chosen
        }
        if scores.kept == kept:
            self.counts.seconds.append(time.perf_counter() - started)
        self._on_query(candidates.query)
        return dict(sorted(found.items(), key=lambda one: -one[1]))

    def _choose(self, candidates: Candidates) -> "list[Chosen]":
        """Each document with its windows' places, best first."""
        found, cut = cut_candidates(candidates, self._offsets, self._settings)
        self.counts.documents_cut += cut
        seen = sum(len(one.windows) for one in found)
        if self._student is not None and seen:
            if cuts_query(self._student, candidates.query.text):
                self.counts.queries_cut.add(candidates.query.id)
            asked = [one for each in found for one in each.asked(candidates.query)]
            scores, start = self._student(asked), 0
            for place, one in enumerate(found):
                part = scores[start : start + len(one.windows)]
                start += len(one.windows)
                found[place] = one._replace(places=best_places(part, self._keep))
        self.counts.documents += len(found)
        self.counts.windows += seen
        self.counts.kept += sum(len(one.places) for one in found)
        return found

    def _passage(self, chosen: "Chosen") -> str:
        text = chosen.document.text
        slices = [chosen.windows[place][:2] for place in chosen.places]
        limit = self._passage_tokens
        if limit is None:
            return join_slices(text, slices)
        for count in range(len(slices), 0, -1):
            passage = join_slices(text, slices[:count])
            found = self._offsets(passage)
            if len(found) <= limit:
                return passage
        return passage[: found[limit - 1][1]]


class Chosen(NamedTuple):
    """A document, its windows, and the places of the chosen ones, best first."""

    document: Document
    windows: list[Window]
    places: Sequence[int]

    def asked(self, query: Query) -> list[Asked]:
        """The chosen windows, to be scored for a query."""
        return [
            Asked(
                query.id,
                self.document.id,
                place,
                (query.text, self.document.text[slice(*self.windows[place][:2])]),
            )
            for place in self.places
        ]


def cut_candidates(
    candidates: Candidates, offsets: Offsets, settings: WindowSettings
) -> tuple[list[Chosen], int]:
    """Cuts the documents of a query.

    Returns:
        All windows of each document, and how many documents were longer than the limit.
    """
    found, longer = [], 0
    for document in candidates.documents:
        windows, cut = cut_windows(document.text, offsets, settings)
        found.append(Chosen(document, windows, range(len(windows))))
        longer += cut
    return found, longer


def percentile(values: Sequence[float], rank: int) -> float:
    """The least value that ``rank`` per cent of the values do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank * len(ordered) / 100) - 1)] if ordered else 0.0
