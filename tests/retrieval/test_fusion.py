"""Fusion, in a process of its own, in which ranx does not compile, as in ``rankprompt fuse``."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.retrieval import fuse
from rankprompt.retrieval.fusion import METHODS
from rankprompt.types import Run

WORKER = """
import json, sys
from rankprompt.retrieval import fuse
for line in sys.stdin:
    runs, options = json.loads(line)
    found = [[query, list(scores.items())] for query, scores in fuse(runs, **options)]
    print(json.dumps(found), flush=True)
"""

Fused = dict[str, dict[str, float]]
Fuse = Callable[..., Fused]


@pytest.fixture(scope="module")
def fused() -> Iterator[Fuse]:
    with subprocess.Popen(
        [sys.executable, "-W", "error::UserWarning:rankprompt", "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    ) as worker:
        assert worker.stdin
        assert worker.stdout
        asked, told = worker.stdin, worker.stdout

        def fuse(*runs: Run, **options: Any) -> Fused:
            print(json.dumps([runs, options]), file=asked, flush=True)
            return {query: dict(scores) for query, scores in json.loads(told.readline())}

        yield fuse
        asked.close()


ONE = {"q": {"a": 9.0, "b": 5.0, "c": 1.0}}
OTHER = {"q": {"c": 0.5, "d": 0.3, "a": 0.1}}


def test_reciprocal_rank_fusion_is_what_the_hand_computes(fused: Fuse) -> None:
    found = fused(ONE, OTHER)["q"]
    assert list(found) == ["a", "c", "b", "d"]  # a and c are equal, b and d are
    assert found == pytest.approx(
        {"a": 1 / 61 + 1 / 63, "c": 1 / 63 + 1 / 61, "b": 1 / 62, "d": 1 / 62}
    )
    assert fused(ONE, OTHER, k=0)["q"] == pytest.approx(
        {"a": 1 + 1 / 3, "c": 1 / 3 + 1, "b": 1 / 2, "d": 1 / 2}
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # isr: 2 (1/1 + 1/9) for a and c, 1/4 for the others.
        ({"method": "isr"}, {"a": 20 / 9, "c": 20 / 9, "b": 1 / 4, "d": 1 / 4}),
        # borda: of four documents the first gets 4 points, one that a run lacks 1.
        ({"method": "borda"}, {"a": 4 + 2, "c": 2 + 4, "b": 3 + 1, "d": 1 + 3}),
        (
            {"method": "borda", "weights": [1, 3]},
            {"c": 2 + 12, "a": 4 + 6, "d": 1 + 9, "b": 3 + 3},
        ),
        # min-max: 1, 1/2, 0 in each run.
        ({"method": "combsum"}, {"a": 1, "c": 1, "b": 1 / 2, "d": 1 / 2}),
        ({"method": "combmnz"}, {"a": 2, "c": 2, "b": 1 / 2, "d": 1 / 2}),
        ({"method": "combmax"}, {"a": 1, "c": 1, "b": 1 / 2, "d": 1 / 2}),
        (
            {"method": "combsum", "weights": [0.2, 0.8]},
            {"c": 0.8, "d": 0.4, "a": 0.2, "b": 0.1},
        ),
        ({"method": "combsum", "norm": "none"}, {"a": 9.1, "b": 5, "c": 1.5, "d": 0.3}),
        ({"method": "combmax", "norm": "none"}, {"a": 9, "b": 5, "c": 1, "d": 0.3}),
        # zmuv of 9, 5, 1: the deviation is the root of 32/3.
        (
            {"method": "combmax", "norm": "zmuv"},
            {"a": 1.224745, "c": 1.224745, "b": 0, "d": 0},
        ),
    ],
)
def test_each_method_is_what_the_hand_computes(
    fused: Fuse, options: dict[str, Any], expected: dict[str, float]
) -> None:
    found = fused(ONE, OTHER, **options)["q"]
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_query_that_a_run_lacks_is_fused_from_the_others(fused: Fuse) -> None:
    one, other = {"p": {"a": 2.0, "b": 1.0}, "empty": {}}, {"q": {"b": 3.0}, "empty": {}}
    for method in METHODS:
        found = fused(one, other, method=method)
        assert list(found) == ["p", "empty", "q"]
        assert list(found["p"]) == ["a", "b"]
        assert list(found["q"]) == ["b"]
        assert found["empty"] == {}


def test_runs_without_any_document_are_fused_into_none(fused: Fuse) -> None:
    assert fused({"q": {}}, {"q": {}}) == {"q": {}}
    assert fused({}, {}) == {}


def test_more_queries_than_are_fused_at_a_time_keep_their_order(fused: Fuse) -> None:
    run = {f"q{number}": {f"d{number}": 1.0} for number in range(250)}
    found = fused(run, run)
    assert list(found) == list(run)
    assert all(list(found[query]) == list(run[query]) for query in run)


def test_equal_scores_in_a_run_keep_its_order(fused: Fuse) -> None:
    tied = {"q": {f"d{number}": 1.0 for number in range(40, 0, -1)}}
    assert list(fused(tied, tied)["q"]) == list(tied["q"])


RUNS = st.dictionaries(
    st.sampled_from(["p", "q"]),
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-100, 100), max_size=8).map(
        lambda scores: dict(sorted(scores.items(), key=lambda one: (-one[1], one[0])))
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(RUNS, min_size=2, max_size=3), method=st.sampled_from(sorted(METHODS)))
def test_the_fused_ranking_is_an_order_of_all_that_was_found(
    fused: Fuse, runs: list[Fused], method: str
) -> None:
    found = fused(*runs, method=method)
    assert set(found) == {query for run in runs for query in run}
    for query, scores in found.items():
        assert set(scores) == {document for run in runs for document in run.get(query, {})}
        assert list(scores.values()) == pytest.approx(sorted(scores.values(), reverse=True))
    # Neither the order of the runs, nor that of their queries, moves a document.
    turned = fused(*({q: run[q] for q in reversed(run)} for run in reversed(runs)), method=method)
    for query, scores in turned.items():
        assert scores == pytest.approx(found[query])
        if method in ("rrf", "borda"):
            assert list(scores) == list(found[query])


@pytest.mark.parametrize(
    ("runs", "options", "problem"),
    [
        ([ONE], {}, "two or more runs, not 1"),
        ([ONE, OTHER], {"method": "rff"}, "unknown method 'rff'; did you mean 'rrf'?"),
        ([ONE, OTHER], {"method": "combsum", "norm": "max"}, "unknown norm 'max'"),
        ([ONE, OTHER], {"method": "isr", "k": 3}, "`k` goes with rrf, not with isr"),
        ([ONE, OTHER], {"k": -1}, "`k` must be 0 or more, not -1"),
        ([ONE, OTHER], {"norm": "zmuv"}, "rrf reads ranks, which need no `norm`"),
        ([ONE, OTHER], {"method": "combmnz", "norm": "zmuv"}, "may be negative"),
        (
            [ONE, OTHER],
            {"weights": [1, 2]},
            "rrf takes no `weights`; these do: borda, combsum",
        ),
        (
            [ONE, OTHER],
            {"method": "borda", "weights": [1]},
            "`weights` needs 2 numbers, one for each run, not 1",
        ),
        ([ONE, OTHER], {"method": "borda", "weights": [0, 0]}, "not all 0"),
        ([ONE, OTHER], {"method": "borda", "weights": [1, float("nan")]}, "0 or more"),
    ],
)
def test_what_does_not_go_together_is_told_at_once(
    runs: list[Fused], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem.replace("?", r"\?")):
        fuse(runs, **options)
