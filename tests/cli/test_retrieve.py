"""``rankprompt retrieve``."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets import open_collection
from rankprompt.eval import Grades, parse_measure
from rankprompt.files import read_run
from tests.cli.conftest import Collection, Command

GUESSED = "rankprompt: language en, guessed from the queries (language=auto)\n"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("RANKPROMPT_CACHE", str(folder))
    return folder


def retrieve(collection: Collection, *more: object) -> list[object]:
    return [
        "retrieve", "--queries", collection.queries, "--docs", collection.docs,
        "--output", collection.output, *more,
    ]  # fmt: skip


def test_candidates_are_found_and_the_run_says_how(
    command: Command, collection: Collection
) -> None:
    collection.queries.write_text("q1\twhy is the sea salt\nq2\thow do cranes sleep\nq3\tzebra\n")
    ran = command(*retrieve(collection))
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith(
        f"{GUESSED}rankprompt: {collection.output}: 3 queries; 4 documents; 4 candidates; "
        "1 queries match no document, first: q3; "
    )
    assert collection.ranking() == {"q1": "d3 d4 d1", "q2": "d2"}
    assert collection.output.read_text().splitlines()[0].endswith(" bm25")
    manifest = json.loads((collection.folder / "out.json").read_text())
    settings = manifest["settings"]
    assert (settings["language"], settings["fields"]) == ("en", "title,text")
    assert manifest["first_without_match"] == ["q3"]
    assert {name: Path(one["path"]).name for name, one in manifest["inputs"].items()} == {
        "queries": "queries.tsv", "docs": "docs.jsonl",
    }  # fmt: skip
    assert read_run(collection.output)["q1"]["d3"] > 0


def test_the_run_can_be_reranked_and_the_same_again_is_the_same(
    command: Command, collection: Collection
) -> None:
    command(*retrieve(collection))
    first = collection.output.read_text()
    command(*retrieve(collection))
    assert collection.output.read_text() == first
    ran = command(*collection.rerank(run=collection.output, output=collection.folder / "x.trec"))
    assert ran.code == 0, ran.err


def test_extent_and_settings_are_followed(command: Command, collection: Collection) -> None:
    index = collection.folder / "index"
    words = ["--depth", 1, "--limit", 1, "--language", "none", "--index", index, "--json"]
    ran = command(*retrieve(collection, *words))
    assert (ran.code, ran.err) == (0, "")
    assert collection.ranking() == {"q1": "d4"}  # the only one in which "is" and "sea" stand
    assert json.loads(ran.out) == json.loads((collection.folder / "out.json").read_text())
    assert (index / "rankprompt.json").exists()
    ran = command(*retrieve(collection, "--index", index))
    assert (ran.code, collection.ranking()) == (2, {"q1": "d4"})
    assert "is the index of something else: language 'none', not 'en'" in ran.err


def test_queries_may_change_and_documents_may_not(
    command: Command, collection: Collection, cache: Path
) -> None:
    command(*retrieve(collection))
    (index,) = (cache / "bm25").iterdir()
    collection.queries.write_text("q2\thow do cranes sleep\n")
    command(*retrieve(collection))
    assert list((cache / "bm25").iterdir()) == [index]
    collection.docs.write_text('{"id": "d9", "text": "Cranes."}\n')
    command(*retrieve(collection))
    assert list((cache / "bm25").iterdir()) != [index]
    assert collection.ranking() == {"q2": "d9"}


def test_the_splits_of_a_collection_share_an_index(
    command: Command, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "t2"
    folder.mkdir()
    (folder / "collection.tsv").write_text("0\tcranes of Japan\n1\tsalt of the sea\n")
    for split, query in (("dev", "crane"), ("train", "salt")):
        (folder / f"queries.{split}.tsv").write_text(f"5\t{query}\n")
    for split, found in (("dev", "0"), ("train", "1")):
        output = tmp_path / f"{split}.trec"
        ran = command("retrieve", "--dataset", f"t2ranking:{folder}", "--split", split,
                      "--language", "en", "--output", output)  # fmt: skip
        assert ran.code == 0, ran.err
        assert list(read_run(output)["5"]) == [found]
    assert len(list((cache / "bm25").iterdir())) == 1


def test_the_fields_chosen_are_searched(command: Command, collection: Collection) -> None:
    collection.docs.write_text(
        '{"id": "d1", "title": "Cranes", "text": "of Japan"}\n'
        '{"id": "d2", "title": "", "text": "crane"}\n'
    )
    command(*retrieve(collection))
    assert collection.ranking() == {"q2": "d2 d1"}
    command(*retrieve(collection, "--fields", "title"))
    assert collection.ranking() == {"q2": "d1"}


def test_documents_may_come_through_a_pipe(
    command: Command, collection: Collection, cache: Path
) -> None:
    text = collection.docs.read_text()
    collection.docs.unlink()
    os.mkfifo(collection.docs)
    writing = threading.Thread(target=collection.docs.write_text, args=(text,))
    writing.start()
    ran = command(*retrieve(collection))
    writing.join()
    assert ran.code == 0, ran.err
    assert collection.ranking() == {"q1": "d3 d4 d1", "q2": "d2"}
    assert not (cache / "bm25").exists()


def test_null_texts_are_counted_and_block_nothing(command: Command, collection: Collection) -> None:
    with collection.docs.open("a") as docs, collection.queries.open("a") as queries:
        docs.write('{"id": "d5", "title": null, "text": null}\n')
        queries.write("q7\t\n")
    for _ in ("a new index", "one from the cache"):
        ran = command(*retrieve(collection, "--quiet"))
        assert ran.code == 0
        assert "rankprompt: queries without text, which find nothing: 1, first: q7\n" in ran.err
        counted = "rankprompt: documents without words, which are never found: 1 of 5, first: d5\n"
        assert counted in ran.err
    assert collection.ranking() == {"q1": "d3 d4 d1", "q2": "d2"}


def test_no_match_at_all_is_no_run(command: Command, collection: Collection) -> None:
    ran = command(*retrieve(collection, "--language", "zh", "--fields", "text", "--limit", 1))
    assert ran.code == 0  # Latin words are found in any language
    collection.output.unlink()
    collection.queries.write_text("q\tzebra\n")
    ran = command(*retrieve(collection, "--language", "en"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "rankprompt: none of 1 queries finds a document; is the language 'en' theirs?\n"
    )
    assert not collection.output.exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--output", "o.trec"], "give --queries and --docs, or a --dataset that has them"),
        (["--retriever", "lucene:x"], "give --queries, or a --dataset that has them"),
        (["--queries", "queries.tsv"], "give --queries and --docs"),
        (["--queries", "queries.tsv", "--dataset", "beir:x"], "leave out --queries, --docs"),
        (["--dataset", "beir:x", "--retriever", "bm52"], "unknown retriever 'bm52'; did you mean"),
        (["--queries", "q", "--docs", "d", "--split", "dev"], "--split goes with --dataset"),
        (
            ["--queries", "q", "--docs", "d", "--retriever", "lucene:x"],
            "--docs goes with --retriever bm25",
        ),
        (["--dataset", "x", "--retriever", "pyserini:x", "--fields", "text"], "--fields goes with"),
        (["--dataset", "x", "--retriever", "lucene:x", "--index", "y"], "--index goes with"),
        (["--queries", "q", "--docs", "d", "--fields", ","], "--fields names no field"),
        (["--queries", "q", "--docs", "d", "--depth", "0"], "--depth must be at least 1"),
        (["--queries", "q", "--docs", "d", "--limit", "0"], "--limit must be at least 1"),
        (["--queries", "q", "--docs", "docs.jsonl"], "cannot read q"),
        (["--queries", "queries.tsv", "--docs", "d", "--language", "en"], "cannot read d"),
        (["--queries", "queries.tsv", "--docs", "docs.jsonl", "--b", "2"], "b from 0 to 1"),
        (["--queries", "queries.tsv", "--docs", "docs.jsonl", "--language", "cn"], "unknown lang"),
        (
            ["--queries", "queries.tsv", "--docs", "docs.jsonl", "--output", "queries.tsv"],
            "this input would be overwritten",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(
    command: Command,
    collection: Collection,
    words: list[str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(collection.folder)
    before = collection.files()
    ran = command("retrieve", "--output", "out.trec", *words)
    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert ran.err.removeprefix(GUESSED).count("\n") == 1
    assert collection.files() == before


@pytest.mark.parametrize(
    ("retriever", "language", "expected"),
    [
        ("lucene:there", [], (Path("there"), None)),
        ("lucene:there", ["--language", "zh"], (Path("there"), "zh")),
        ("pyserini:msmarco", [], ("pyserini:msmarco", "en")),
    ],
)
def test_an_index_of_lucenes_is_asked_for_all_queries(
    command: Command,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
    retriever: str,
    language: list[str],
    expected: tuple[object, str | None],
) -> None:
    asked: dict[str, Any] = {}

    def search(
        index: object, queries: Mapping[str, str], **settings: Any
    ) -> dict[str, dict[str, float]]:
        asked.update(settings, index=index, queries=list(queries))
        return {"q1": {"x": 2.0, "y": 2.0}, "q2": {}}

    monkeypatch.setattr("rankprompt.retrieval.lucene_search.search", search)
    words = ["--queries", collection.queries, "--output", collection.output, "--depth", 7]
    ran = command("retrieve", "--retriever", retriever, *words, *language)
    assert ran.code == 0, ran.err
    assert (asked.pop("index"), asked["language"]) == expected
    assert (asked["depth"], asked["k1"], asked["queries"]) == (7, 0.9, ["q1", "q2"])
    assert collection.ranking() == {"q1": "x y"}
    first, second = read_run(collection.output)["q1"].values()
    assert first > second


def test_chinese_passages_are_found(command: Command, data: Path, tmp_path: Path) -> None:
    dataset = f"t2ranking:{data / 't2ranking-sample'}"
    output = tmp_path / "zh.trec"
    ran = command("retrieve", "--dataset", dataset, "--output", output)
    assert (ran.code, ran.out) == (0, "")
    assert "language zh, guessed from the queries" in ran.err
    assert "47 queries; 60 documents" in ran.err
    measures = [parse_measure(name) for name in ("mrr@10", "recall@10")]
    means = Grades.of(open_collection(dataset), measures).score(read_run(output)).means
    assert means["mrr@10"] > 0.85
    assert means["recall@10"] > 0.94
    assert len(open_collection(dataset).queries()) == 47
