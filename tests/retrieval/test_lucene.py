"""Lucene, for real: indexes and searches by Anserini, where the extra is installed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files import read_documents, read_qrels, read_queries
from rankprompt.retrieval import anserini, bm25
from rankprompt.retrieval.lucene_index import build
from rankprompt.retrieval.lucene_search import search

pytestmark = pytest.mark.java


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    try:
        anserini.find_java()
        anserini.find_jar()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", autouse=True)
def _compiled_little() -> Iterator[None]:
    """Java's second compiler takes a third of the time of a program that ends in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path_factory.mktemp("cache")))


def texts(documents: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    return ((name, {"text": text}) for name, text in documents.items())


PETS = {
    "a": 'The "cat" sat & purred: it\'s <b>here</b>, \\n {id: 1}\t\u2028end',
    "doc/ü:2#": "A dog barked at the postman.",
    "文档": "Parrots learn to speak, and cats do not.",
    "_4": "\ud800 dogs and cats",  # half a character, as JSON can hold
    "blank": " \n ",
    "control": "\0",
    "stop": "the of and",
}


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    index = tmp_path_factory.mktemp("索引 with space") / "pets"
    build(texts(PETS), index, fields=["text"], threads=2)
    return index


def test_documents_are_found_by_their_words_whatever_their_ids(pets: Path) -> None:
    found = search(pets, {"q 1": "barking dogs", "问": "parrots"})
    assert {query: set(scores) for query, scores in found.items()} == {
        "q 1": {"doc/ü:2#", "_4"},
        "问": {"文档"},
    }
    assert next(iter(found["q 1"])) == "doc/ü:2#"
    assert (
        list(search(pets, {"q": "cats"}, depth=2)["q"]) == list(search(pets, {"q": "cat"})["q"])[:2]
    )


def test_all_queries_are_there_in_their_order_and_those_without_hits_are_empty(pets: Path) -> None:
    asked = {"z": "zebra", "b": "cats", "blank": "  ", "none": "", "stop": "the of", "a": "parrots"}
    found = search(pets, asked)
    assert list(found) == list(asked)
    assert [query for query, scores in found.items() if scores] == ["b", "a"]
    assert search(pets, {"z": "zebra", "y": ""}) == {"z": {}, "y": {}}
    assert search(pets, {"z": ""}) == {"z": {}}
    assert search(pets, {}) == {}


SYNTAX = (
    'cat" AND (dog', "cat OR NOT dog", "+cat -dog", "cat~2 dog^3", "text: cat dog", "cat* dog?",
    "[cat TO dog]", "{cat} \\dog\\", "cat && dog || !", "cat\tdog", "cat\ndog\r\n", "cat/dog",
    "\ufeffcat dog", "cat\0dog", "cat\u2028dog", "<cat>&amp; dog", "cat\x0bdog", "cat\rdog\ud800",
)  # fmt: skip


def test_no_character_of_a_query_is_syntax(pets: Path) -> None:
    for query, scores in search(pets, {query: query for query in SYNTAX}).items():
        assert set(scores) == {"a", "doc/ü:2#", "文档", "_4"}, query


def test_the_index_says_how_it_was_made_and_which_documents_are_blank(pets: Path) -> None:
    about = json.loads((pets / "rankprompt.json").read_text())
    assert (about["documents"], about["blank_documents"]) == (5, 2)
    assert about["first_blank"] == ["blank"]
    assert (about["language"], about["fields"]) == ("en", ["text"])
    assert about["java"].split(".")[0] >= "21"
    assert about["anserini"].startswith("anserini-")
    assert [path.name for path in pets.parent.iterdir()] == ["pets"]


def test_the_digest_is_of_the_documents(tmp_path: Path) -> None:
    first = build(texts({"a": "cat"}), tmp_path / "1")["blake2b"]
    assert build(texts({"a": "cat"}), tmp_path / "2", threads=3)["blake2b"] == first
    assert build(texts({"a": "dog"}), tmp_path / "3")["blake2b"] != first


def test_chinese_is_found_by_pairs_of_characters(tmp_path: Path) -> None:
    documents = {"盐": "河流把盐带进大海。", "鹤": "鹤单腿站着睡觉。", "en": "Cranes sleep."}
    build(texts(documents), tmp_path / "zh", language="zh")
    found = search(
        tmp_path / "zh", {"1": "大海里的盐", "2": "睡觉\n的鹤", "3": "海大", "4": "cranes"}
    )
    assert {query: list(scores) for query, scores in found.items()} == {
        "1": ["盐"], "2": ["鹤"], "3": [], "4": ["en"],
    }  # fmt: skip


def test_the_fields_chosen_are_the_ones_indexed(tmp_path: Path) -> None:
    documents = [("a", {"title": "whale", "text": "cat"}), ("b", {"title": "", "text": "whale"})]
    for fields, expected in ((["title", "text"], {"a", "b"}), (["text"], {"b"})):
        build(documents, tmp_path / str(len(fields)), fields=fields)
        assert set(search(tmp_path / str(len(fields)), {"q": "whale"})["q"]) == expected


def test_equal_scores_are_ordered_by_id_however_many_there_are(tmp_path: Path) -> None:
    names = sorted(f"d{i}" for i in range(400))
    build(texts({**dict.fromkeys(reversed(names), "a whale"), "long": "whale " + "song " * 30}),
          tmp_path / "i", threads=3)  # fmt: skip
    found = search(tmp_path / "i", {"q": "whale"})["q"]
    assert list(found) == [*names, "long"]
    assert list(found.values()) == sorted(set(found.values()), reverse=True)


def test_k1_and_b_are_passed_on(tmp_path: Path) -> None:
    build(texts({"short": "whale", "long": "whale whale " + "song " * 30}), tmp_path / "i")
    first = {
        (k1, b): next(iter(search(tmp_path / "i", {"q": "whale"}, k1=k1, b=b)["q"]))
        for k1, b in ((2.0, 0.0), (0.9, 1.0))
    }
    assert first == {(2.0, 0.0): "long", (0.9, 1.0): "short"}


def test_the_ranking_is_about_as_good_as_that_of_bm25s(tmp_path: Path) -> None:
    from rankprompt.eval import parse_measure, score

    source = sample("en")
    documents, queries = read_documents(source / "docs.jsonl"), read_queries(source / "queries.tsv")
    build(texts({one.id: one.text for one in documents.values()}), tmp_path / "i")
    qrels, ndcg = read_qrels(source / "qrels.trec"), parse_measure("ndcg@10")
    ours = score(bm25(queries, documents, depth=1000), qrels, [ndcg]).means["ndcg@10"]
    theirs = score(search(tmp_path / "i", queries), qrels, [ndcg]).means["ndcg@10"]
    assert theirs == pytest.approx(ours, abs=0.05)


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([], "no documents to index"),
        ([("a", {"text": " "}), ("b", {"text": ""})], "none of 2 documents has text in title or"),
        ([("a", {"text": "x"}), ("a", {"text": "x"})], "document a occurs twice"),
        ([("a b", {"text": "x"})], "one word without spaces, not 'a b'"),
        ([("", {"text": "x"})], "one word without spaces, not ''"),
        ([("a", {"body": "x"})], "document a has no field title or text"),
        ([("x" * 40_000, {"text": "cat"}), ("a", {"text": "cat"})], "Lucene failed: .*immense"),
    ],
)
def test_documents_that_cannot_be_indexed_are_refused_and_nothing_is_left(
    tmp_path: Path, documents: list[tuple[str, dict[str, str]]], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        build(documents, tmp_path / "index")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").touch()
    with pytest.raises(InputError, match="exists already"):
        build(texts({"a": "cat"}), tmp_path / "taken")
    with pytest.raises(InputError, match=r"cannot write .*: No such file"):
        build(texts({"a": "cat"}), tmp_path / "no" / "folder")
    (tmp_path / "empty").mkdir()
    assert build(texts({"a": "cat"}), tmp_path / "empty")["documents"] == 1


def test_killed_in_the_middle_there_is_no_index(tmp_path: Path) -> None:
    script = """
import signal, sys
from pathlib import Path
from rankprompt.retrieval.lucene_index import build
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
def endless():
    for i in range(10**9):
        yield f"d{i}", {"text": "a whale"}
        if i == 1000: print("going", flush=True)
build(endless(), Path(sys.argv[1]))
"""
    for way in (signal.SIGKILL, signal.SIGINT):
        words = [sys.executable, "-c", script, str(tmp_path / "index")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"going\n"
            process.send_signal(way)
        assert process.returncode != 0
        assert not (tmp_path / "index").exists()
    # What kill -9 left went with the next build, and an interrupt leaves nothing.
    assert list(tmp_path.iterdir()) == []
    assert build(texts({"a": "cat"}), tmp_path / "index")["documents"] == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"depth": 0}, "`depth` >= 1"),
        ({"k1": -1.0}, "`k1` >= 0"),
        ({"b": 1.5}, "`b` <= 1"),
        ({"b": float("nan")}, "`b` <= 1"),
        ({"language": "zh"}, "was indexed as 'en', not 'zh'"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    pets: Path, settings: dict[str, object], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        search(pets, {"q": "cat"}, **settings)  # type: ignore[arg-type]


def test_a_language_that_anserini_would_take_for_english_is_refused(
    pets: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="unknown language 'zz'"):
        build(texts({"a": "cat"}), tmp_path / "i", language="zz")
    with pytest.raises(UnknownNameError, match="unknown language 'zz'"):
        search(pets, {"q": "cat"}, language="zz")


def test_an_index_that_others_made_needs_its_language(pets: Path, tmp_path: Path) -> None:
    for path in pets.iterdir():
        if path.suffix != ".json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="give `language`"):
        search(tmp_path, {"q": "cat"})
    assert search(tmp_path, {"q": "cat"}, language="en") == search(pets, {"q": "cat"})


def test_a_folder_that_is_no_index_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="is not a Lucene index"):
            search(path, {"q": "cat"})


def test_a_query_of_too_many_words_is_an_error_not_a_lost_query(pets: Path) -> None:
    fits, over = (" ".join(f"w{i}" for i in range(words)) for words in (1024, 1025))
    assert search(pets, {"q": f"{fits} w1 w2 w3"}) == {"q": {}}
    with pytest.raises(InputError, match=r"more than 1,024 different words") as raised:
        search(pets, {"q": over, "r": "cat"})
    assert Path(str(raised.value).rpartition("log: ")[2]).read_text()


def test_a_broken_index_is_one_line_and_the_log_is_kept(pets: Path, tmp_path: Path) -> None:
    for path in pets.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    next(tmp_path.glob("segments_*")).write_bytes(b"broken")
    with pytest.raises(InputError, match="Lucene failed: ") as raised:
        search(tmp_path, {"q": "cat"})
    assert "\n" not in str(raised.value)
    assert Path(str(raised.value).rpartition("log: ")[2]).is_file()


def test_a_prebuilt_index_that_is_none_is_one_line() -> None:
    with pytest.raises(InputError, match=r"Lucene failed: .*no-such-index"):
        search("pyserini:no-such-index", {"q": "cat"}, timeout=60)


def test_a_search_that_takes_too_long_is_stopped(pets: Path) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError, match=r"stopped after 0\.05 seconds"):
        search(pets, {"q": "cat"}, timeout=0.05)
    assert time.perf_counter() - started < 5


@pytest.mark.skipif(os.name != "posix", reason="a locale of POSIX")
def test_the_locale_changes_nothing(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = search(pets, {"q": "parrots"})
    monkeypatch.setenv("LC_ALL", "C")
    assert search(pets, {"q": "parrots"}) == expected
