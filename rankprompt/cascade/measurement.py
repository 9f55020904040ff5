"""What a cascade keeps of its teacher's quality, and what it saves.

Quality needs the teacher's score of every window once; these scores are stored in a journal.
Latency is always measured anew: the variants take turns, query by query, without any cache.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean
from typing import NamedTuple, TypedDict

from rankprompt.cascade.aggregation import Aggregate, top_indices, top_overlap
from rankprompt.cascade.cascade import Cascade, all_questions, cut_candidates, percentile
from rankprompt.cascade.students import Student
from rankprompt.cascade.teachers.base import ModelTeacher
from rankprompt.cascade.window_scores import WindowQuestion, WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.types import Candidates, Run

__all__ = ["ALL", "CascadeMeasurement", "Quality", "ReportRow", "Timing", "Variant", "report_rows"]

ALL = "all"
"""The student that keeps every window."""


class Variant(NamedTuple):
    """A student by name, and how many windows of a document it keeps; 0 for all of them."""

    student: str
    keep: int = 0


@dataclass(frozen=True)
class Quality:
    """The quality of each variant.

    Attributes:
        windows: The number of windows of each candidate, query by query.
        documents_cut: Candidates that were truncated.
        values: The measure of each variant, higher is better; the mean over a student's seeds.
        overlaps: The mean of ``top_overlap`` over documents; None where no document has one.
    """

    windows: list[int]
    documents_cut: int
    values: dict[Variant, float]
    overlaps: dict[Variant, float | None]


@dataclass
class Timing:
    """A variant's milliseconds for each query, its scores, and its cost over all queries.

    ``calls`` are windows that the teacher scored, ``tokens`` what it read.
    """

    milliseconds: list[float] = field(default_factory=list)
    calls: int = 0
    tokens: int = 0
    run: dict[str, dict[str, float]] = field(default_factory=dict)


ReportRow = TypedDict(
    "ReportRow",
    {
        "student": str, "k": int | None, "ndcg@10": float, "share": float | None,
        "overlap": float | None, "p50": float | None, "p95": float | None, "p99": float | None,
        "p95_share": float | None, "teacher_calls": float | None, "teacher_tokens": float | None,
    },
)  # fmt: skip
"""A variant's row in the report; None where a value was not measured.

``share`` is nDCG@10 relative to all windows, ``p95_share`` the 95th percentile relative to all
windows; milliseconds, calls and tokens are per query.
"""


@dataclass(frozen=True)
class CascadeMeasurement:
    """Measures variants of a cascade over the same windows.

    ``on_query`` is called after each query, and in ``latency`` after each query of each variant.
    """

    offsets: Offsets
    windows: WindowConfig
    on_query: Callable[[], object] = lambda: None

    def quality(
        self,
        candidates: Sequence[Candidates],
        students: Mapping[str, Sequence[Student]],
        keeps: Sequence[int],
        scores: WindowScores,
        aggregates: Mapping[str, Aggregate],
        measure: Callable[[Run], float],
    ) -> dict[str, Quality]:
        """Ranks by the teacher's scores of the windows that each student chooses, and of all.

        Args:
            candidates: The candidates of each query.
            students: Students by name; several under the same name are seeds of it.
            keeps: The numbers of windows to keep of a document.
            scores: The teacher, which scores every window.
            aggregates: The aggregations to measure, by name; the qualities are by their names.
            measure: Scores a run; higher is better.
        """
        runs: dict[tuple[str, Variant, int], dict[str, dict[str, float]]] = defaultdict(dict)
        overlaps: dict[Variant, list[float]] = defaultdict(list)
        windows: list[int] = []
        documents_cut = 0
        for each in candidates:
            documents, truncated = cut_candidates(each, self.offsets, self.windows)
            questions = all_questions(documents, each.query)
            sizes = [len(document.windows) for document in documents]
            teacher = _by_document(scores(questions), sizes)
            for variant, seed, chosen in _choices(questions, sizes, students, keeps):
                pairs = list(zip(teacher, chosen, strict=True))
                kept = [[values[index] for index in indices] for values, indices in pairs]
                for name, aggregate in aggregates.items():
                    runs[name, variant, seed][each.query.id] = {
                        document.document.id: aggregate(values)
                        for document, values in zip(documents, kept, strict=True)
                    }
                if k := variant.keep:
                    document_shares = (top_overlap(indices, values, k) for values, indices in pairs)
                    overlaps[variant] += [share for share in document_shares if share is not None]
            windows += sizes
            documents_cut += truncated
            self.on_query()
        values: dict[str, dict[Variant, list[float]]] = {n: defaultdict(list) for n in aggregates}
        for (name, variant, _), run in runs.items():
            values[name][variant].append(measure(run))
        qualities = {}
        for name, by_variant in values.items():
            means = {variant: fmean(seeds) for variant, seeds in by_variant.items()}
            shares = {each: fmean(overlaps[each]) if overlaps[each] else None for each in means}
            qualities[name] = Quality(windows, documents_cut, means, shares)
        return qualities

    def latency(
        self,
        candidates: Sequence[Candidates],
        variants: Mapping[Variant, Student | None],
        teacher: ModelTeacher,
        aggregate: Aggregate,
    ) -> dict[Variant, Timing]:
        """Times the variants side by side: all of them in turn on one query after the other.

        The student None keeps all windows. Every variant asks the teacher anew.
        """
        cascades = {
            variant: Cascade(student, self.offsets, keep=variant.keep or 1, windows=self.windows)
            for variant, student in variants.items()
        }
        timings = {variant: Timing() for variant in variants}
        order = list(variants)
        for index, each in enumerate(candidates):
            turn = index % len(order)
            for variant in order[turn:] + order[:turn]:
                timing, tokens = timings[variant], teacher.tokens
                with closing(Journal(None)) as journal:
                    scores = WindowScores(journal, teacher, teacher.fingerprint)
                    timing.run |= cascades[variant].teacher_scores([each], scores, aggregate)
                timing.tokens += teacher.tokens - tokens
                self.on_query()
        for variant, cascade in cascades.items():
            timings[variant].calls = cascade.counts.teacher_pairs
            timings[variant].milliseconds = [1000 * value for value in cascade.counts.seconds]
        return timings


def report_rows(quality: Quality, timings: Mapping[Variant, Timing]) -> list[ReportRow]:
    """Returns a row for each variant, all windows first."""
    all_windows = quality.values[Variant(ALL)]
    slowest = percentile(timings.get(Variant(ALL), Timing()).milliseconds, 95)
    rows: list[ReportRow] = []
    for variant, value in quality.values.items():
        timing = timings.get(variant, Timing())
        count = len(timing.milliseconds)
        p50, p95, p99 = (
            percentile(timing.milliseconds, rank) if count else None for rank in (50, 95, 99)
        )
        rows.append({
            "student": variant.student, "k": variant.keep or None, "ndcg@10": value,
            "share": value / all_windows if all_windows else None,
            "overlap": quality.overlaps[variant], "p50": p50, "p95": p95, "p99": p99,
            "p95_share": p95 / slowest if p95 is not None and slowest else None,
            "teacher_calls": timing.calls / count if count else None,
            "teacher_tokens": timing.tokens / count if count else None,
        })  # fmt: skip
    return rows


def _choices(
    questions: Sequence[WindowQuestion],
    sizes: Sequence[int],
    students: Mapping[str, Sequence[Student]],
    keeps: Sequence[int],
) -> Iterator[tuple[Variant, int, list[Sequence[int]]]]:
    """Each variant and seed, with the indices of the chosen windows of each document."""
    yield Variant(ALL), 0, [range(size) for size in sizes]
    for name, seeds in students.items():
        for seed, student in enumerate(seeds):
            scores = _by_document(student(questions), sizes)
            for keep in keeps:
                yield Variant(name, keep), seed, [top_indices(values, keep) for values in scores]


def _by_document(values: Sequence[float], sizes: Sequence[int]) -> list[list[float]]:
    """Splits values in a row into those of each document."""
    remaining = iter(values)
    return [list(islice(remaining, size)) for size in sizes]
