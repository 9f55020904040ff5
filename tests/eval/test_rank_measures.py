"""The measures of ranks are trec_eval's to 1e-9, and ranx's where ranx has trec_eval's."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
import pytrec_eval
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rankprompt.eval import parse_measures, score, trec_order

Run: TypeAlias = dict[str, dict[str, float]]
Qrels: TypeAlias = dict[str, dict[str, int]]
Ranx = Callable[[Run, Qrels, list[str]], dict[str, dict[str, float]]]

DOCUMENTS = [*(f"d{number}" for number in range(14)), "é", "文"]
# Ties abound, and 1 + 1e-9 is equal to 1 in single precision.
SCORES = st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 2.0, -3.25]) | st.floats(-1e6, 1e6, width=32)
RUNS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]),
    st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1),
    min_size=1,
)
QRELS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]),
    st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 4), min_size=1),
    min_size=1,
)


@given(RUNS, QRELS, st.integers(1, 20), st.integers(1, 4))
def test_values_are_trec_evals(run: Run, qrels: Qrels, k: int, level: int) -> None:
    assume(run.keys() & qrels.keys())
    suffix = f"-l{level}" if level > 1 else ""
    names = {
        f"map{suffix}": "map",
        f"map{suffix}@{k}": f"map_cut_{k}",
        f"mrr{suffix}": "recip_rank",
        f"precision{suffix}@{k}": f"P_{k}",
        f"recall{suffix}@{k}": f"recall_{k}",
    }
    if level == 1:  # of nDCG the grades are the gains
        names |= {"ndcg": "ndcg", f"ndcg@{k}": f"ndcg_cut_{k}"}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {*names.values()}, level).evaluate(run)
    found = score(run, qrels, parse_measures(names))
    for ours, theirs in names.items():
        values = {q: expected[q][theirs] if q in expected else 0.0 for q in qrels}
        assert found.by_query[ours] == pytest.approx(values, abs=1e-9, rel=0), ours


WORKER = """
import json, sys
import ranx
for line in sys.stdin:
    run, qrels, measures = json.loads(line)
    run = ranx.Run(run)
    ranx.evaluate(ranx.Qrels(qrels), run, measures)
    print(json.dumps(run.scores, default=float), flush=True)
"""


@pytest.fixture(scope="module")
def ranx() -> Iterator[Ranx]:
    """ranx in a process of its own, in which it does not compile."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    ) as worker:
        assert worker.stdin
        assert worker.stdout
        asked, told = worker.stdin, worker.stdout

        def evaluate(run: Run, qrels: Qrels, measures: list[str]) -> dict[str, dict[str, float]]:
            print(json.dumps([run, qrels, measures]), file=asked, flush=True)
            return dict(json.loads(told.readline()))

        yield evaluate
        asked.close()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RUNS, QRELS, st.integers(1, 20), st.integers(1, 4))
def test_values_are_ranxs(ranx: Ranx, run: Run, qrels: Qrels, k: int, level: int) -> None:
    # ranx leaves the order of equal scores open, and takes no queries but those of both.
    shared = sorted(run.keys() & qrels.keys())
    assume(shared)
    run = {q: {d: -float(rank) for rank, d in enumerate(trec_order(run[q]))} for q in shared}
    qrels = {q: qrels[q] for q in shared}
    suffix = f"-l{level}" if level > 1 else ""
    names = [
        f"{name}{suffix}" for name in ("map", "mrr", f"precision@{k}", f"recall@{k}", "recall")
    ]
    names += ["ndcg", f"ndcg@{k}"]
    expected = ranx(run, qrels, names)
    found = score(run, qrels, parse_measures(names)).by_query
    for theirs, measure in zip(names, parse_measures(names), strict=True):
        assert found[measure.name] == pytest.approx(expected[theirs], abs=1e-9, rel=0), theirs
    # Its rank-biased precision weighs documents by their grades, so it is handed 1 and 0.
    binary = {q: {d: int(grade >= level) for d, grade in of.items()} for q, of in qrels.items()}
    (weighed,) = ranx(run, binary, ["rbp.80"]).values()
    ours = score(run, qrels, parse_measures([f"rbp.8{suffix}"])).by_query[f"rbp.8{suffix}"]
    assert ours == pytest.approx(weighed, abs=1e-9, rel=0)


def test_a_run_that_is_shorter_than_the_cutoff_is_divided_by_the_cutoff() -> None:
    found = score(
        {"q": {"a": 1.0}}, {"q": {"a": 1, "b": 1}}, parse_measures(["P@4 recall@4 map@4"])
    )
    assert found.means == {"precision@4": 0.25, "recall@4": 0.5, "map@4": 0.5}
