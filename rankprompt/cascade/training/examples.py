"""What the stages learn from: pairs of documents, and documents with the teacher's scores."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from rankprompt.cascade.window_scores import Asked, WindowScores
from rankprompt.cascade.windows import WindowSettings, cut_windows
from rankprompt.errors import InputError
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Qrels

__all__ = [
    "Cut", "List", "Pair", "WindowTexts", "distillation_lists", "pairs_of", "split_queries",
]  # fmt: skip

log = logging.getLogger("rankprompt")

Cut: TypeAlias = Callable[[str], Sequence[str]]
"""Gives a document's windows, in order."""


class Pair(NamedTuple):
    """A query with a relevant document and another: ids, then texts."""

    query: str
    better: str
    worse: str
    texts: tuple[str, str, str]


class List(NamedTuple):
    """A query and a document's windows, with the teacher's scores of them (higher is better)."""

    query: str
    document: str
    text: str
    windows: tuple[str, ...]
    teacher: tuple[float, ...]


@dataclass
class WindowTexts:
    """The texts of a document's windows, but for blank ones.

    Attributes:
        offsets: where a text's tokens stand.
        settings: how documents are cut.
        longer: the texts that were longer than the limit, so far.
    """

    offsets: Offsets
    settings: WindowSettings
    longer: set[str] = field(default_factory=set)

    def __call__(self, text: str) -> list[str]:
        """Cuts a document."""
        windows, longer = cut_windows(text, self.offsets, self.settings)
        if longer:
            self.longer.add(text)
        return [part for one in windows if (part := text[one.start : one.end]).strip()]


def split_queries(queries: Iterable[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Splits queries into those to learn from and those to validate on.

    A query's side depends on its id and the seed alone, but that neither side is left empty.

    Args:
        queries: ids.
        share: of the queries to validate on.
        seed: of the split.

    Raises:
        InputError: there are fewer than two queries, or the share is not between 0 and 1.
    """
    ids = list(dict.fromkeys(queries))
    if len(ids) < 2:
        raise InputError(
            f"training needs two queries at least, one to validate on; found {len(ids)}"
        )
    if not 0 < share < 1:
        raise InputError(f"the share of queries to validate on must be in (0, 1), not {share:g}")
    ordered = sorted(ids, key=lambda query: uniform(seed, "validation", query))
    held = set(ordered[: min(len(ids) - 1, max(1, round(share * len(ids))))])
    return [one for one in ids if one not in held], [one for one in ids if one in held]


def pairs_of(candidates: Iterable[Candidates], qrels: Qrels) -> list[Pair]:
    """Pairs for the first two stages: each relevant candidate with each that is not.

    A query without a relevant candidate, or without another one (such as a query with one document
    only), teaches nothing: it is left out, and named in the log.

    Raises:
        InputError: no query is left.
    """
    pairs: list[Pair] = []
    no_positive, no_negative = [], []
    for one in candidates:
        grades = qrels.get(one.query.id, {})
        good = [document for document in one.documents if grades.get(document.id, 0) > 0]
        bad = [document for document in one.documents if grades.get(document.id, 0) <= 0]
        if not good:
            no_positive.append(one.query.id)
        elif not bad:
            no_negative.append(one.query.id)
        for better in good:
            pairs += [
                Pair(one.query.id, better.id, worse.id, (one.query.text, better.text, worse.text))
                for worse in bad
            ]
    _name(no_positive, "have no relevant candidate")
    _name(no_negative, "have no candidate that is not relevant")
    if not pairs:
        raise InputError(
            "nothing to learn from: no query has both a relevant candidate and another one "
            f"({len(no_positive)} without a relevant one, {len(no_negative)} without another)"
        )
    return pairs


def distillation_lists(
    candidates: Sequence[Candidates],
    cut: Cut,
    scores: WindowScores,
    progress: Callable[[int], None] = lambda _: None,
) -> list[List]:
    """Lists for the third stage: one a query and candidate, but for documents without a window.

    No judgement is read: a query without a relevant candidate, or with one document, counts.

    Args:
        candidates: of the queries.
        cut: gives a document's windows.
        scores: the frozen teacher, asked only for what it has not scored yet.
        progress: called with the number of windows done since the last call.

    Raises:
        InputError: no document has a window.
        ModelError: the teacher's score is not a finite number.
    """
    windows: Mapping[str, tuple[str, ...]] = {
        document.id: tuple(cut(document.text))
        for document in {one: None for each in candidates for one in each.documents}
    }
    found, empty = [], 0
    for each in candidates:
        query, text = each.query
        asked = [
            Asked(query, document.id, place, (text, window))
            for document in each.documents
            for place, window in enumerate(windows[document.id])
        ]
        values = iter(scores(asked, progress))
        for document in each.documents:
            parts = windows[document.id]
            teacher = tuple(next(values) for _ in parts)
            if parts:
                found.append(List(query, document.id, text, parts, teacher))
            empty += not parts
    if empty:
        log.warning("%d candidates have no window (their documents are empty): left out", empty)
    if not found:
        raise InputError("nothing to learn from: no candidate's document has a window")
    return found


def _name(queries: Sequence[str], what: str) -> None:
    if queries:
        log.warning(
            "%d queries %s, first: %s: left out", len(queries), what, ", ".join(queries[:3])
        )
