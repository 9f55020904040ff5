"""``rankprompt report``."""

import json
from pathlib import Path

import pytest

from rankprompt.files.manifest import describe_file
from tests.cli.conftest import Collection, Command


def test_runs_over_dl19_make_a_page_and_its_files(
    command: Command, data: Path, tmp_path: Path
) -> None:
    folder, runs = data / "dl19", []
    for name, noise in (("good", 0.1), ("poor", 0.4)):
        run = tmp_path / f"{name}.trec"
        words = ["--run", folder / "run.bm25.trec", "--queries", folder / "queries.tsv"]
        words += ["--docs", folder / "docs.jsonl", "--model", f"oracle:{folder / 'qrels.trec'}"]
        assert command("rerank", *words, "--noise", noise, "--output", run).code == 0
        runs.append(run)
    page, files = tmp_path / "report.html", tmp_path / "files"
    words = ["--qrels", folder / "qrels.trec", "--queries", folder / "queries.tsv"]
    words += ["--baseline", folder / "run.bm25.trec", "--output", page, "--files", files]
    ran = command("report", *runs, *words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{page}: 3 runs, and ")
    html = page.read_text("utf-8")
    assert "good against run.bm25 by ndcg@10: 0." in html
    assert "better than the baseline" in html
    assert "how long is life cycle of flea" in html
    assert len(html) < 1_000_000
    found = json.loads((files / "report.json").read_text())
    assert [one["name"] for one in found["runs"]] == ["run.bm25", "good", "poor"]
    assert round(found["runs"][0]["scores"]["means"]["ndcg@10"], 4) == 0.5058


def test_a_collection_gives_grades_and_texts(command: Command, collection: Collection) -> None:
    folder = collection.folder / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "".join(f'{{"_id": "d{place}", "title": "", "text": "t"}}\n' for place in range(1, 5))
    )
    (folder / "queries.jsonl").write_text(
        '{"_id": "q1", "text": "why is the sea salt"}\n{"_id": "q2", "text": "cranes"}\n'
    )
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t1\nq2\td2\t1\n")
    page = collection.folder / "report.html"
    ran = command("report", collection.run, "--dataset", f"beir:{folder}", "--output", page)
    assert ran.code == 0
    assert "There is a single run, so nothing is compared." in ran.err
    assert "The grades are binary: ndcg@10 can tell" in ran.err
    assert "2 queries" in page.read_text()


def test_one_query_is_told_why_nothing_is_tested(command: Command, collection: Collection) -> None:
    collection.qrels.write_text("q1 0 d3 3\n")
    assert command(*collection.rerank()).code == 0
    page = collection.folder / "report.html"
    words = ["--qrels", collection.qrels, "--queries", collection.queries, "--output", page]
    ran = command("report", collection.run, collection.output, *words)
    assert ran.code == 0
    assert "There is a single query, so no test is run" in ran.err
    html = page.read_text()
    assert "out against run by ndcg@10: a single query allows no test." in html
    assert "There is a single query, so no test is run" in html
    assert "No test was run" in html


def test_costs_are_shown_for_the_run_that_they_are_of(
    command: Command, collection: Collection
) -> None:
    assert command(*collection.rerank()).code == 0
    manifest = collection.output.with_suffix(".json")
    written = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**written, "output": describe_file(collection.output)}))
    page = collection.folder / "report.html"
    words = [collection.run, collection.output, "--qrels", collection.qrels, "--output", page]
    assert command("report", *words).code == 0
    html = page.read_text()
    assert "unknown: <bdi>no manifest beside it (run.json)</bdi>" in html
    assert "ndcg@10 against comparisons" in html
    assert "oracle" in html
    with collection.output.open("a") as run:
        run.write("q2 Q0 d1 3 0 t\n")
    assert command("report", *words).code == 0
    html = page.read_text()
    assert "unknown: <bdi>out.json belongs to another run</bdi>" in html
    assert "ndcg@10 against comparisons" not in html


def test_what_cannot_be_reported_is_one_line_and_nothing_is_written(
    command: Command, collection: Collection
) -> None:
    run, page = collection.run, collection.folder / "report.html"
    before = collection.files()
    ran = command("report", run, run, "--qrels", collection.qrels, "--output", page)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"rankprompt: {run} is given twice; give each run once\n"
    ran = command("report", run, "--output", page)
    assert (ran.code, ran.err) == (2, "rankprompt: give either --qrels or --dataset\n")
    other = collection.folder / "other.trec"
    other.write_text("other Q0 d1 1 1 t\n")
    ran = command("report", run, other, "--qrels", collection.qrels, "--output", page)
    assert ran.code == 2
    assert "rankprompt: other: the query ids of the run and of the qrels do not match" in ran.err
    assert collection.files() == before | {"other.trec"}


@pytest.mark.usefixtures("fake")
def test_the_judges_of_a_run_are_named(command: Command, collection: Collection) -> None:
    oracle = f"oracle:{collection.qrels}"
    noisy, staged = collection.folder / "noisy.trec", collection.folder / "staged.trec"
    assert command(*collection.rerank(noise=0.25, output=noisy)).code == 0
    assert command(
        "rerank", "--run", collection.run, "--queries", collection.queries, "--output", staged,
        "--docs", collection.docs, "--keep-going", "--stage", f"pointwise:{oracle}@3",
        "--stage", "heapsort:fake@2",
    ).code == 0  # fmt: skip
    page = collection.folder / "report.html"
    ran = command("report", noisy, staged, "--qrels", collection.qrels, "--output", page)
    assert ran.code == 0
    html = page.read_text("utf-8")
    assert "<bdi>oracle, noise 0.25</bdi>" in html
    assert "<bdi>oracle, fake</bdi>" in html
