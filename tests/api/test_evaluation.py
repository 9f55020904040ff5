"""``evaluate`` and ``compare`` against the command line, which computes the same numbers."""

import builtins
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rankprompt.api.evaluation import compare, evaluate
from rankprompt.cli.app import app
from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError
from rankprompt.files import read_documents, read_qrels, read_queries, read_run
from rankprompt.retrieval import bm25
from rankprompt.types import Run

QRELS = sample("en") / "qrels.trec"
MEASURES = "ndcg@10 map-l2 rbp.8 judged@3"


class Files(NamedTuple):
    """Three runs of the sample."""

    first: Path
    tied: Path
    few: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """BM25's run, the same with ties and no ranks, and one that lacks queries."""
    folder = tmp_path_factory.mktemp("runs")
    files = Files(folder / "first.trec", folder / "tied.trec", folder / "few.trec")
    queries, documents = read_queries(sample("en") / "queries.tsv"), sample("en") / "docs.jsonl"
    found = bm25(queries, read_documents(documents), depth=10)
    for file, digits in zip(files, (6, 0, 1), strict=True):
        file.write_text(
            "".join(
                f"{query} Q0 {document} 1 {round(score, digits)} x\n"
                for place, (query, scores) in enumerate(found.items())
                for document, score in scores.items()
                if file != files.few or place % 3
            )
        )
    return files


def cli(*words: object) -> Any:
    ran = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


@pytest.mark.parametrize("more", [{}, {"shared": True}, {"ties": "order"}])
@pytest.mark.parametrize("in_memory", [False, True])
def test_the_scores_are_the_command_lines(
    runs: Files, more: dict[str, Any], in_memory: bool
) -> None:
    words = ["--ties", more.get("ties", "docid"), *(["--shared"] if "shared" in more else [])]
    said = cli("evaluate", "--qrels", QRELS, *runs, "--measures", MEASURES, *words)
    named: dict[str, Path | Run] = {str(run): read_run(run) if in_memory else run for run in runs}
    qrels = read_qrels(QRELS) if in_memory else QRELS
    found = evaluate(qrels, named, MEASURES, **more)
    for run in said["runs"]:
        records = [record for record in found.records if record["run"] == run["run"]]
        assert {record["measure"]: record["mean"] for record in records} == run["means"]
        assert {record["missing"] for record in records} == {len(run["missing"])}
        by_query: dict[str, dict[str, float]] = {}
        for row in found.by_query:
            if row["run"] == run["run"]:
                by_query.setdefault(row["measure"], {})[row["query"]] = row["value"]
        assert by_query == run["by_query"]
    assert len(found.records) == 12


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_comparisons_are_the_command_lines(runs: Files, in_memory: bool) -> None:
    words = ["--qrels", QRELS, "--baseline", runs.first, runs.tied, runs.few]
    said = cli("compare", *words, "--measures", "ndcg@10 judged@3", "--seed", 3)
    named: dict[str, Path | Run] = {str(run): read_run(run) if in_memory else run for run in runs}
    found = compare(QRELS, named, str(runs.first), ["ndcg@10", "judged@3"], seed=3)
    same = {"better": "wins", "equal": "ties", "worse": "losses"}
    assert len(found.records) == len(said["comparisons"]) == 4
    for record, one in zip(found.records, said["comparisons"], strict=True):
        interval = one["interval"] or {"low": None, "high": None}
        assert (record["low"], record["high"]) == (interval["low"], interval["high"])
        for name in ("run", "measure", "difference", "queries", "effect", "t_test",
                     "randomisation", "holm", *same):  # fmt: skip
            assert record[name] == one[same.get(name, name)], name
        gaps = [
            row["difference"]
            for row in found.by_query
            if (row["run"], row["measure"]) == (record["run"], record["measure"])
        ]
        assert sum(gaps) / record["queries"] == pytest.approx(record["difference"])
        assert record["mean"] - record["baseline_mean"] == pytest.approx(record["difference"])
    means = {(one["run"], one["measure"]): one["mean"] for one in said["means"]}
    assert {(one["run"], one["measure"]): one["mean"] for one in found.means} == means
    assert "shared=True" in str(found)
    assert "--shared" not in str(found)


def test_runs_are_given_in_many_ways(runs: Files) -> None:
    one = evaluate(QRELS, runs.first).records[0]
    assert (one["run"], one["measure"]) == (str(runs.first), "ndcg@10")
    assert evaluate(str(QRELS), str(runs.first)).records == (one,)
    assert evaluate(QRELS, read_run(runs.first)).records == ({**one, "run": "run"},)
    assert evaluate(QRELS, list(runs), ["ndcg@10"]).records[0] == one
    assert evaluate(QRELS, {"a": runs.first}).records == ({**one, "run": "a"},)
    files = [runs.tied, runs.few]
    by_file = compare(QRELS, files, runs.first)
    assert [record["baseline"] for record in by_file.records] == [str(runs.first)] * 2
    by_mapping = compare(QRELS, files, read_run(runs.first))
    expected = [{**record, "baseline": "baseline"} for record in by_file.records]
    assert list(by_mapping.records) == expected


def test_frames_tables_and_html_show_the_records(runs: Files) -> None:
    found = compare(QRELS, {"<b>": runs.tied}, runs.first)
    (row,) = found.to_frame().to_dict("records")
    assert row == found.records[0]
    assert len(found.by_query_frame()) == len(found.by_query) == found.records[0]["queries"]
    html = found._repr_html_()
    assert html.count("<table>") == 2
    assert "<td>&lt;b&gt;</td>" in html
    assert f"{row['difference']:+.4f}" in html
    assert f"{row['difference']:+.4f}" in str(found)
    evaluation = evaluate(QRELS, {"a": runs.first}, "ndcg@10 mrr")
    assert list(evaluation.to_frame()["mean"]) == [one["mean"] for one in evaluation.records]
    assert str(evaluation).splitlines()[0].split() == ["run", "ndcg@10", "mrr", "queries"]


def test_without_pandas_the_pip_line_is_named(runs: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluate(QRELS, runs.first)
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name="pandas")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="a DataFrame needs pandas; run: pip install pandas"):
        found.to_frame()
    assert "ndcg@10" in found._repr_html_()


RUN = {"q1": {"a": 1.0}}
GRADES = {"q1": {"a": 1}}


@pytest.mark.parametrize(
    ("qrels", "runs", "more", "said"),
    [
        (GRADES, RUN, {"measures": "ngcd@10"}, "unknown measure 'ngcd'; did you mean 'ndcg'?"),
        (GRADES, RUN, {"measures": [3]}, "`measures` must be names, not 3"),
        (GRADES, RUN, {"ties": "rank"}, "unknown way to order ties 'rank'"),
        (GRADES, RUN, {"dataset": "ir:x"}, "give either `qrels` or `dataset`"),
        (None, RUN, {}, "give either `qrels` or `dataset`"),
        (GRADES, {"q1": {"a": float("nan")}}, {}, "run: query 'q1': the score of document 'a' is"),
        (GRADES, {"q1": {"a": float("nan")}}, {"ties": "order"}, "scores must be finite numbers"),
        (GRADES, {"x": {"q1": {"a": "1"}}}, {}, "x: query 'q1': the score of document 'a' must be"),
        (
            GRADES,
            {"q1": {"a": 10**400}},
            {},
            "the score of document 'a' must be a number, not 1000",
        ),
        (GRADES, {"x": {"q1": ["a"]}, "y": "f"}, {}, "x: query 'q1': expected scores by document"),
        (GRADES, {"x": {}}, {}, "x: the run is empty"),
        (GRADES, {"x": {"q1": {}}, "y": RUN}, {}, "x: the run is empty"),
        (GRADES, {}, {}, "give at least one run"),
        (GRADES, [], {}, "give at least one run"),
        (GRADES, ["a", "a"], {}, "each run may be given once"),
        (GRADES, 3, {}, "`runs` must be a file, scores by query and document, a list of files"),
        (GRADES, {"x": 3}, {}, "x: expected a file or a mapping, not int"),
        (GRADES, {1: {"a": 1.0}}, {}, "run: a query's id must be a text, not 1"),
        (GRADES, {"q1": {1: 1.0}}, {}, "run: a document's id must be a text, not 1"),
        (GRADES, {"q2": {"a": 1.0}}, {}, "run: the query ids of the run and of the qrels do not"),
        ({}, RUN, {}, "the qrels are empty"),
        ({"q1": {"a": 0.5}}, RUN, {}, "the grade of document 'a' must be a whole number, not 0.5"),
        ({"q1": {"a": None}}, RUN, {}, "the grade of document 'a' must be a whole number"),
        ({"q1": ["a"]}, RUN, {}, "query 'q1': expected grades by document id in a mapping"),
        (3, RUN, {}, "the qrels must be a mapping by query, not int"),
        ("none.trec", RUN, {}, "cannot read none.trec"),
        (GRADES, "none.trec", {}, "cannot read none.trec"),
    ],
)
def test_bad_input_is_one_line(qrels: Any, runs: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        evaluate(qrels, runs, **more)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("runs", "baseline", "said"),
    [
        ({"a": RUN}, "a", "there is nothing to compare: give a run beside the baseline"),
        ({"a": RUN}, "b", "`baseline` 'b' is none of the runs (a) and no file"),
        ({"baseline": RUN}, RUN, "a run is called 'baseline' already"),
        ({"a": RUN}, 3, "baseline: expected a file or a mapping, not int"),
    ],
)
def test_a_baseline_that_is_none_is_refused(runs: Any, baseline: Any, said: str) -> None:
    with pytest.raises(InputError) as raised:
        compare(GRADES, runs, baseline)
    assert said in str(raised.value)


IDS = st.sampled_from(["a", "b", "c", "d", "é"])
NUMBERS = st.floats(-3, 3) | st.integers(-2, 2) | st.integers(-2, 2).map(np.float32)


@given(
    st.dictionaries(IDS, st.dictionaries(IDS, st.integers(-1, 3), min_size=1), min_size=1),
    st.dictionaries(IDS, st.dictionaries(IDS, NUMBERS, min_size=1), min_size=1),
    st.sampled_from(["docid", "order"]),
)
def test_a_run_in_memory_scores_as_its_file(
    tmp_path_factory: pytest.TempPathFactory, qrels: Any, run: Any, ties: str
) -> None:
    folder = tmp_path_factory.mktemp("same")
    (folder / "qrels").write_text(
        "".join(f"{q} 0 {d} {grade}\n" for q, of in qrels.items() for d, grade in of.items())
    )
    (folder / "run").write_text(
        "".join(
            f"{q} Q0 {d} 1 {float(score)!r} x\n" for q, of in run.items() for d, score in of.items()
        )
    )
    results: list[object] = []
    for one, grades in ((run, qrels), (folder / "run", folder / "qrels")):
        try:
            found = evaluate(grades, {"x": one}, "ndcg@3 mrr bpref", ties=ties)
            results.append(found.records)
        except InputError as error:
            results.append(str(error).partition(": ")[2])
    assert results[0] == results[1]
