"""The numbers are trec_eval's, on random runs full of ties and gaps and on a real one.

pytrec_eval writes outside its memory where a grade is negative. trec_eval reads such a document as
"in the pool, but not looked at": not relevant for all measures, and unjudged for bpref. Left out of
the qrels that pytrec_eval is handed, it is both.
"""

import random
from pathlib import Path
from typing import Any, TypeAlias

import ir_measures
import pytest
import pytrec_eval

from rankprompt.eval import parse_measure, score, trec_order
from rankprompt.files import read_qrels, read_run

Run: TypeAlias = dict[str, dict[str, float]]
Qrels: TypeAlias = dict[str, dict[str, int]]

NAMES = {  # ours: trec_eval's
    "ndcg": "ndcg",
    "ndcg@10": "ndcg_cut_10",
    "map": "map",
    "map@10": "map_cut_10",
    "mrr": "recip_rank",
    "precision@10": "P_10",
    "recall@100": "recall_100",
    "bpref": "bpref",
}
# ir_measures asks pytrec_eval for what that has, MS MARCO's code for the reciprocal rank with a
# cutoff, cwl_eval for RBP, and itself for Judged.
THEIRS = {
    1: ["nDCG", "nDCG@10", "AP", "AP@10", "RR", "RR@10", "P@5", "R@100", "Bpref", "Judged@10",
        "RBP(rel=1,p=0.8)"],
    2: ["AP(rel=2)", "AP(rel=2)@100", "RR(rel=2)", "RR(rel=2)@10", "P(rel=2)@10", "R(rel=2)@10",
        "Bpref(rel=2)", "RBP(rel=2,p=0.95)"],
}  # fmt: skip

# Few values, so that ties abound; some differ only beyond single precision.
SCORES = [0.0, 0.5, 1.0, 1.0 + 1e-9, 1.0 - 1e-9, 2.0, -3.25, 16777216.0, 16777217.0, 1e-50]


def random_case(rng: random.Random) -> tuple[Run, Qrels]:
    """A run and qrels of a few queries; some missing, unjudged, or without anything relevant."""
    documents = [f"d{i}" for i in range(rng.choice([3, 12, 150]))] + ["D-é", "文"]
    run: Run = {}
    qrels: Qrels = {}
    for query in [f"q{i}" for i in range(rng.randint(1, 5))]:
        if rng.random() < 0.85:
            retrieved = rng.sample(documents, rng.randint(1, len(documents)))
            run[query] = {name: rng.choice(SCORES) for name in retrieved}
        if rng.random() < 0.85:
            judged = rng.sample(documents, rng.randint(1, len(documents)))
            grades = rng.choice([[0], [0, 1], [0, 0, 0, 1, 2, 3], [-2, -1, 0, 1, 2]])
            qrels[query] = {name: rng.choice(grades) for name in judged}
    return run, qrels


def cases(number: int) -> list[tuple[Run, Qrels]]:
    """Random runs that share a query with their qrels."""
    rng = random.Random(7)
    found: list[tuple[Run, Qrels]] = []
    while len(found) < number:
        run, qrels = random_case(rng)
        if run.keys() & qrels.keys():
            found.append((run, qrels))
    return found


def looked_at(qrels: Qrels) -> Qrels:
    """The qrels without negative grades."""
    left = {q: {name: g for name, g in of.items() if g >= 0} for q, of in qrels.items()}
    return {q: of for q, of in left.items() if of}


@pytest.mark.parametrize("level", [1, 2])
def test_a_thousand_random_runs_score_as_in_trec_eval(level: int) -> None:
    suffix = f"-l{level}" if level > 1 else ""
    names = {f"{n}{suffix}": t for n, t in NAMES.items() if level == 1 or "ndcg" not in n}
    measures = [parse_measure(name) for name in names]
    theirs = dict(zip((measure.name for measure in measures), names.values(), strict=True))
    for run, qrels in cases(1000):
        expected = pytrec_eval.RelevanceEvaluator(
            looked_at(qrels), set(names.values()), relevance_level=level
        ).evaluate(run)
        found = score(run, qrels, measures)
        for ours, name in theirs.items():
            values = {q: expected[q][name] if q in expected else 0.0 for q in qrels}
            assert found.by_query[ours] == pytest.approx(values, abs=1e-9), (run, qrels)
            mean = sum(values.values()) / len(qrels)
            assert found.means[ours] == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("level", [1, 2])
def test_random_runs_score_as_in_ir_measures(level: int) -> None:
    pytest.importorskip("cwl", reason="no cwl-eval, which ir_measures asks for RBP")
    measures = [parse_measure(name) for name in THEIRS[level]]
    theirs: Any = [ir_measures.parse_measure(name) for name in THEIRS[level]]
    # All at once, for a call costs it more than its work.
    run: Run = {}
    qrels: Qrels = {}
    for number, (ranked, judged) in enumerate(cases(300)):
        # Its parts order ties each in a way of their own; trec_eval's order leaves them none.
        for query, of in ranked.items():
            run[f"{number} {query}"] = {d: float(-r) for r, d in enumerate(trec_order(of))}
        qrels |= {f"{number} {query}": of for query, of in judged.items()}
    found = score(run, qrels, measures).by_query
    for measure, one in zip(measures, theirs, strict=True):
        given = qrels if one.NAME == "Judged" else looked_at(qrels)
        values = dict.fromkeys(qrels, 0.0)
        values |= {
            got.query_id: got.value
            for got in ir_measures.iter_calc([one], given, run)
            if got.query_id in qrels
        }
        assert found[measure.name] == pytest.approx(values, abs=1e-6), str(one)


def test_bm25_on_trec_dl_2019(data: Path) -> None:
    run = read_run(data / "dl19" / "run.bm25.trec")
    qrels = read_qrels(data / "dl19" / "qrels.trec")
    scores = score(run, qrels, [parse_measure("ndcg@10")])
    assert round(scores.means["ndcg@10"], 4) == 0.5058
    assert (scores.queries, scores.missing, scores.unjudged_queries) == (43, (), ())
