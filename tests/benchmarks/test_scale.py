"""What docs/scale.md is made from: the journal's growth, the simulated run, and the calculation."""

from pathlib import Path

import pytest

from benchmarks import journal, ray_scale, scale
from rankprompt.llm.base import Request
from rankprompt.planning.config import Plan
from rankprompt.planning.simulation import MethodPlan


def test_a_growing_journal_is_measured_at_each_size(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    small, large = journal.measure(path, [1_500, 4_000])
    assert (small.answers, large.answers) == (1_500, 4_000)
    assert small.bytes < large.bytes == path.stat().st_size
    assert (small.inserts.answers, large.inserts.answers) == (500, 1_500)
    assert all(one.opening.wall > 0 for one in (small, large))
    assert "| 4,000 |" in journal.report([small, large])


def test_the_simulated_model_prefers_the_better_passage() -> None:
    better, worse = sorted(("d1", "d2"), key=lambda name: -ray_scale.grade("q3", name))
    request = Request(f"Which? [q3] some subject A: [{better}] words B: [{worse}] words")
    (answer,), _ = ray_scale.SimulatedModel().answer([request])
    assert answer.loglikelihoods[0] > answer.loglikelihoods[1]


def test_a_wrong_run_is_noticed(tmp_path: Path) -> None:
    best, other = sorted(("d1", "d2"), key=lambda name: -ray_scale.grade("q0", name))
    run = tmp_path / "run.trec"
    run.write_text(f"q0 Q0 {best} 1 2 t\nq0 Q0 {other} 2 1 t\n")
    ray_scale.check(run, 1)
    with pytest.raises(AssertionError):
        ray_scale.check(run, 2)
    run.write_text(f"q0 Q0 {other} 1 2 t\nq0 Q0 {best} 2 1 t\n")
    with pytest.raises(AssertionError, match="q0"):
        ray_scale.check(run, 1)


def method(name: str, prompts: int, tokens: int) -> MethodPlan:
    return MethodPlan(
        name, "comparison", "prp", prompts, prompts, 3, tokens, 0, None, None, 0.5, {}, {}
    )


def test_a_row_is_the_plan_times_the_queries() -> None:
    plan = Plan(
        {}, 10, 1000, False, 0, "synthetic", 0, 1, None, None, False, 0.0,
        [method("allpair", 99_000, 36_000_000), method("heapsort", 2_000, 720_000)],
    )  # fmt: skip
    rows = scale.rows_of(plan, queries=1_000_000, tokens_a_second=20_000, bytes_an_answer=100)
    assert rows == [
        ["100", "`heapsort`", "`prp`", "200 million", "72 billion", "1,000", "50,000", "20"],
        ["100", "`allpair`", "`prp`", "9.9 billion", "3.6 trillion", "50,000", "50,000", "990"],
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0123, "0.012"), (4.56, "4.6"), (999, "1,000"), (123_456, "120,000")],
)
def test_numbers_have_two_figures(number: float, text: str) -> None:
    assert scale.rounded(number) == text
