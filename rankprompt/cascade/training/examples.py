"""What the stages learn from: pairs of documents, and windows with their teacher's scores."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from rankprompt.cascade.window_scores import WindowQuestion, WindowScores
from rankprompt.cascade.windows import WindowConfig, cut_windows
from rankprompt.errors import InputError
from rankprompt.eval.scoring import ndcg_at_10
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Qrels, Run

__all__ = [
    "CutDocument", "Pair", "TrainingData", "WindowList", "WindowTexts", "distillation_lists",
    "pairs_of", "split_queries",
]  # fmt: skip

log = logging.getLogger("rankprompt")

CutDocument: TypeAlias = Callable[[str], Sequence[str]]
"""Returns the windows of a document's text, in order."""


class Pair(NamedTuple):
    """A query with a relevant document and another document: ids, then texts.

    A checkpoint's identity includes the ``repr`` of all examples, so it must not change.
    """

    query: str
    better: str
    worse: str
    texts: tuple[str, str, str]


class WindowList(NamedTuple):
    """A query and a document's windows with the teacher's scores; higher is more relevant."""

    query: str
    document: str
    text: str
    windows: tuple[str, ...]
    teacher: tuple[float, ...]

    def __repr__(self) -> str:
        # A checkpoint's identity includes this text, which says List since the first version.
        fields = zip(self._fields, self, strict=True)
        return f"List({', '.join(f'{name}={value!r}' for name, value in fields)})"


class TrainingData(NamedTuple):
    """Queries with candidates and qrels; ``measure`` makes the validation measure from qrels."""

    candidates: Sequence[Candidates]
    qrels: Qrels
    measure: Callable[[Qrels], Callable[[Run], float]] = ndcg_at_10

    def split(self, share: float, seed: int) -> tuple[list[Candidates], list[Candidates]]:
        """Returns the candidates to learn from, and those to validate on; see ``split_queries``."""
        _, names = split_queries([each.query.id for each in self.candidates], share, seed)
        held_out = {*names}
        return (
            [each for each in self.candidates if each.query.id not in held_out],
            [each for each in self.candidates if each.query.id in held_out],
        )

    def measure_of(self, candidates: Sequence[Candidates]) -> Callable[[Run], float]:
        """Returns the validation measure over these queries."""
        return self.measure({query.id: self.qrels.get(query.id, {}) for query, _, _ in candidates})


@dataclass
class WindowTexts:
    """Cuts a document into its windows, without blank ones; ``longer`` holds truncated texts."""

    offsets: Offsets
    config: WindowConfig
    longer: set[str] = field(default_factory=set)

    def __call__(self, text: str) -> list[str]:
        """Returns the windows of a document's text."""
        windows, truncated = cut_windows(text, self.offsets, self.config)
        if truncated:
            self.longer.add(text)
        texts = (text[window.start : window.end] for window in windows)
        return [window for window in texts if window.strip()]


def split_queries(queries: Iterable[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Splits queries into those to learn from and those to validate on.

    The side of a query depends on its id and the seed alone, except that neither side stays empty.
    ``share`` is of the queries to validate on.

    Raises:
        InputError: There are fewer than two queries, or the share is not between 0 and 1.
    """
    ids = list(dict.fromkeys(queries))
    if len(ids) < 2:
        raise InputError(
            f"training needs two queries at least, one to validate on; found {len(ids)}"
        )
    if not 0 < share < 1:
        raise InputError(f"`validation`, a share of the queries, must be in (0, 1), not {share:g}")
    ordered = sorted(ids, key=lambda query: uniform(seed, "validation", query))
    held_out = set(ordered[: min(len(ids) - 1, max(1, round(share * len(ids))))])
    return [query for query in ids if query not in held_out], [q for q in ids if q in held_out]


def pairs_of(candidates: Iterable[Candidates], qrels: Qrels) -> list[Pair]:
    """Pairs each relevant candidate with each other one, for the first two stages.

    A query without a relevant candidate, or without another one (such as a query with a single
    document), teaches nothing; it is left out and named in the log.

    Raises:
        InputError: No query is left.
    """
    pairs: list[Pair] = []
    no_positive, no_negative = [], []
    for query, documents, _ in candidates:
        grades = qrels.get(query.id, {})
        relevant = [document for document in documents if grades.get(document.id, 0) > 0]
        others = [document for document in documents if grades.get(document.id, 0) <= 0]
        if not relevant:
            no_positive.append(query.id)
        elif not others:
            no_negative.append(query.id)
        pairs += [
            Pair(query.id, better.id, worse.id, (query.text, better.text, worse.text))
            for better in relevant
            for worse in others
        ]
    _warn_left_out(no_positive, "have no relevant candidate")
    _warn_left_out(no_negative, "have no candidate that is not relevant")
    if not pairs:
        raise InputError(
            "nothing to learn from: no query has both a relevant candidate and another one "
            f"({len(no_positive)} without a relevant one, {len(no_negative)} without another)"
        )
    return pairs


def distillation_lists(
    candidates: Sequence[Candidates],
    cut: CutDocument,
    scores: WindowScores,
    progress: Callable[[int], None] = lambda _: None,
) -> list[WindowList]:
    """Returns a list for each query and candidate that has a window, for the third stage.

    Qrels are not needed: queries without a relevant candidate, or with one document, count too.

    Args:
        candidates: The candidates of the queries.
        cut: Cuts a document into windows.
        scores: The frozen teacher, which scores only windows without a stored score.
        progress: Called with the number of windows scored since its last call.

    Raises:
        InputError: No document has a window.
        ModelError: A teacher's score is not a finite number.
    """
    windows: Mapping[str, tuple[str, ...]] = {
        document.id: tuple(cut(document.text))
        for document in dict.fromkeys(d for each in candidates for d in each.documents)
    }
    lists, empty = [], 0
    for (query, text), documents, _ in candidates:
        questions = [
            WindowQuestion(query, document.id, index, (text, window))
            for document in documents
            for index, window in enumerate(windows[document.id])
        ]
        values = iter(scores(questions, progress))
        for document in documents:
            texts = windows[document.id]
            if texts:
                teacher = tuple(next(values) for _ in texts)
                lists.append(WindowList(query, document.id, text, texts, teacher))
            empty += not texts
    if empty:
        log.warning("%d candidates have no window (their documents are empty): left out", empty)
    if not lists:
        raise InputError("nothing to learn from: no candidate's document has a window")
    return lists


def _warn_left_out(queries: Sequence[str], reason: str) -> None:
    if queries:
        log.warning(
            "%d queries %s, first: %s: left out", len(queries), reason, ", ".join(queries[:3])
        )
