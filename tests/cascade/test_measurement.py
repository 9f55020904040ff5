"""Quality, overlap, calls and tokens of a cascade, checked by hand and against the cascade."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from xml.etree import ElementTree

import pytest

from rankprompt.cascade.aggregation import aggregate_by
from rankprompt.cascade.cascade import Cascade
from rankprompt.cascade.measurement import (
    ALL,
    CascadeMeasurement,
    Quality,
    ReportRow,
    Timing,
    Variant,
    report_rows,
)
from rankprompt.cascade.report_files import csv_text, quality_plots
from rankprompt.cascade.students import Student
from rankprompt.cascade.students.controls import RandomStudent, first
from rankprompt.cascade.window_scores import WindowQuestion, WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import word_offsets
from rankprompt.types import Candidates, Document, Query

WINDOWS = WindowConfig(window=1, overlap=0)
MEASUREMENT = CascadeMeasurement(word_offsets, WINDOWS)
# Each word is a window, and its score.
TEXTS = {"d0": "1 2 9", "d1": "5 4 3", "d2": "6"}


def candidates(name: str = "q") -> Candidates:
    documents = tuple(Document(one, text) for one, text in TEXTS.items())
    return Candidates(Query(name, name), documents, (3.0, 2.0, 1.0))


class Numbers:
    """A teacher that reads numbers."""

    def __init__(self) -> None:
        self.fingerprint, self.tokens, self.windows_cut = "numbers", 0, 0

    def cuts(self, query: str) -> bool:
        return len(query) > 1

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.tokens += 2 * len(pairs)
        return [float(text) for _, text in pairs]


def last(windows: Sequence[WindowQuestion]) -> list[float]:
    return [float(one.window) for one in windows]


def place_of_d0(run: Mapping[str, Mapping[str, float]]) -> float:
    """1 over the rank of d0."""
    scores = run["q"]
    return 1 / sum(score >= scores["d0"] for score in scores.values())


def measured(**students: Sequence[Student]) -> Quality:
    scores = WindowScores(Journal(None), Numbers(), "numbers")
    named = {"max": aggregate_by("max"), "mean:3": aggregate_by("mean:3")}
    found = MEASUREMENT.quality([candidates()], students, [1, 2], scores, named, place_of_d0)
    assert scores.teacher_calls == 7
    # By the mean, all windows put d0 (4) behind d2 (6), and level with d1 (4).
    assert found["mean:3"].values[Variant(ALL)] == 1 / 3
    return found["max"]


def test_quality_and_overlap_are_what_the_hand_says() -> None:
    found = measured(first=[first], last=[last])
    assert found.windows == [3, 3, 1]
    assert found.documents_cut == 0
    assert found.values == {
        Variant(ALL): 1,
        Variant("first", 1): 1 / 3,  # 1, 5, 6
        Variant("first", 2): 1 / 3,  # 2, 5, 6
        Variant("last", 1): 1,  # 9, 3, 6
        Variant("last", 2): 1,
    }
    assert found.overlaps == {
        Variant(ALL): None,
        Variant("first", 1): 0.5,  # of 9 and 5, the 5; d2 has no more windows than one
        Variant("first", 2): 0.75,  # 2 of {9, 2}, both of {5, 4}
        Variant("last", 1): 0.5,
        Variant("last", 2): 0.75,
    }


def test_documents_beyond_the_limit_are_counted() -> None:
    scores, of_max = WindowScores(Journal(None), Numbers(), "numbers"), {"max": max}
    measurement = CascadeMeasurement(word_offsets, WindowConfig(window=1, overlap=0, tokens=2))
    found = measurement.quality([candidates()], {}, [], scores, of_max, place_of_d0)["max"]
    assert (found.windows, found.documents_cut) == ([2, 2, 1], 2)


def test_seeds_of_a_student_are_averaged() -> None:
    found = measured(both=[first, last])
    assert found.values[Variant("both", 1)] == pytest.approx((1 / 3 + 1) / 2)
    assert found.overlaps[Variant("both", 1)] == 0.5


def test_what_is_timed_is_what_the_cascade_does() -> None:
    teacher, queries = Numbers(), [candidates("q"), candidates("r"), candidates("s")]
    variants = {
        Variant(ALL): None,
        Variant("first", 2): first,
        Variant("random", 1): RandomStudent(0),
    }
    found = MEASUREMENT.latency(queries, variants, teacher, max)
    assert {variant: timed.calls for variant, timed in found.items()} == {
        Variant(ALL): 21, Variant("first", 2): 15, Variant("random", 1): 9,
    }  # fmt: skip
    for variant, timed in found.items():
        assert timed.tokens == 2 * timed.calls
        assert len(timed.milliseconds) == 3
        cascade = Cascade(variants[variant], word_offsets, keep=variant.keep or 1, windows=WINDOWS)
        scores = WindowScores(Journal(None), Numbers(), "numbers")
        assert timed.run == cascade.teacher_scores(queries, scores, max)


def some_rows() -> list[ReportRow]:
    quality = measured(first=[first])
    timed = {
        Variant(ALL): Timing([30.0, 50.0], 14, 28), Variant("first", 1): Timing([10.0, 5.0], 6, 12),
    }  # fmt: skip
    return report_rows(quality, timed)


def test_a_row_has_what_was_measured_and_no_more() -> None:
    whole, one, two = some_rows()
    assert whole["student"] == "all"
    assert (whole["k"], whole["share"], whole["p95"], whole["p95_share"]) == (None, 1, 50, 1)
    assert (one["k"], one["ndcg@10"], one["p50"], one["p95_share"]) == (1, 1 / 3, 5, 0.2)
    assert (one["teacher_calls"], one["teacher_tokens"]) == (3, 6)
    assert two["overlap"] == 0.75
    assert {two[name] for name in ("p50", "p95", "p99", "p95_share", "teacher_calls")} == {None}


def test_rows_as_csv_and_as_plots() -> None:
    found = list(csv.DictReader(StringIO(csv_text(some_rows()))))
    assert [row["k"] for row in found] == ["", "1", "2"]
    assert (found[1]["share"], found[2]["p95"]) == ("0.3333333333", "")
    plots = quality_plots(some_rows())
    assert set(plots) == {"quality-k.svg", "quality-latency.svg"}
    for drawn in plots.values():
        text = "".join(ElementTree.fromstring(drawn).itertext())
        assert "nDCG@10" in text
        assert "first" in text
        assert "all windows" in text
    untimed = report_rows(measured(first=[first]), {})
    assert set(quality_plots(untimed)) == {"quality-k.svg"}
