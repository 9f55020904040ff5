"""What a cascade keeps of its teacher's quality, and what it saves.

Quality needs the teacher's score of every window once; these are kept in a journal. Latency is
always measured anew: the variants take turns, query by query, and remember nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

from rankprompt.cascade.aggregation import Aggregate, best_places
from rankprompt.cascade.cascade import Cascade, cut_candidates, percentile
from rankprompt.cascade.students import Student
from rankprompt.cascade.teachers.base import ModelTeacher
from rankprompt.cascade.window_scores import Asked, WindowScores
from rankprompt.cascade.windows import WindowSettings
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.types import Candidates

__all__ = ["ALL", "Quality", "Timed", "Variant", "measure_quality", "rows", "time_variants"]

Measure: TypeAlias = Callable[[Mapping[str, Mapping[str, float]]], float]
"""The quality of a run, scores by query and document; higher is better."""

ALL = "all"
"""The student that keeps every window."""


class Variant(NamedTuple):
    """A student by name, and how many windows it keeps of a document; 0 for all of them."""

    student: str
    keep: int = 0


@dataclass
class Quality:
    """What the variants are worth.

    Attributes:
        windows: of each candidate, query by query.
        documents_cut: candidates that were longer than the limit.
        values: the measure of each variant; of a student in several seeds, the mean.
        overlaps: the share of the teacher's own best k windows among those of the student, over
            documents of more than k windows; None where there is none, and of all windows.
    """

    windows: list[int] = field(default_factory=list)
    documents_cut: int = 0
    values: dict[Variant, float] = field(default_factory=dict)
    overlaps: dict[Variant, float | None] = field(default_factory=dict)


@dataclass
class Timed:
    """What a variant takes.

    Attributes:
        milliseconds: of each query, from texts to scores: cutting, student and teacher.
        calls: windows that the teacher read, over all queries.
        tokens: that it read.
        run: scores by query and document.
    """

    milliseconds: list[float] = field(default_factory=list)
    calls: int = 0
    tokens: int = 0
    run: dict[str, dict[str, float]] = field(default_factory=dict)


def measure_quality(
    candidates: Sequence[Candidates],
    students: Mapping[str, Sequence[Student]],
    keeps: Sequence[int],
    scores: WindowScores,
    aggregates: Mapping[str, Aggregate],
    measure: Measure,
    *,
    offsets: Offsets,
    settings: WindowSettings,
    on_query: Callable[[], object] = lambda: None,
) -> dict[str, Quality]:
    """Ranks by the teacher's scores of the windows that each student chooses, and by all.

    Args:
        candidates: of each query.
        students: by name; several under one name are seeds of the same.
        keeps: numbers of windows to keep of a document.
        scores: the teacher, asked for every window.
        aggregates: by name, to measure each of them.
        measure: of a run.
        offsets: where a text's tokens stand.
        settings: how documents are cut.
        on_query: called with each query done.

    Returns:
        Qualities by the aggregates' names.
    """
    runs: dict[tuple[str, Variant, int], dict[str, dict[str, float]]] = defaultdict(dict)
    shares: dict[Variant, list[float]] = defaultdict(list)
    sizes: list[int] = []
    longer = 0
    for each in candidates:
        seen = _see(each, scores, offsets, settings)
        sizes += map(len, seen.teacher)
        longer += seen.cut
        for variant, seed, places in _choices(seen, students, keeps):
            kept = [[one[i] for i in at] for one, at in zip(seen.teacher, places, strict=True)]
            for name, aggregate in aggregates.items():
                found = dict(zip(seen.documents, map(aggregate, kept), strict=True))
                runs[name, variant, seed][each.query.id] = found
            shares[variant] += _overlaps(seen.teacher, places, variant.keep)
        on_query()
    return {name: _quality(name, runs, shares, measure, sizes, longer) for name in aggregates}


class _Seen(NamedTuple):
    """A query's windows, with the teacher's scores of each document's.

    ``cut`` is how many documents were longer than the limit.
    """

    documents: list[str]
    cut: int
    asked: list[Asked]
    teacher: list[Sequence[float]]


def _see(
    candidates: Candidates, scores: WindowScores, offsets: Offsets, settings: WindowSettings
) -> _Seen:
    chosen, cut = cut_candidates(candidates, offsets, settings)
    asked = [one for document in chosen for one in document.asked(candidates.query)]
    teacher = _parts(scores(asked), [len(one.windows) for one in chosen])
    return _Seen([one.document.id for one in chosen], cut, asked, teacher)


def _choices(
    seen: _Seen, students: Mapping[str, Sequence[Student]], keeps: Sequence[int]
) -> Iterator[tuple[Variant, int, list[Sequence[int]]]]:
    """Variant, seed, and the places of the chosen windows in each document."""
    sizes = [len(one) for one in seen.teacher]
    yield Variant(ALL), 0, [range(size) for size in sizes]
    for name, seeds in students.items():
        for seed, student in enumerate(seeds):
            parts = _parts(student(seen.asked), sizes)
            for keep in keeps:
                yield Variant(name, keep), seed, [best_places(part, keep) for part in parts]


def _overlaps(
    teacher: Sequence[Sequence[float]], places: Sequence[Sequence[int]], keep: int
) -> list[float]:
    return [
        len({*at} & {*best_places(scores, keep)}) / keep
        for scores, at in zip(teacher, places, strict=True)
        if keep and len(scores) > keep
    ]


def _quality(
    name: str,
    runs: Mapping[tuple[str, Variant, int], Mapping[str, Mapping[str, float]]],
    shares: Mapping[Variant, Sequence[float]],
    measure: Measure,
    sizes: list[int],
    longer: int,
) -> Quality:
    values: dict[Variant, list[float]] = defaultdict(list)
    for (aggregate, variant, _), run in runs.items():
        if aggregate == name:
            values[variant].append(measure(run))
    return Quality(
        sizes,
        longer,
        {variant: fmean(several) for variant, several in values.items()},
        {variant: fmean(shares[variant]) if shares[variant] else None for variant in values},
    )


def time_variants(
    candidates: Sequence[Candidates],
    variants: Mapping[Variant, Student | None],
    teacher: ModelTeacher,
    aggregate: Aggregate,
    *,
    offsets: Offsets,
    settings: WindowSettings,
    on_query: Callable[[], object] = lambda: None,
) -> dict[Variant, Timed]:
    """Measures variants side by side: query by query, one after the other, in turn.

    Args:
        candidates: of each query.
        variants: and their students; None keeps all windows.
        teacher: asked anew by each variant.
        aggregate: makes a document's score.
        offsets: where a text's tokens stand.
        settings: how documents are cut.
        on_query: called with each query that a variant has done.
    """
    cascades = {
        variant: Cascade(student, offsets, keep=variant.keep or 1, settings=settings)
        for variant, student in variants.items()
    }
    found = {variant: Timed() for variant in variants}
    order = list(variants)
    for place, one in enumerate(candidates):
        turn = place % len(order)
        for variant in order[turn:] + order[:turn]:
            timed, before = found[variant], teacher.tokens
            with closing(Journal(None)) as journal:
                scores = WindowScores(journal, teacher, teacher.fingerprint)
                timed.run |= cascades[variant].teacher_scores([one], scores, aggregate)
            timed.tokens += teacher.tokens - before
            on_query()
    for variant, cascade in cascades.items():
        found[variant].calls = cascade.counts.teacher_pairs
        found[variant].milliseconds = [1000 * one for one in cascade.counts.seconds]
    return found


def rows(quality: Quality, timed: Mapping[Variant, Timed]) -> list[dict[str, Any]]:
    """One row a variant, all windows first; what was not measured is None.

    ``share`` is of what all windows give, ``p95_share`` of what they take; milliseconds, calls and
    tokens are a query's.
    """
    whole = quality.values[Variant(ALL)]
    slowest = percentile(timed[Variant(ALL)].milliseconds, 95) if Variant(ALL) in timed else 0.0
    found = []
    for variant, value in quality.values.items():
        row: dict[str, Any] = {
            "student": variant.student,
            "k": variant.keep or None,
            "ndcg@10": value,
            "share": value / whole if whole else None,
            "overlap": quality.overlaps[variant],
        }
        one = timed.get(variant, Timed())
        count = len(one.milliseconds)
        row |= {
            f"p{rank}": percentile(one.milliseconds, rank) if count else None
            for rank in (50, 95, 99)
        }
        row["p95_share"] = row["p95"] / slowest if count and slowest else None
        row["teacher_calls"] = one.calls / count if count else None
        row["teacher_tokens"] = one.tokens / count if count else None
        found.append(row)
    return found


def _parts(values: Sequence[float], sizes: Sequence[int]) -> list[Sequence[float]]:
    ends = list(accumulate(sizes))
    return [values[end - size : end] for end, size in zip(ends, sizes, strict=True)]
