"""The cascade: a student chooses windows, and a teacher or judge reads only those."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rankprompt.cascade.aggregation import Aggregate, join_slices, top_indices
from rankprompt.cascade.students import Student, cuts_query
from rankprompt.cascade.window_scores import WindowQuestion, WindowScores
from rankprompt.cascade.windows import Window, WindowConfig, cut_windows
from rankprompt.errors import InputError
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.types import Candidates, Document, Query

__all__ = [
    "Cascade", "CascadeCounts", "DocumentWindows", "all_questions", "cut_candidates", "percentile",
]  # fmt: skip


_NEARLY_ALL = 0.9


@dataclass
class CascadeCounts:
    """What a cascade has processed so far.

    Attributes:
        documents: Candidates; a document counts once for each of its queries.
        documents_cut: Candidates that were truncated.
        queries_cut: Ids of the queries that a student or teacher truncated.
        windows: Windows of all candidates.
        windows_cut: Windows that the teacher truncated, of those it scored anew.
        kept: Windows that were chosen.
        short: Candidates of a single window, or of no more tokens than the model reads at once.
        teacher_pairs: Windows that the teacher scored; scores from the journal do not count.
        seconds: The time of each query, from cutting to scores. Queries with scores from the
            journal are left out, because they would seem fast.
    """

    documents: int = 0
    documents_cut: int = 0
    queries_cut: set[str] = field(default_factory=set)
    windows: int = 0
    windows_cut: int = 0
    kept: int = 0
    short: int = 0
    teacher_pairs: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def of_no_use(self) -> bool:
        """Whether the model can read nearly all documents (nine in ten) whole."""
        return self.documents > 0 and self.short >= _NEARLY_ALL * self.documents

    def summary(self) -> dict[str, int | dict[str, float]]:
        """Returns the counts for a manifest, with percentiles of the milliseconds a query."""
        return {
            "documents": self.documents,
            "documents_cut": self.documents_cut,
            "documents_short": self.short,
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
    """Reduces documents to the windows that a student chooses (IDCM, arXiv 2105.09816).

    The teacher reads at most ``keep`` windows of a document, so its cost does not grow with the
    document's length.

    Args:
        student: Scores windows; None keeps all of them.
        offsets: Gives the tokens' offsets, ideally by the tokenizer of the model that reads the
            passages.
        keep: The most windows of a document to keep (the paper's k, 3 or 4).
        windows: How documents are cut into windows; None for the paper's windows.
        passage_tokens: The most tokens of a passage. The best windows that fit are shown; where
            not even the best one fits, it is truncated. None for no limit.
        reads: The tokens of a document that the model reads at once, as far as they are known.
        whole: Whether documents that it reads at once are left whole.
        on_query: Called with each query that is finished.

    Attributes:
        counts: What has been processed so far.

    Raises:
        InputError: ``keep`` or ``passage_tokens`` is below 1.

    Examples:
        >>> from rankprompt.cascade import load_student, word_offsets
        >>> from rankprompt.types import Candidates, Document, Query
        >>> text = "The mill is old. " * 40 + "A crane sleeps on one leg."
        >>> candidates = Candidates(Query("q", "how do cranes sleep"), (Document("d", text),), (1,))
        >>> cascade = Cascade(load_student("bm25"), word_offsets, keep=1)
        >>> "crane" in cascade([candidates])[0].documents[0].text
        True
    """

    def __init__(
        self,
        student: Student | None,
        offsets: Offsets,
        *,
        keep: int = 4,
        windows: WindowConfig | None = None,
        passage_tokens: int | None = None,
        reads: int = 0,
        whole: bool = False,
        on_query: Callable[[Query], object] = lambda _: None,
    ) -> None:
        for name, value in (("keep", keep), ("passage_tokens", passage_tokens)):
            if value is not None and value < 1:
                raise InputError(f"`{name}` must be at least 1, not {value}")
        self._student, self._offsets, self._keep = student, offsets, keep
        self._config = windows or WindowConfig()
        self._passage_tokens, self._on_query = passage_tokens, on_query
        self._reads, self._whole = reads, reads if whole else 0
        self.counts = CascadeCounts()

    def __call__(self, candidates: Sequence[Candidates]) -> list[Candidates]:
        """Replaces each document's text by its passage; ids, scores and order stay.

        A passage consists of the chosen windows in the document's order, separated by " ... "
        where they do not touch. A document whose windows are all chosen keeps its text.
        """
        return [self._shorten(each) for each in candidates]

    def teacher_scores(
        self, candidates: Sequence[Candidates], scores: WindowScores, aggregate: Aggregate
    ) -> dict[str, dict[str, float]]:
        """Ranks documents by a teacher's scores of the chosen windows.

        Returns:
            Scores by query and document id, best first; ties keep the candidates' order.

        Raises:
            ModelError: A score is not a finite number, or the teacher's budget is spent.
        """
        return {each.query.id: self._rank(each, scores, aggregate) for each in candidates}

    def _shorten(self, candidates: Candidates) -> Candidates:
        started = time.perf_counter()
        chosen = self._choose(candidates)
        documents = tuple(Document(each.document.id, self._passage(each)) for each in chosen)
        self.counts.seconds.append(time.perf_counter() - started)
        self._on_query(candidates.query)
        return candidates._replace(documents=documents)

    def _rank(
        self, candidates: Candidates, scores: WindowScores, aggregate: Aggregate
    ) -> dict[str, float]:
        started = time.perf_counter()
        documents = self._choose(candidates)
        asked, cache_hits = scores.teacher_calls, scores.cache_hits
        values = iter(scores(all_questions(documents, candidates.query)))
        self.counts.teacher_pairs += scores.teacher_calls - asked
        ranking = {
            each.document.id: aggregate([next(values) for _ in each.chosen]) for each in documents
        }
        if scores.cache_hits == cache_hits:
            self.counts.seconds.append(time.perf_counter() - started)
        self._on_query(candidates.query)
        return dict(sorted(ranking.items(), key=lambda item: -item[1]))

    def _choose(self, candidates: Candidates) -> "list[DocumentWindows]":
        documents, truncated = cut_candidates(
            candidates, self._offsets, self._config, whole=self._whole
        )
        counts, query = self.counts, candidates.query
        counts.documents_cut += truncated
        counts.documents += len(documents)
        counts.windows += sum(len(each.windows) for each in documents)
        counts.short += sum(
            len(each.windows) == 1 or each.windows[-1].last <= self._reads for each in documents
        )
        if self._student is not None and documents:
            if cuts_query(self._student, query.text):
                counts.queries_cut.add(query.id)
            scores = iter(self._student(all_questions(documents, query)))
            documents = [
                each._replace(chosen=top_indices([next(scores) for _ in each.windows], self._keep))
                for each in documents
            ]
        counts.kept += sum(len(each.chosen) for each in documents)
        return documents

    def _passage(self, document: "DocumentWindows") -> str:
        text = document.document.text
        slices = [document.windows[index][:2] for index in document.chosen]
        limit = self._passage_tokens
        if limit is None:
            return join_slices(text, slices)
        for count in range(len(slices), 0, -1):
            passage = join_slices(text, slices[:count])
            tokens = self._offsets(passage)
            if len(tokens) <= limit:
                return passage
        return passage[: tokens[limit - 1][1]]


class DocumentWindows(NamedTuple):
    """A document, all its windows, and the indices of the chosen windows, best first."""

    document: Document
    windows: list[Window]
    chosen: Sequence[int]

    def questions(self, query: Query) -> list[WindowQuestion]:
        """Returns the questions that score the chosen windows for a query."""
        name, text = self.document
        texts = {index: text[slice(*self.windows[index][:2])] for index in self.chosen}
        return [
            WindowQuestion(query.id, name, index, (query.text, window))
            for index, window in texts.items()
        ]


def all_questions(documents: Iterable[DocumentWindows], query: Query) -> list[WindowQuestion]:
    """Returns the questions about the chosen windows of several documents, in order."""
    return [question for document in documents for question in document.questions(query)]


def cut_candidates(
    candidates: Candidates, offsets: Offsets, config: WindowConfig, *, whole: int = 0
) -> tuple[list[DocumentWindows], int]:
    """Returns the windows of a query's documents, all chosen, and how many were truncated.

    A document of at most ``whole`` tokens is a single window.
    """
    documents, truncated = [], 0
    for document in candidates.documents:
        windows, longer = cut_windows(document.text, offsets, config)
        if not longer and windows[-1].last <= whole:
            windows = [Window(0, len(document.text), 0, windows[-1].last)]
        documents.append(DocumentWindows(document, windows, range(len(windows))))
        truncated += longer
    return documents, truncated


def percentile(values: Sequence[float], rank: int) -> float:
    """Returns the least value that ``rank`` per cent of the values do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank * len(ordered) / 100) - 1)] if ordered else 0.0
