"""The numbers are trec_eval's, on random runs full of ties and gaps and on a real one."""

import random
from pathlib import Path

import pytest
import pytrec_eval

from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels, read_run

NAMES = {  # ours: trec_eval's
    "ndcg": "ndcg",
    "ndcg@10": "ndcg_cut_10",
    "map": "map",
    "map@10": "map_cut_10",
    "mrr": "recip_rank",
    "precision@10": "P_10",
    "recall@100": "recall_100",
}
LEVELLED = {name: theirs for name, theirs in NAMES.items() if not name.startswith("ndcg")}

# Few values, so that ties abound; some differ only beyond single precision.
SCORES = [0.0, 0.5, 1.0, 1.0 + 1e-9, 1.0 - 1e-9, 2.0, -3.25, 16777216.0, 16777217.0, 1e-50]


def random_case(
    rng: random.Random,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """A run and qrels of a few queries; some missing, unjudged, or without anything relevant."""
    documents = [f"d{i}" for i in range(rng.choice([3, 12, 150]))] + ["D-é", "文"]
    run, qrels = {}, {}
    for query in [f"q{i}" for i in range(rng.randint(1, 5))]:
        if rng.random() < 0.85:
            retrieved = rng.sample(documents, rng.randint(1, len(documents)))
            run[query] = {name: rng.choice(SCORES) for name in retrieved}
        if rng.random() < 0.85:
            judged = rng.sample(documents, rng.randint(1, len(documents)))
            grades = rng.choice([[0], [0, 1], [0, 0, 0, 1, 2, 3], [-2, -1, 0, 1, 2]])
            qrels[query] = {name: rng.choice(grades) for name in judged}
    return run, qrels


@pytest.mark.parametrize("level", [1, 2])
def test_random_runs_score_as_in_trec_eval(level: int) -> None:
    names = NAMES if level == 1 else {f"{n}-l{level}": t for n, t in LEVELLED.items()}
    measures = [parse_measure(name) for name in names]
    theirs = dict(zip((measure.name for measure in measures), names.values(), strict=True))
    rng = random.Random(7)
    compared = 0
    while compared < 500:
        run, qrels = random_case(rng)
        if not run.keys() & qrels.keys():
            continue
        # pytrec_eval writes outside its memory on negative grades; ours are to count as 0.
        clipped = {q: {name: max(0, g) for name, g in of.items()} for q, of in qrels.items()}
        expected = pytrec_eval.RelevanceEvaluator(
            clipped, set(names.values()), relevance_level=level
        ).evaluate(run)
        found = score(run, qrels, measures)
        for ours, name in theirs.items():
            values = {q: expected[q][name] if q in expected else 0.0 for q in qrels}
            assert found.by_query[ours] == pytest.approx(values, abs=1e-6), (run, qrels)
            mean = sum(values.values()) / len(qrels)
            assert found.means[ours] == pytest.approx(mean, abs=1e-6)
        compared += 1


def test_bm25_on_trec_dl_2019(data: Path) -> None:
    run = read_run(data / "dl19" / "run.bm25.trec")
    qrels = read_qrels(data / "dl19" / "qrels.trec")
    scores = score(run, qrels, [parse_measure("ndcg@10")])
    assert round(scores.means["ndcg@10"], 4) == 0.5058
    assert (scores.queries, scores.missing, scores.unjudged_queries) == (43, (), ())
