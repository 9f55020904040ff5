import bz2
import gzip
import json
import logging
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Fields
from rankprompt.datasets.beir import BeirCollection, recognise, write_beir
from rankprompt.errors import FormatError, InputError, RankpromptError, UnknownNameError
from rankprompt.files.text_lines import is_word
from tests.datasets.mutating import mutate

QUERIES = {"q1": "how fast?", "q2": "why\u2028so?", "q3": ""}
DOCUMENTS: dict[str, Fields] = {
    "d1": {"title": "Speed", "text": "fast\nand slow"},
    "d2": {"title": "", "text": "因为", "url": "http://x"},
    "d3": {"title": "Long", "text": ""},
}
QRELS = {"q2": {"d1": 0, "d2": 2}, "q1": {"d3": 1}, "q3": {"d1": -1}}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
IDS = TEXTS.filter(lambda text: is_word(text) and text[0] != "\ufeff")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_beir(tmp_path / "set", QUERIES, DOCUMENTS.items(), QRELS)
    return tmp_path / "set"


def test_what_is_written_is_beir(folder: Path) -> None:
    first = json.loads((folder / "corpus.jsonl").read_text().splitlines()[0])
    assert first == {"_id": "d1", "title": "Speed", "text": "fast\nand slow"}
    assert json.loads((folder / "queries.jsonl").read_text().split("\n")[0])["_id"] == "q1"
    lines = (folder / "qrels" / "test.tsv").read_text().split("\n")
    assert lines[:2] == ["query-id\tcorpus-id\tscore", "q2\td1\t0"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["set"]


def test_it_reads_back_equal(folder: Path) -> None:
    found = open_collection(str(folder))
    assert found.name == f"beir:{folder}"
    assert list(found.queries().items()) == list(QUERIES.items())
    assert list(found.documents()) == list(DOCUMENTS.items())
    assert found.documents(["d2"]).get(["d2", "x"]) == {"d2": DOCUMENTS["d2"]}
    assert found.qrels() == found.qrels("binary") == QRELS
    assert found.run() is None
    assert [path.name for path in found.paths] == ["corpus.jsonl", "queries.jsonl", "test.tsv"]


def test_a_big_corpus_is_read_from_a_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(folder.parent / "cache"))
    monkeypatch.setattr("rankprompt.datasets.documents.IN_MEMORY", 0)
    documents = open_collection(str(folder)).documents()
    assert list((folder.parent / "cache" / "collections").glob("*.sqlite"))
    assert list(documents) == list(DOCUMENTS.items())
    assert list(documents.get(["d3", "d1", "x"])) == ["d3", "d1"]


@settings(max_examples=60)
@given(
    st.dictionaries(IDS, TEXTS, min_size=1),
    st.dictionaries(
        IDS,
        st.fixed_dictionaries({"title": TEXTS, "text": TEXTS}, optional={"url": TEXTS}),
        min_size=1,
    ),
    st.data(),
)
def test_anything_reads_back_equal(
    queries: dict[str, str], documents: dict[str, dict[str, str]], data: st.DataObject
) -> None:
    grades = st.dictionaries(st.sampled_from(sorted(documents)), st.integers(-9, 9), min_size=1)
    qrels = {query: data.draw(grades) for query in queries}
    with tempfile.TemporaryDirectory() as name:
        write_beir(Path(name) / "x", queries, documents.items(), qrels, "dev")
        found = BeirCollection(Path(name) / "x")
        assert list(found.queries().items()) == list(queries.items())
        assert list(found.documents()) == list(documents.items())
        assert found.qrels() == qrels


def test_only_the_queries_of_the_split_are_given(folder: Path) -> None:
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq3\td1\t1\n")
    assert list(open_collection(f"beir:{folder}", split="dev").queries()) == ["q3"]
    assert list(open_collection(f"beir:{folder}").queries()) == ["q1", "q2", "q3"]


def test_the_split_is_test_or_the_only_one(folder: Path) -> None:
    qrels = folder / "qrels"
    (qrels / "test.tsv").rename(qrels / "train.tsv")
    assert open_collection(f"beir:{folder}").qrels() == QRELS
    (qrels / "dev.tsv.gz").write_bytes(gzip.compress(b"q1\td1\t1\n"))
    with pytest.raises(InputError, match="no split 'test', but dev, train; choose one"):
        open_collection(f"beir:{folder}")
    with pytest.raises(UnknownNameError, match="unknown split 'tran'; did you mean 'train'"):
        open_collection(f"beir:{folder}", split="tran")


def test_a_folder_without_judgements_gives_all_queries(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").unlink()
    found = open_collection(str(folder))
    assert found.qrels() is None
    assert found.queries() == QUERIES
    with pytest.raises(UnknownNameError, match=r"needs qrels/test\.tsv"):
        open_collection(f"beir:{folder}", split="test")


def test_gzip_and_metadata(tmp_path: Path) -> None:
    corpus = '{"_id": 7, "id": "x", "text": "a", "title": null, "metadata": "m", "n": 3}\n'
    (tmp_path / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.encode()))
    (tmp_path / "queries.jsonl").write_bytes(gzip.compress(b'{"_id": "q", "text": "b"}\n'))
    assert recognise(tmp_path)
    assert list(open_collection(str(tmp_path)).documents()) == [("7", {"id": "x", "text": "a"})]


def test_judgements_without_a_header_lose_nothing(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t1\nq1\td2\t0\n")
    assert open_collection(str(folder)).qrels() == {"q1": {"d1": 1, "d2": 0}}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("corpus.jsonl", '{"_id": "d", "text": "a"}\nd\ta\n', "corpus.jsonl:2: malformed JSON"),
        ("corpus.jsonl", '{"id": "d", "text": "a"}\n', ":1: no '_id'; found 'id', 'text'"),
        ("corpus.jsonl", '{"_id": "d", "text": 3}\n', "a string under 'text', found int"),
        ("corpus.jsonl", '{"_id": "d"}\n', "no 'text'; found '_id'"),
        ("corpus.jsonl", '{"_id": "d", "text": "", "title": []}', "under 'title', found list"),
        ("corpus.jsonl", '{"_id": "d", "text": "", "text": "a"}', "'text' occurs twice"),
        ("corpus.jsonl", '{"_id": "d", "text": "\\ud83d"}', "half a surrogate pair"),
        ("corpus.jsonl", '{"_id": "d d", "text": ""}', "one word without spaces"),
        ("corpus.jsonl", '["_id"]', "a JSON array; expected one object a line"),
        ("queries.jsonl", '[\n{"_id": "q1", "text": ""}]', "a JSON array; expected one object"),
        ("corpus.jsonl", "", "the file is empty"),
        ("queries.jsonl", "\n", "the file is empty; expected queries"),
        (
            "queries.jsonl",
            '{"_id": "q1", "text": ""}\n{"_id": "q1", "text": ""}',
            "queries.jsonl:2: query q1 is already on line 1",
        ),
        ("queries.jsonl", '{"_id": "q7", "text": ""}', "test.tsv: none of 3 .*: q2, q1, q3$"),
        ("qrels/test.tsv", "q d 1\n", "test.tsv:1: expected query-id<TAB>.*found 1 columns"),
        ("qrels/test.tsv", "q1\td\t1\nq1\td1\tgrade\n", ":2: .* score, found 'grade'"),
        ("qrels/test.tsv", "q1\td1\t0.5\n", ":1: .* whole number as the score, found '0.5'"),
        ("qrels/test.tsv", "q1\td1\t\n", ":1: .* whole number as the score, found ''"),
        ("qrels/test.tsv", "q1\td1\tNaN\n", ":1: .* whole number as the score, found 'NaN'"),
        ("qrels/test.tsv", "q1\td\t1\nquery-id\tcorpus-id\tscore\n", ":2: .*found 'score'"),
        ("qrels/test.tsv", "q1\td\t1\nq1\td\t2\n", ":2: .* has grade 2 here and 1 on line 1"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "no judgements"),
    ],
)
def test_what_is_malformed_is_told(folder: Path, name: str, content: str, problem: str) -> None:
    (folder / name).write_text(content)
    found = open_collection(f"beir:{folder}")
    with pytest.raises(InputError, match=problem) as caught:
        found.documents() if name == "corpus.jsonl" else found.queries()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "header",
    [
        "query_id\tcorpus_id\tscore", "qid\tdocid\trel", "Query ID\tDoc ID\tgrade (0-3)",
        '"query-id"\t"corpus-id"\t"score"', "q.id\td#\trelevance", "1\t2\tlabel",
    ],
)  # fmt: skip
def test_a_header_is_known_by_its_third_column(folder: Path, header: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(f"{header}\nq1\td1\t2.0 \n")
    assert open_collection(str(folder)).qrels() == {"q1": {"d1": 2}}


def test_judged_queries_without_text_are_counted_and_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (folder / "qrels" / "test.tsv").open("a") as file:
        file.writelines(f"q{number}\td1\t1\n" for number in range(4, 9))
    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert list(open_collection(f"beir:{folder}").queries()) == ["q1", "q2", "q3"]
    (message,) = caplog.messages
    assert "test.tsv: judged queries that" in message
    assert message.endswith("queries.jsonl lacks, left out: 5 of 8, q4, q5, q6, ...")


def test_null_is_a_blank_text(folder: Path) -> None:
    corpus = '{"_id": "d1", "title": "T", "text": null}\n{"_id": "d2", "text": "a"}\n'
    (folder / "corpus.jsonl").write_text(corpus)
    (folder / "queries.jsonl").write_text(
        "".join(f'{{"_id": "q{number}", "text": null}}\n' for number in (1, 2, 3))
    )
    found = open_collection(str(folder))
    assert dict(found.documents()) == {"d1": {"title": "T", "text": ""}, "d2": {"text": "a"}}
    assert found.queries() == {"q1": "", "q2": "", "q3": ""}


@pytest.mark.parametrize(("suffix", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_are_found(
    folder: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    for path in (folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / "test.tsv"):
        path.with_name(path.name + suffix).write_bytes(pack(path.read_bytes()))
        path.unlink()
    assert recognise(folder)
    found = open_collection(str(folder))
    assert (found.qrels(), found.queries()) == (QRELS, QUERIES)
    assert list(found.documents()) == list(DOCUMENTS.items())


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .*; expected one with BEIR's corpus"):
        open_collection(f"beir:{tmp_path / 'x'}")
    with pytest.raises(InputError, match=r"no corpus\.jsonl in"):
        open_collection(f"beir:{tmp_path}")
    assert not recognise(tmp_path)


def test_a_folder_that_holds_something_else_is_kept(folder: Path) -> None:
    write_beir(folder, QUERIES, DOCUMENTS.items(), QRELS)  # the same
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="has other content"):
        write_beir(folder, QUERIES, DOCUMENTS.items(), QRELS)
    (folder / "notes.txt").unlink()
    with pytest.raises(InputError, match="has other content"):
        write_beir(folder, {**QUERIES, "q1": "other"}, DOCUMENTS.items(), QRELS)
    assert open_collection(str(folder)).queries() == QUERIES
    with pytest.raises(InputError, match="has other content"):
        write_beir(folder / "corpus.jsonl", QUERIES, DOCUMENTS.items(), QRELS)
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_nothing_is_left_of_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="document x has no text; its fields: title"):
        write_beir(tmp_path / "x", QUERIES, [("x", {"title": "a"})], QRELS)
    with pytest.raises(InputError, match="has a field metadata"):
        write_beir(tmp_path / "x", QUERIES, [("x", {"text": "a", "metadata": "b"})], QRELS)
    with pytest.raises(ValueError, match="'a b' is empty or holds white space"):
        write_beir(tmp_path / "x", {"a b": ""}, DOCUMENTS.items(), QRELS)
    with pytest.raises(ValueError, match="query q1 has no grade"):
        write_beir(tmp_path / "x", QUERIES, DOCUMENTS.items(), {"q1": {}})
    with pytest.raises(InputError, match=r"cannot write .*No such file"):
        write_beir(tmp_path / "absent" / "x", QUERIES, DOCUMENTS.items(), QRELS)
    assert not list(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    write_beir(tmp_path / "empty", QUERIES, [("d", {"text": "a"})], QRELS)
    assert dict(open_collection(str(tmp_path / "empty")).documents())["d"]["title"] == ""


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_changed_bytes_are_told_or_change_only_their_record(folder: Path, name: str) -> None:
    path = folder / name
    original = path.read_bytes()
    lines = set(original.split(b"\n"))
    read, refused = 0, []
    for content in mutate(original, seed=len(name), times=1000):
        path.write_bytes(content)
        found = BeirCollection(folder)
        try:
            got = dict(found.documents()) if name == "corpus.jsonl" else found.qrels()
            queries = found.queries() if name != "corpus.jsonl" else {}
        except RankpromptError as error:
            refused.append(str(error))
            continue
        read += 1
        kept = [line for line in content.split(b"\n") if line in lines and line]
        texts = [line.lstrip("\ufeff") for line in content.decode().split("\n")]
        filled = [line.removesuffix("\r") for line in texts if line.strip()]
        assert got is not None
        if name == "qrels/test.tsv":
            for line in kept:
                query, document, grade = line.decode().split("\t")
                assert query == "query-id" or got[query][document] == int(grade)
            header = filled[0].split("\t")[2].strip("\"' ").lstrip("+-.")[:1] not in "0123456789"
            rows = {tuple(line.split("\t")[:2]) for line in filled[header:]}
            assert sum(map(len, got.values())) == len(rows)
            continue
        given = got if name == "corpus.jsonl" else queries
        for record in map(json.loads, kept):
            value = given[record.pop("_id")]
            assert value == (record if name == "corpus.jsonl" else record["text"])
        distinct = {str(json.loads(line)["_id"]) for line in filled}
        assert set(given) == (distinct if name == "corpus.jsonl" else set(QRELS) & distinct)
    assert read > 20
    assert len(refused) > 200
    assert all(len(problem.splitlines()) == 1 for problem in refused)


def test_truncated_gzip_is_told(folder: Path) -> None:
    packed = gzip.compress((folder / "corpus.jsonl").read_bytes())
    for length in range(2, len(packed) - 8):
        (folder / "corpus.jsonl").write_bytes(packed[:length])
        with pytest.raises(FormatError, match="truncated or corrupt"):
            open_collection(f"beir:{folder}").documents()
