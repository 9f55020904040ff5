"""The reliability diagram of a report: of runs whose scores are probabilities of relevance."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rankprompt.eval import Grades, parse_measures
from rankprompt.eval.reliability import PROBABILITY, reliability
from rankprompt.eval.report import Report, build_report, name_runs
from rankprompt.eval.report_files import write_report
from rankprompt.eval.report_page import format_page
from rankprompt.files import write_run
from rankprompt.files.manifest import describe_file, format_manifest

QRELS = {f"q{n}": {f"d{k}": k // 3 for k in range(8)} for n in range(5)}
SCORES = {f"q{n}": {f"d{k}": (k + 1) / 10 + n / 100 for k in range(9)} for n in range(5)}


def write_scored(path: Path, meaning: str, scores: Mapping[str, Mapping[str, float]]) -> None:
    """A run with scores, and a manifest that gives their meaning."""
    path.write_text(
        "".join(
            f"{query} Q0 {document} {rank} {score} t\n"
            for query, of in scores.items()
            for rank, (document, score) in enumerate(
                sorted(of.items(), key=lambda item: -item[1]), start=1
            )
        )
    )
    manifest = format_manifest({"output": describe_file(path), "scores": {"meaning": meaning}})
    path.with_suffix(".json").write_text(manifest)


def build(folder: Path, *names: str, measures: str = "ndcg@10", ties: str = "docid") -> Report:
    """A report of a first stage and these runs."""
    first = folder / "first.trec"
    write_run(first, {query: sorted(of) for query, of in QRELS.items()}, "t")
    grades = Grades(QRELS, parse_measures([measures]))
    paths = [first, *(folder / f"{name}.trec" for name in names)]
    return build_report(name_runs(paths), grades, source="qrels", ties=ties)


@pytest.mark.parametrize("ties", ["docid", "order"])
@pytest.mark.parametrize(("measures", "level"), [("ndcg@10", 1), ("ndcg@10 map-l2", 2)])
def test_a_run_of_probabilities_has_a_diagram_and_its_bins(
    measures: str, level: int, ties: str, tmp_path: Path
) -> None:
    write_scored(tmp_path / "graded.trec", "expected share", SCORES)
    write_scored(tmp_path / "probable.trec", PROBABILITY, SCORES)
    report = build(tmp_path, "graded", "probable", measures=measures, ties=ties)
    assert {place: run.name for place, run in report.probabilistic.items()} == {3: "probable"}
    expected = reliability(
        [SCORES[query][document] for query, of in QRELS.items() for document in of],
        [grade >= level for of in QRELS.values() for grade in of.values()],
    )
    expected = replace(expected, level=level)
    (run,) = report.probabilistic.values()
    assert run.reliability == expected

    page = format_page(report)
    assert "Are the scores probabilities?" in page
    error = f"{expected.expected_calibration_error:.3f}"
    assert f"<strong><bdi>probable</bdi></strong>: expected calibration error {error}" in page
    assert '<title id="reliability-3-title">probable: share of relevant documents' in page
    assert f'<desc id="reliability-3-desc">Expected calibration error {error}' in page
    caption = f"40 documents with a grade by their score; relevant from grade {level} on."
    assert page.count(f"<caption>{caption}</caption>") == 1

    written = write_report(report, tmp_path / "report.html", tmp_path / "files")
    names = {path.name for path in written}
    assert {"reliability-3.svg", "reliability-3.png", "reliability.csv"} <= names
    with (tmp_path / "files" / "reliability.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["documents"]) for row in rows] == [one.documents for one in expected.bins]
    assert {row["run"] for row in rows} == {"probable"}
    data = json.loads((tmp_path / "files" / "report.json").read_text("utf-8"))
    assert ["reliability" in one for one in data["runs"]] == [False, False, True]
    # A second report takes the place of the first one, whose files it knows.
    write_report(build(tmp_path, "graded"), tmp_path / "report.html", tmp_path / "files")
    assert not list((tmp_path / "files").glob("reliability*"))


def test_without_such_a_run_the_page_and_the_files_say_nothing_of_it(tmp_path: Path) -> None:
    write_scored(tmp_path / "graded.trec", "expected share", SCORES)
    beyond = {query: {"d1": 2.0, **of} for query, of in SCORES.items()} | {"q0": {"d1": 1.5}}
    write_scored(tmp_path / "beyond.trec", PROBABILITY, beyond)
    report = build(tmp_path, "graded", "beyond")
    assert report.probabilistic == {}
    assert "probabilities?" not in format_page(report)
    data = json.loads(json.dumps(report.as_data()))
    assert not any("reliability" in run for run in data["runs"])
    names = {path.name for path in write_report(report, tmp_path / "r.html", tmp_path / "files")}
    assert not any("reliability" in name for name in names)


def test_a_manifest_of_another_run_gives_its_scores_no_meaning(tmp_path: Path) -> None:
    write_scored(tmp_path / "probable.trec", PROBABILITY, SCORES)
    with (tmp_path / "probable.trec").open("a") as run:
        run.write("q9 Q0 d1 1 0.5 t\n")
    assert build(tmp_path, "probable").probabilistic == {}
