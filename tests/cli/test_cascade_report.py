"""``rankprompt cascade report``, on the sample's long documents with a tiny teacher."""

import csv
import json
from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_queries
from tests.cascade.toy_models import teacher as teacher  # a fixture
from tests.cli.conftest import Command

COLUMNS = [
    "student", "k", "ndcg@10", "share", "overlap", "p50", "p95", "p99", "p95_share",
    "teacher_calls", "teacher_tokens",
]  # fmt: skip


@pytest.fixture
def words(tmp_path: Path, teacher: Path) -> list[object]:
    folder, run = sample("long"), tmp_path / "run.trec"
    with (folder / "docs.jsonl").open(encoding="utf-8") as file:
        names = [json.loads(line)["id"] for line in file]
    queries = list(read_queries(folder / "queries.tsv"))
    run.write_text("".join(f"{q} Q0 {d} {i} {-i} x\n" for q in queries
                           for i, d in enumerate(names)))  # fmt: skip
    return [
        "cascade", "report", "--run", run, "--queries", folder / "queries.tsv",
        "--docs", folder / "docs.jsonl", "--qrels", folder / "qrels.trec", "--teacher", teacher,
        "--limit", 3, "--timed", 2, "--keep", 1, "--keep", 2, "--window", 100,
    ]  # fmt: skip


def test_the_report_is_a_table_a_folder_and_json(
    command: Command, words: list[object], tmp_path: Path
) -> None:
    ran = command(*words, "--output", tmp_path / "report")
    assert ran.code == 0
    assert all(word in ran.out for word in ("bm25", "first", "random", "all", "nDCG@10", "p95 ms"))
    assert "aggregated by mean:3" in ran.err
    found = {path.name for path in (tmp_path / "report").iterdir()}
    assert {
        "cascade.csv", "cascade.json", "quality-k.svg", "quality-latency.svg", "teacher.journal",
    } <= found  # fmt: skip
    made = json.loads((tmp_path / "report" / "cascade.json").read_text())
    assert (made["queries"], made["queries_timed"]) == (3, 2)
    assert list(made["rows"][0]) == COLUMNS
    assert [(row["student"], row["k"]) for row in made["rows"]] == [
        ("all", None), ("bm25", 1), ("bm25", 2), ("first", 1), ("first", 2), ("random", 1),
        ("random", 2),
    ]  # fmt: skip
    by_name = {(row["student"], row["k"]): row for row in made["rows"]}
    assert by_name["bm25", 1]["teacher_calls"] == made["documents"] / 3
    assert by_name["all", None]["teacher_calls"] > by_name["bm25", 2]["teacher_calls"]
    rows = list(csv.DictReader((tmp_path / "report" / "cascade.csv").read_text().splitlines()))
    assert len(rows) == 7
    # Once more: quality comes from the journal, and is the same.
    again = command(*words, "--json", "--timed", 0, "--journal",
                    tmp_path / "report" / "teacher.journal")  # fmt: skip
    second = json.loads(again.out)
    for name in ("ndcg@10", "overlap"):
        assert [row[name] for row in second["rows"]] == [row[name] for row in made["rows"]]
    assert {row["p95"] for row in second["rows"]} == {None}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--student", "bm52"], "did you mean 'bm25'?"),
        (["--keep", "0"], "--keep, --depth and --limit must be 1 or more"),
        (["--timed", "-1"], "--timed 0 or more"),
        (["--aggregate", "sum"], "aggregated by max"),
        (["--teacher", "absent"], "unknown teacher 'absent'"),
        (["--teacher", "rerank:m"], "--teacher rerank:m is behind a server, which only"),
        (["--window", "0"], "--window must be at least 1, not 0"),
        (["--tokens", "0"], "--tokens must be at least 1, not 0"),
        (
            ["--window-unit", "words"],
            "unknown --window-unit 'words'. Known: paragraphs, sentences, tokens.",
        ),
    ],
)
def test_what_cannot_work_is_told(
    command: Command, words: list[object], more: list[str], line: str
) -> None:
    ran = command(*words, *more)
    assert (ran.code, ran.out) == (2, "")
    assert line in ran.err


def test_documents_and_queries_that_are_cut_are_counted(
    command: Command, words: list[object], tmp_path: Path
) -> None:
    long, *others = read_queries(sample("long") / "queries.tsv")
    asked = tmp_path / "queries.tsv"
    asked.write_text(f"{long}\t{'mill ' * 200}\n" + "".join(f"{one}\tmill\n" for one in others))
    ran = command(*words, "--queries", asked, "--tokens", 100, "--timed", 0, "--json")
    made = json.loads(ran.out)
    assert made["queries_cut"] == 1
    assert made["documents_cut"] == made["documents"] > 0
    told = command(*words, "--queries", asked, "--tokens", 100, "--timed", 0).err
    assert f"; {made['documents']} documents cut; 1 queries cut" in told


def test_queries_without_grades_are_counted(
    command: Command, words: list[object], tmp_path: Path
) -> None:
    grades = tmp_path / "qrels.trec"
    grades.write_text("nobody 0 d 1\n")
    ran = command(*words, "--qrels", grades)
    assert ran.code == 2
    assert "no grades for any query" in ran.err


def test_windows_of_whole_sentences_are_others(command: Command, words: list[object]) -> None:
    made = [
        json.loads(command(*words, "--timed", 0, "--json", "--window-unit", unit).out)["windows"]
        for unit in ("tokens", "sentences")
    ]
    # A sentence that has no room left begins the next window: never fewer.
    assert made[1] > made[0]
