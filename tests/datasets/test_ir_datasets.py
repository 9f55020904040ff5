"""Collections of ir_datasets, with files laid where it would have downloaded them to."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rankprompt.datasets import open_collection
from rankprompt.datasets.ir_datasets import IrCollection, register
from rankprompt.errors import FormatError, InputError, UnknownNameError

ir_datasets: Any = pytest.importorskip("ir_datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    before = set(ir_datasets.registry)
    yield
    for ident in set(ir_datasets.registry) - before:
        del ir_datasets.registry._registered[ident]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    files = {part: tmp_path / "mine" / part for part in ("docs", "queries", "qrels")}
    files["docs"].parent.mkdir()
    files["docs"].write_text("d1\tfast\rand slow\nd2\t\n")
    files["queries"].write_text("q1\thow fast?\n")
    files["qrels"].write_text("q1 0 d1 2\n")
    return files


class Doc(NamedTuple):
    doc_id: str
    title: str
    abstract: str
    year: int

    def default_text(self) -> str:
        return f"{self.title} {self.abstract}"


class BareDoc(NamedTuple):
    doc_id: str
    url: str


class BareQuery(NamedTuple):
    query_id: str
    query: str | None


class Scored(NamedTuple):
    query_id: str
    doc_id: str
    score: float


def local_json(path: Path, kind: Any = Doc) -> Any:
    return ir_datasets.formats.JsonlDocs(ir_datasets.util.LocalDownload(path, mkdir=False), kind)


def dataset(*parts: Any) -> IrCollection:
    return IrCollection("ir:x", ir_datasets.Dataset(*parts))


def test_an_unknown_id_is_told_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'beir/scifact'") as caught:
        open_collection("ir:beir/scifakt")
    assert len(str(caught.value)) < 400
    with pytest.raises(UnknownNameError, match="msmarco-passage"):
        open_collection("ir:0")
    with pytest.raises(UnknownNameError, match="'beir/scifact/dev'"):
        open_collection("ir:beir/scifact", split="dev")
    assert open_collection("ir:beir/scifact", split="test").name == "ir:beir/scifact/test"


def test_files_of_the_users_own(files: dict[str, Path]) -> None:
    register("my/set", **files)
    found = open_collection("ir:my/set")
    assert found.queries() == {"q1": "how fast?"}
    assert list(found.documents()) == [("d1", {"text": "fast\rand slow"}), ("d2", {"text": ""})]
    assert found.qrels() == {"q1": {"d1": 2}}
    assert found.run() is None
    assert found.paths == (files["docs"], files["queries"], files["qrels"])
    files["docs"].write_text("d1\tother\n")
    assert list(open_collection("ir:my/set").documents()) == [("d1", {"text": "other"})]
    assert len(list(files["docs"].parent.iterdir())) == 3
    with pytest.raises(InputError, match="ir:my/set: my/set already exists"):
        register("my/set", **files)


def test_the_documented_way_to_register_them(files: dict[str, Path]) -> None:
    made = ir_datasets.create_dataset(*map(str, files.values()))
    ir_datasets.registry.register("my/other", made)
    assert dict(open_collection("ir:my/other").documents())["d1"] == {"text": "fast\rand slow"}
    files["docs"].unlink()
    with pytest.raises(InputError, match=r"cannot read .*docs: No such file"):
        open_collection("ir:my/other").documents()


def test_a_mistyped_path_makes_no_folder(tmp_path: Path, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"no file .*/absent/docs to register as my/set"):
        register("my/set", **{**files, "docs": tmp_path / "absent" / "docs"})
    assert not (tmp_path / "absent").exists()


def test_malformed_files_of_the_users_own_are_told(files: dict[str, Path]) -> None:
    register("my/set", **files)
    files["docs"].write_text("d1\ta\nd2\ta\tb\n")
    with pytest.raises(FormatError, match=r"docs:2: expected 2 columns .*, found 3"):
        open_collection("ir:my/set").documents()
    files["queries"].write_text("q\ta\nq\ta\n")
    with pytest.raises(FormatError, match="queries:2: query q is already on line 1"):
        open_collection("ir:my/set").queries()


def test_a_module_registers_its_collections(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_extension.py").write_text(
        f"import ir_datasets\ndef register():\n    ir_datasets.registry.register('ext/x', "
        f"ir_datasets.create_dataset({str(files['docs'])!r}, {str(files['queries'])!r}))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for _ in range(2):
        found = open_collection("ir:my_extension:ext/x")
        assert found.name == "ir:my_extension:ext/x"
        assert found.queries() == {"q1": "how fast?"}
        assert found.qrels() is None
    with pytest.raises(InputError, match="ir:nowhere_to_be_found:x: No module named"):
        open_collection("ir:nowhere_to_be_found:x")


def test_the_store_beside_a_changed_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    for year, abstract in enumerate(("old", "new")):
        doc = {"doc_id": "d1", "title": "Stars", "abstract": abstract, "year": year}
        path.write_text(json.dumps(doc) + "\n")
        os.utime(path, (1, 1))
        for _ in range(2):
            documents = dataset(local_json(path)).documents()
            expected = {"title": "Stars", "abstract": abstract, "text": abstract}
            assert documents.get(["d1", "x"]) == {"d1": expected}
            assert list(documents) == [("d1", expected)]
            assert len(documents) == 1
    assert (tmp_path / "docs.jsonl.pklz4").is_dir()


def test_what_a_record_lacks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text('{"doc_id": "d1", "url": "x"}\n{"doc_id": "d2"}\n')
    documents = dataset(local_json(path, BareDoc)).documents()
    with pytest.raises(InputError, match="ir:x: KeyError: 'url'"):
        list(documents)
    path.write_text('{"doc_id": "d1", "url": "x"}\n')
    with pytest.raises(InputError, match=r"ir:x: document d1 has no text, only \['url'\]"):
        dataset(local_json(path, BareDoc)).documents().get(["d1"])
    path = tmp_path / "more.jsonl"
    path.write_text('{"doc_id": "a b", "title": "", "abstract": "", "year": 1}\n')
    with pytest.raises(InputError, match="'a b' is not one word"):
        list(dataset(local_json(path)).documents())
    path.write_text('{"doc_id": "d", "title": "\\ud83d", "abstract": "", "year": 1}\n')
    with pytest.raises(InputError, match="surrogate"):
        list(dataset(local_json(path)).documents())
    path.unlink()
    with pytest.raises(InputError, match=r"ir:x: no file .*more\.jsonl"):
        dataset(local_json(path)).documents().get(["d1"])
    with pytest.raises(InputError, match="ir:x has no queries; it has docs"):
        dataset(local_json(path)).queries()


class Queries(ir_datasets.formats.BaseQueries):  # type: ignore[misc]
    def __init__(self, *names: str, text: str | None = "what?") -> None:
        self._names, self._text = names, text

    def queries_cls(self) -> Any:
        return BareQuery

    def queries_iter(self) -> Iterator[BareQuery]:
        return (BareQuery(name, self._text) for name in self._names)


class ScoredDocs(ir_datasets.formats.BaseScoredDocs):  # type: ignore[misc]
    def __init__(self, *rows: Scored) -> None:
        self._rows = rows

    def scoreddocs_iter(self) -> Iterator[Scored]:
        return iter(self._rows)


def test_the_field_that_is_a_querys_text_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rankprompt"):
        assert dataset(Queries("a", "b")).queries() == {"a": "what?", "b": "what?"}
    assert "ir:x: a query's text is its field query" in caplog.text
    assert dataset(Queries("a", text=None)).queries() == {"a": ""}
    with pytest.raises(InputError, match="query a occurs twice"):
        dataset(Queries("a", "a")).queries()


def test_grades_that_differ_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "qrels").write_text("q 1 d 0\nq 2 d 2\nq 2 e 1\nq 2 e 1\n")
    download = ir_datasets.util.LocalDownload(tmp_path / "qrels")
    qrels = dataset(ir_datasets.formats.TrecSubQrels(download, {})).qrels()
    assert qrels == {"q": {"d": 2, "e": 1}}
    assert "ir:x: 1 pairs have several grades; the last counts" in caplog.text


def test_scored_documents_are_the_run() -> None:
    rows = [Scored("q", "a", 1), Scored("q", "b", 3), Scored("q", "c", 3), Scored("r", "a", 0)]
    run = dataset(ScoredDocs(*rows)).run()
    assert run is not None
    assert [list(scores) for scores in run.values()] == [["b", "c", "a"], ["a"]]
    with pytest.raises(InputError, match="document a of query q has two scores"):
        dataset(ScoredDocs(rows[0], rows[0])).run()
