import gzip
import logging
import shutil
from pathlib import Path

import pytest

from rankprompt.datasets.t2ranking import (
    T2RankingCollection,
    clean,
    open_collection,
    recognise,
)
from rankprompt.errors import FormatError, InputError, UnknownNameError

FILES = {
    "collection.tsv": 'pid\ttext\n0\ta<br>b "c\n7\t\n12\tx\ty\n',
    "queries.dev.tsv": "qid\ttext\n3\t问<br>题\n4\t?\n",
    "queries.train.tsv": "9\tq\n",
    "qrels.dev.tsv": "3\t-\t0\t2\n3 - 7 0\n",
    "qrels.retrieval.dev.tsv": "qid\tpid\n3\t0\n",
    "dev.bm25.tsv": "3\t7\t1\n3\t0\t2\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def read(folder: Path, name: str, text: str) -> T2RankingCollection:
    (folder / name).write_text(text, encoding="utf-8")
    return open_collection(str(folder))


def test_all_parts(folder: Path) -> None:
    collection = open_collection(str(folder))
    assert collection.name == f"t2ranking:{folder}"
    assert {path.name for path in collection.paths} == FILES.keys() - {"queries.train.tsv"}
    assert collection.queries() == {"3": "问<br>题", "4": "?"}
    assert list(collection.documents()) == [
        ("0", {"text": 'a\nb "c'}),
        ("7", {"text": ""}),
        ("12", {"text": "x\ty"}),
    ]
    assert dict(collection.documents(["7"])) == {"7": {"text": ""}}
    assert collection.qrels() == {"3": {"0": 2, "7": 0}}
    assert collection.qrels("binary") == {"3": {"0": 1}}
    assert collection.run() == {"3": {"7": -1.0, "0": -2.0}}


def test_parts_that_are_not_there_are_none(folder: Path) -> None:
    collection = open_collection(str(folder), split="train")
    assert collection.queries() == {"9": "q"}
    assert collection.run() is collection.qrels() is collection.qrels("binary") is None


def test_gzip(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    assert recognise(folder)
    collection = open_collection(str(folder))
    assert len(collection.documents()) == 3
    assert len(collection.paths) == 5
    assert collection.run() == {"3": {"7": -1.0, "0": -2.0}}


def test_the_real_sample(data: Path) -> None:
    source = data / "t2ranking-sample"
    collection = open_collection(str(source))
    lines = (source / "collection.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    expected = [(line.split("\t")[0], {"text": line.split("\t")[1]}) for line in lines]
    assert list(collection.documents()) == expected
    assert len(collection.documents()) == 60
    assert len(collection.queries()) == 47
    graded, binary, run = collection.qrels(), collection.qrels("binary"), collection.run()
    assert graded is not None
    assert binary is not None
    assert run is not None
    assert sum(map(len, graded.values())) == sum(map(len, binary.values())) == 60
    assert {grade for grades in binary.values() for grade in grades.values()} == {1}
    assert run.keys() == collection.queries().keys()
    assert {len(scores) for scores in run.values()} == {20}
    assert next(iter(run["0"])) == "67441"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a<br>b<BR/>c<br />d</br>e", "a\nb\nc\nd\ne"),
        ('a<img src="x.png" alt=y>b<IMG>c<img/>', "abc"),
        ("1 < 2 > 0 <b>x</b> <brown> <image> <img", "1 < 2 > 0 <b>x</b> <brown> <image> <img"),
        ("&lt;br&gt; &amp; &nbsp;", "&lt;br&gt; &amp; &nbsp;"),
        ("<br>", "\n"),
    ],
)
def test_markup(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("header", ["", "pid\ttext\n", "\ufeffpid\ttext\r\n", "\n_id\tpassage\n"])
def test_a_header_is_no_record_and_a_first_record_no_header(folder: Path, header: str) -> None:
    collection = read(folder, "collection.tsv", f"{header}1\tpid\n2\ttext\n")
    assert dict(collection.documents()) == {"1": {"text": "pid"}, "2": {"text": "text"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x1\ta\n2\tb\n", ":1: expected a whole number as the id .*, found 'x1'"),
        ("pid\ttext\npid\ttext\n", ":2: expected a whole number"),
        ("pid\t7\n1\ta\n", ":1: expected a whole number"),
        ("1\ta\n 2\tb\n", ":2: .* found ' 2'"),
        ("1\ta\n\tb\n", ":2: .* found ''"),
        ("1\ta\n2 b\n", ":2: .*found no tab"),
        ("1\ta\n1\tb\n", ":2: document 1 has another text on line 1"),
        ("pid\ttext\n", ": the file is empty"),
        ("", ": the file is empty"),
    ],
)
def test_malformed_passages_are_told(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=f"collection.tsv{problem}"):
        read(folder, "collection.tsv", text).documents()


def test_a_query_twice_is_told(folder: Path) -> None:
    with pytest.raises(FormatError, match=r"dev\.tsv:3: query 1 is already on line 1"):
        read(folder, "queries.dev.tsv", "1\ta\n2\tb\n1\ta\n").queries()


@pytest.mark.parametrize("header", ["", "qid pid grade\n"])
def test_columns_of_judgements(folder: Path, header: str) -> None:
    name = "qrels.retrieval.dev.tsv"
    expected = {"1": {"2": 1}, "3": {"4": 0}}
    assert read(folder, name, f"{header}1 2 1\n3\t4  0\n").qrels("binary") == expected
    header = header.replace("pid", "- pid")
    assert read(folder, name, f"{header}1 0 2 1\n3 Q0 4 0\n").qrels("binary") == expected
    graded = read(folder, "qrels.dev.tsv", "1 2 3\n").qrels()
    assert graded == {"1": {"2": 3}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 2\n", ":1: expected 3 or 4 columns, found 2"),
        ("1 - 2 3\n1 4 2\n", ":2: expected 4 columns, found 3"),
        ("1 - 2 3\n1 - 2 0\n", ":2: passage 2 of query 1 has grade 3 on an earlier line"),
        ("1 - 2 high\n", ":1: expected a whole number as the grade, found 'high'"),
        ("1 - x 3\n", ":1: expected a whole number as the id"),
        ("qid - pid 3\n", ":1: expected a whole number as the id"),
        ("qid - pid grade\n", ": the file is empty"),
    ],
)
def test_malformed_judgements_are_told(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=f"qrels.dev.tsv{problem}"):
        read(folder, "qrels.dev.tsv", text).qrels()


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("1 7 1\n1 8 2\n", ["7", "8"]),
        ("qid pid rank\n1 7 2\n1 8 5\n", ["7", "8"]),  # of a longer list
        ("1 8 2\n1 7 1\n1 9 3\n", ["7", "8", "9"]),  # 1 to n in any order
        ("1 7 2.5\n1 8 4\n", ["8", "7"]),  # a score, though they rise
        ("1 7 40\n1 8 25\n1 9 25\n", ["7", "8", "9"]),
        ("1 7 1 9.5\n1 8 2 3.25\n", ["7", "8"]),
        ("1 8 2 3\n1 7 1 9\n", ["7", "8"]),
        ("1 8 2 3\n1 7 1 3\n", ["7", "8"]),
    ],
)
def test_ranks_and_scores(
    folder: Path, text: str, order: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = read(folder, "dev.bm25.tsv", text).run()
    assert run is not None
    assert list(run["1"]) == order
    scores = list(run["1"].values())
    assert scores == sorted(scores, reverse=True)
    assert caplog.messages == []


def test_lines_of_a_query_may_stand_apart(folder: Path) -> None:
    text = "1 7 1 9\n2 7 1 9\n1 8 2 3\n"
    expected = {"1": {"7": 9, "8": 3}, "2": {"7": 9}}
    assert read(folder, "dev.bm25.tsv", text).run() == expected
    text = "1 7 1\n2 7 1\n1 8 2\n"
    expected = {"1": {"7": -1, "8": -2}, "2": {"7": -1}}
    assert read(folder, "dev.bm25.tsv", text).run() == expected


def test_contradicting_ranks_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "rankprompt"):
        run = read(folder, "dev.bm25.tsv", "1 7 1 0.5\n1 8 2 3.5\n").run()
    assert run == {"1": {"8": 3.5, "7": 0.5}}
    assert "ranks disagree with scores on 2 lines of 1 queries" in caplog.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 7 2\n1 8 1\n", ": cannot tell whether the third column holds ranks or scores"),
        ("1 7 9\n1 8 4\n2 7 1\n2 8 3\n", ": cannot tell"),
        ("1 7 1\n1 7 2\n", ":2: query 1 has passage 7 above already"),
        ("1 7 1 3\n1 7 2 2\n", ":2: document 7 of query 1 is already on line 1"),
        ("1 7 1 3\n1 8 2\n", ":2: expected 4 columns, found 3"),
        ("1 7 1\n1 8 x\n", ":2: expected a finite number as the score"),
        ("1 7 first 3\n", ":1: expected a finite number as the rank"),
        ("1 7\n", ":1: expected 3 or 4 columns, found 2"),
        ("", ": the file is empty"),
    ],
)
def test_malformed_candidates_are_told(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=f"dev.bm25.tsv{problem}"):
        read(folder, "dev.bm25.tsv", text).run()


def test_what_is_no_such_folder_is_told(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"split 'tset'.*dev, train.*queries\.tset\.tsv"):
        open_collection(str(folder), split="tset")
    with pytest.raises(InputError, match="no folder"):
        open_collection(str(folder / "absent"))
    (folder / "collection.tsv").unlink()
    assert not recognise(folder)
    with pytest.raises(InputError, match=r"no collection\.tsv in"):
        open_collection(str(folder))
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(InputError, match=r"no queries\.SPLIT\.tsv"):
        open_collection(str(folder))
