"""The report's record: names, notes, and agreement with what it is made of."""

import json
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.eval import Grades, compare, parse_measures
from rankprompt.eval.report import Report, build_report, name_runs
from rankprompt.files import read_qrels, write_run
from rankprompt.types import Qrels

QRELS: Qrels = {"q1": {"a": 3, "b": 0}, "q2": {"c": 1, "d": 0}, "q3": {"e": 2}}
FIRST = {"q1": ["b", "a"], "q2": ["d", "c"], "q3": ["x", "e"]}
BETTER = {"q1": ["a", "b"], "q2": ["c", "d"], "q3": ["x", "e"]}


def report(
    folder: Path,
    runs: dict[str, dict[str, list[str]]],
    qrels: Qrels = QRELS,
    *,
    measures: str = "ndcg@10 mrr",
) -> Report:
    """A report of runs that are written to files first."""
    paths = {name: folder / f"{name}.trec" for name in runs}
    for name, rankings in runs.items():
        write_run(paths[name], rankings, "t")
    asked = parse_measures([measures])
    return build_report(paths, Grades(qrels, asked), source="qrels")


def test_runs_are_described_against_the_baseline(tmp_path: Path) -> None:
    found = report(tmp_path, {"first": FIRST, "better": BETTER})
    (better,) = found.others
    assert (found.baseline_run.name, found.main_measure, found.k) == ("first", "ndcg@10", 10)
    assert (found.baseline_run.comparisons, found.baseline_run.movement) == ({}, None)
    assert {one.query for one in better.gains} == {"q1", "q2"}
    assert better.losses == []
    assert better.movement is not None
    assert (better.movement.up, better.movement.same, better.movement.down) == (2, 1, 0)
    assert better.judged == pytest.approx(5 / 6)
    assert better.cost.problem == "no manifest beside it (better.json)"
    assert [row.depth for row in found.ceiling] == [2]
    assert found.ceiling[0].ceiling == 1.0
    assert found.notes == ("There are 3 queries only: the intervals and tests are rough.",)
    again = json.loads(json.dumps(found.as_data()))
    assert again["runs"][1]["scores"]["by_query"]["mrr"] == {"q1": 1.0, "q2": 1.0, "q3": 0.5}
    assert again["runs"][1]["gains"][0]["moved"][0]["document"] in "ac"


def test_the_tests_are_those_of_compare(data: Path, tmp_path: Path) -> None:
    folder = data / "dl19"
    qrels, first = read_qrels(folder / "qrels.trec"), folder / "run.bm25.trec"
    other = tmp_path / "other.trec"
    with first.open() as lines:
        rows = [line.split() for line in lines]
    other.write_text("".join(f"{q} Q0 {d} {r} {int(r) % 7} t\n" for q, _, d, r, *_ in rows))
    asked = parse_measures(["ndcg@10", "map-l2"])
    grades = Grades(qrels, asked)
    found = build_report({"a": first, "b": other}, grades, source="q")
    scored = {run.name: run.scores for run in found.runs}
    assert found.comparisons == compare(scored, "a", ["ndcg@10", "map-l2"])
    assert found.baseline_run.scores.means["ndcg@10"] == pytest.approx(0.5058, abs=5e-5)
    # docs of `inspect`: what a perfect judge of the first 20 reaches
    assert found.ceiling[1].ceiling == pytest.approx(0.7262, abs=5e-5)


@pytest.mark.parametrize(
    ("runs", "qrels", "measures", "said"),
    [
        ({"a": FIRST}, QRELS, "mrr", "There is a single run, so nothing is compared."),
        ({"a": FIRST, "b": BETTER}, {"q1": {"a": 1}}, "mrr", "a single query, so no test is run"),
        ({"a": FIRST}, {"q1": {"a": 0}}, "mrr", "No document is relevant by these grades"),
        ({"a": FIRST}, {"q1": {"a": 0}, "q2": {"c": 1}}, "mrr", "1 of 2 queries have no relevant"),
        ({"a": FIRST}, {"q1": {"a": 1}}, "ndcg@10", "The grades are binary: ndcg@10 can tell"),
        ({"a": FIRST}, {"q1": {"a": 1}}, "map-l2", "No grade is as high as map-l2 asks for"),
        (
            {"a": {"q1": ["a"]}}, QRELS, "mrr",
            "a shares only 1 of 3 queries with the grades; the 2 that it lacks count 0.",
        ),
        ({"a": FIRST}, {"q1": {"a": 2}}, "mrr", "a has 2 queries without grades"),
    ],
)  # fmt: skip
def test_what_limits_the_numbers_is_said(
    tmp_path: Path, runs: dict[str, dict[str, list[str]]], qrels: Qrels, measures: str, said: str
) -> None:
    notes = report(tmp_path, runs, qrels, measures=measures).notes
    assert [note for note in notes if said in note]


def test_graded_judgements_of_shared_queries_need_no_note(tmp_path: Path) -> None:
    qrels = {f"q{place}": {"a": 2} for place in range(10)}
    runs = {name: {query: ["a"] for query in qrels} for name in "ab"}
    assert report(tmp_path, runs, qrels).notes == ()


def test_a_run_that_shares_no_query_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^b: the query ids of the run and of the qrels do not"):
        report(tmp_path, {"a": FIRST, "b": {"other": ["a"]}})


def test_runs_are_named_by_their_files_and_told_apart_by_their_paths() -> None:
    one, same, other = Path("x/bm25.trec"), Path("y/bm25.trec"), Path("x/prp.k10.trec")
    assert name_runs([one, other]) == {"bm25": one, "prp.k10": other}
    assert list(name_runs([one, same, other])) == ["x/bm25.trec", "y/bm25.trec", "prp.k10"]
    assert list(name_runs([Path("a\u202e\udc80.trec")])) == ["a\\u202e\\udc80"]
    with pytest.raises(InputError, match=r"bm25\.trec is given twice"):
        name_runs([one, same, Path("x/../x/bm25.trec")])


def test_a_query_that_a_run_lacks_is_a_loss_of_all_it_had(tmp_path: Path) -> None:
    found = report(tmp_path, {"a": BETTER, "b": {"q1": ["a", "b"]}})
    (other,) = found.others
    assert [one.query for one in other.losses] == ["q2", "q3"]
    assert [moved.after for moved in other.losses[0].moved] == [None, None]


def test_equal_scores_may_keep_the_order_of_the_file(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.trec" for name in ("first", "tied")}
    for name, path in paths.items():
        lines = [f"{q} Q0 {d} {n} 0 x\n" for q, of in BETTER.items() for n, d in enumerate(of)]
        path.write_text("".join(lines if name == "tied" else reversed(lines)))
    asked = parse_measures(["mrr"])
    found = {
        ties: build_report(paths, Grades(QRELS, asked), source="qrels", ties=ties)
        for ties in ("docid", "order")
    }
    assert found["order"].baseline_run.scores.means["mrr"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert found["docid"].baseline_run.scores.means["mrr"] == pytest.approx(
        (1 / 2 + 1 / 2 + 1 / 2) / 3
    )
    moved = found["order"].others[0].movement
    assert moved is not None
    assert (moved.up, moved.down) == (0, 0)
