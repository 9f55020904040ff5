"""Reliability: bins of equal mass, the expected calibration error and the Brier score."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.eval.reliability import BINS, PROBABILITY, reliability, run_reliability


def test_numbers_worked_out_by_hand() -> None:
    # Twenty documents make ten bins of two.
    probabilities = [place / 20 for place in range(20)]
    found = reliability(probabilities, [place >= 10 for place in range(20)])
    assert [one.documents for one in found.bins] == [2] * BINS
    assert found.bins[0] == pytest.approx((0, 0.05, 0.025, 0, 2))
    assert found.bins[9] == pytest.approx((0.9, 0.95, 0.925, 1, 2))
    # The means are .025, .125, ... .425 of documents that are not relevant, and so on above.
    assert found.expected_calibration_error == pytest.approx((1.125 + 1.375) / 10)
    squares = [(p - (p >= 0.5)) ** 2 for p in probabilities]
    assert found.brier == pytest.approx(sum(squares) / 20)


def test_true_probabilities_are_reliable_and_others_are_not() -> None:
    source = random.Random(0)
    probabilities = [source.random() for _ in range(20_000)]
    relevant = [source.random() < probability for probability in probabilities]
    assert reliability(probabilities, relevant).expected_calibration_error < 0.02
    overconfident = [probability**0.25 for probability in probabilities]
    assert reliability(overconfident, relevant).expected_calibration_error > 0.25


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans())
             , min_size=1, max_size=80),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_bins_hold_each_document_once_and_equal_ones_together(
    documents: list[tuple[float, bool]], source: random.Random
) -> None:
    found = reliability(*zip(*documents, strict=True))
    assert found.documents == len(documents)
    assert len(found.bins) <= BINS
    ends = [end for one in found.bins for end in (one.low, one.high)]
    assert ends == sorted(ends)
    assert all(low.high < high.low for low, high in zip(found.bins, found.bins[1:], strict=False))
    assert sum(one.documents * one.share for one in found.bins) == pytest.approx(
        sum(label for _, label in documents)
    )
    assert 0 <= found.expected_calibration_error <= 1
    assert found.expected_calibration_error**2 <= found.brier + 1e-12
    source.shuffle(documents)
    assert reliability(*zip(*documents, strict=True)) == found


def test_equal_scores_that_a_run_separates_stay_in_one_bin() -> None:
    apart = [0.4 - place * 1e-6 for place in range(100)] + [
        0.8 - place * 1e-6 for place in range(50)
    ]
    found = reliability(apart, [place % 4 == 0 for place in range(150)])
    assert [(one.documents, round(one.mean, 3)) for one in found.bins] == [(100, 0.4), (50, 0.8)]


def test_documents_without_a_grade_count_where_the_calibration_or_the_grades_ask_for_it(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run.trec"
    run.write_text("q Q0 a 1 0.9 t\nq Q0 b 2 0.4 t\nq Q0 c 3 0.2 t\nx Q0 a 1 0.5 t\n")
    counted = reliability([0.9, 0.4], [True, False])
    fitted = {"level": 1, "unjudged_as_irrelevant": True}
    manifest: dict[str, dict[str, object]] = {"scores": {"meaning": PROBABILITY}}
    assert run_reliability(run, manifest, {"q": {"a": 1, "c": 0}}, 1) == reliability(
        [0.9, 0.2], [True, False]
    )
    # Grades of relevant documents alone cannot tell whether a probability is too high.
    found = run_reliability(run, manifest, {"q": {"a": 1, "c": -100}}, 1)
    assert found == replace(counted, unjudged_as_irrelevant=True)
    manifest["scores"]["calibration"] = fitted
    found = run_reliability(run, manifest, {"q": {"a": 1, "c": -100, "z": 0}}, 1)
    assert found == replace(counted, unjudged_as_irrelevant=True)


@pytest.mark.parametrize("probabilities", [[], [1.1], [float("nan")]])
def test_what_is_no_probability_is_refused(probabilities: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        reliability(probabilities, [True] * len(probabilities))


def test_a_run_counts_with_its_judged_documents(tmp_path: Path) -> None:
    run = tmp_path / "run.trec"
    run.write_text("q Q0 a 1 0.9 t\nq Q0 b 2 0.4 t\nq Q0 c 3 0.2 t\nx Q0 a 1 0.5 t\n")
    qrels = {"q": {"a": 2, "b": 1, "c": -1, "z": 3}}
    manifest: dict[str, dict[str, object]] = {"scores": {"meaning": PROBABILITY}}
    found = run_reliability(run, manifest, qrels, 2)
    assert found is not None
    assert found == replace(reliability([0.9, 0.4], [True, False]), level=2)
    calibrated = {"scores": {"meaning": PROBABILITY, "calibration": {"level": 2}}}
    assert run_reliability(run, calibrated, qrels, 1) == found
    damaged: object
    for damaged in (None, [], {"level": "2"}, {"level": -3}):
        manifest["scores"]["calibration"] = damaged
        one = run_reliability(run, manifest, qrels, 1)
        assert one is not None
        assert one.level == 1
    for other in (None, {}, {"scores": 3}, {"scores": {"meaning": "expected share"}}):
        assert run_reliability(run, other, qrels, 1) is None
    assert run_reliability(run, manifest, {"y": {"a": 1}}, 1) is None
    run.write_text("q Q0 a 1 3 t\n")
    assert run_reliability(run, manifest, qrels, 1) is None
