"""Scores over the queries that all runs have: those of runs cut beforehand, and trec_eval's."""

import math
import random
from pathlib import Path

import pytest
import pytrec_eval

from rankprompt.errors import InputError
from rankprompt.eval import Grades, parse_measures, score
from rankprompt.eval.report import Report, build_report
from rankprompt.eval.shared_queries import SharedQueries
from rankprompt.files import write_run
from rankprompt.types import Qrels

NAMES = {"ndcg@10": "ndcg_cut_10", "map": "map", "mrr": "recip_rank", "precision@5": "P_5"}
MEASURES = parse_measures(list(NAMES))
DOCUMENTS = [f"d{number}" for number in range(12)]
QUERIES = [f"q{number}" for number in range(8)]


def random_runs(rng: random.Random) -> tuple[dict[str, dict[str, dict[str, float]]], Qrels]:
    """Runs that each lack some queries and have some without grades, and grades."""

    def queries(share: float) -> list[str]:
        return [query for query in QUERIES if rng.random() < share]

    runs = {
        name: {
            query: {d: rng.choice((0.0, 1.0, 2.5)) for d in rng.sample(DOCUMENTS, 6)}
            for query in ["extra", *queries(0.8)]
        }
        for name in "abc"[: rng.randint(1, 3)]
    }
    qrels = {q: {d: rng.choice((0, 0, 1, 3)) for d in rng.sample(DOCUMENTS, 5)} for q in QUERIES}
    return runs, {query: qrels[query] for query in queries(0.9)}


def test_three_hundred_random_cases_score_as_cut_runs_and_as_trec_eval_without_c() -> None:
    rng = random.Random(11)
    scored_cases = 0
    for _ in range(300):
        runs, qrels = random_runs(rng)
        shared = qrels.keys() & set.intersection(*(set(run) for run in runs.values()))
        if not shared:
            continue
        scored_cases += 1
        scores = {name: score(run, qrels, MEASURES) for name, run in runs.items()}
        common = SharedQueries.of(scores)
        assert common.queries == tuple(query for query in qrels if query in shared)
        assert common.share == f"{len(shared)} of {len(qrels)}"
        for name, run in runs.items():
            cut = {query: run[query] for query in run if query in shared}
            found = common.only(scores[name])
            beforehand = score(cut, {query: qrels[query] for query in shared}, MEASURES)
            assert (found.means, found.by_query) == (beforehand.means, beforehand.by_query)
            assert found.missing == ()
            theirs = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values())).evaluate(cut)
            assert theirs.keys() == shared
            for measure, of in zip(MEASURES, NAMES.values(), strict=True):
                mean = math.fsum(values[of] for values in theirs.values()) / len(theirs)
                assert found.means[measure.name] == pytest.approx(mean, abs=1e-6)
    assert scored_cases > 200


def report(folder: Path, runs: dict[str, list[str]], qrels: Qrels, *, shared: bool) -> Report:
    """A report of runs with other orders of the same documents, of the queries named."""
    rng = random.Random(3)
    orders = {name: {q: rng.sample(DOCUMENTS, 8) for q in QUERIES} for name in runs}
    folder.mkdir()
    paths = {name: folder / f"{name}.trec" for name in runs}
    for name, queries in runs.items():
        write_run(paths[name], {query: orders[name][query] for query in queries}, "t")
    return build_report(paths, Grades(qrels, MEASURES), source="qrels", shared=shared)


def test_all_of_a_report_is_that_of_runs_and_grades_cut_beforehand(tmp_path: Path) -> None:
    rng = random.Random(2)
    qrels = {q: {d: rng.choice((0, 1, 2)) for d in DOCUMENTS[:9]} for q in QUERIES[1:]}
    found = report(tmp_path / "all", {"a": QUERIES, "b": QUERIES[3:]}, qrels, shared=True)
    kept = QUERIES[3:]
    cut_qrels = {query: qrels[query] for query in kept}
    cut = report(tmp_path / "cut", {"a": kept, "b": kept}, cut_qrels, shared=False)
    assert (found.comparisons, found.ceiling) == (cut.comparisons, cut.ceiling)
    for ours, theirs in zip(found.runs, cut.runs, strict=True):
        assert ours.scores.means == theirs.scores.means
        assert (ours.intervals, ours.judged) == (theirs.intervals, theirs.judged)
        assert (ours.movement, ours.gains, ours.losses) == (
            theirs.movement, theirs.gains, theirs.losses,
        )  # fmt: skip
    assert found.notes[0] == (
        "All numbers are over the 5 of 7 judged queries that all runs have (--shared); b lacks 2."
    )
    assert found.notes[1:] == ("a has 1 query without grades, left out.", *cut.notes)


def test_nothing_shared_is_an_error_that_counts_and_nothing_lacking_is_said() -> None:
    qrels = {query: {"d0": 1} for query in QUERIES}
    halves = {name: {q: {"d0": 1.0} for q in QUERIES[n::2]} for n, name in enumerate("ab")}
    scores = {name: score(run, qrels, MEASURES) for name, run in halves.items()}
    with pytest.raises(InputError, match=r"`shared`: none of the 8 queries .* \(a lacks 4, b lac"):
        SharedQueries.of(scores).only(scores["a"])
    whole = score({q: {"d0": 1.0} for q in QUERIES}, qrels, MEASURES)
    common = SharedQueries.of({"a": whole, "b": whole})
    assert common.only(whole) == whole
    assert common.in_words() == "All 8 judged queries are in all runs; --shared leaves none out."


def test_each_measure_is_over_the_shared_queries_of_its_own_judgements() -> None:
    graded = {query: {"d0": 2} for query in QUERIES[:5]}
    binary = {query: {"d0": 1} for query in QUERIES[3:]}
    grades = Grades(graded, parse_measures(["ndcg@10", "mrr"]), binary=binary)
    runs = {"a": {q: {"d0": 1.0} for q in QUERIES}, "b": {q: {"d0": 1.0} for q in QUERIES[4:]}}
    scores = {name: grades.score(run) for name, run in runs.items()}
    common = SharedQueries.of(scores)
    found = common.only(scores["b"])
    assert list(found.by_query["ndcg@10"]) == ["q4"]
    assert list(found.by_query["mrr"]) == QUERIES[4:]
    assert found.means == {"ndcg@10": 1.0, "mrr": 1.0}
    cut = grades.only(frozenset(common.queries)).score(runs["b"])
    assert (cut.means, cut.by_query) == (found.means, found.by_query)
    late = grades.score({q: {"d0": 1.0} for q in ["q2", *QUERIES[5:]]})
    with pytest.raises(InputError, match=r"none of the 5 queries that are judged for ndcg@10"):
        SharedQueries.of({**scores, "c": late}).only(scores["b"])
