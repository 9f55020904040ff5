"""Collections of ir_datasets, with files laid where it would have downloaded them to."""

import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rankprompt.datasets import open_collection
from rankprompt.datasets.ir_datasets import IrCollection, register
from rankprompt.datasets.ir_datasets_library import guarded, library
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
    query: str


class Scored(NamedTuple):
    query_id: str
    doc_id: str
    score: float


def local_json(path: Path, kind: Any = Doc) -> Any:
    return ir_datasets.formats.JsonlDocs(ir_datasets.util.LocalDownload(path, mkdir=False), kind)


def dataset(*parts: Any) -> IrCollection:
    return IrCollection("ir:x", ir_datasets.Dataset(*parts))


def run(script: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "IR_DATASETS_HOME": str(home), "IR_DATASETS_DL_TIMEOUT": "2"},
        check=False,
    )


SHOW = """
    import json, logging, sys
    from rankprompt.datasets import open_collection
    from rankprompt.errors import RankpromptError
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        found = open_collection(sys.argv[1])
        documents = found.documents()
        print(json.dumps([
            found.queries(), documents.get(["2", "1", "x"]), [name for name, _ in documents],
            len(documents), found.qrels(), found.run(),
        ]))
    except RankpromptError as error:
        print(type(error).__name__, error)
"""


def test_a_collection_of_ir_datasets_whose_files_are_laid_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "vaswani"
    folder.mkdir()
    (folder / "docs.txt").write_text("1\nfast\nstars\n   /\n2\nslow stars\n   /\n")
    (folder / "queries.txt").write_text("1\nHOW FAST\n/\n")
    (folder / "qrels.txt").write_text("1\n  2 1\n   /\n")
    for _ in range(2):  # the second time, documents come from its store
        done = run(SHOW, tmp_path, "ir:vaswani")
        # Neither a progress bar nor a traceback.
        assert [line for line in done.stderr.splitlines() if line[:12] != "ir_datasets:"] == []
        queries, some, names, count, qrels, scored = json.loads(done.stdout)
        assert queries == {"1": "HOW FAST\n"}
        assert some == {"2": {"text": "slow stars\n"}, "1": {"text": "fast\nstars\n"}}
        assert list(some) == ["2", "1"]
        assert names == ["1", "2"]
        assert count == 2
        assert qrels == {"1": {"2": 1, "1": 1}}
        assert scored is None


def test_an_archive_laid_by_hand_is_unpacked(tmp_path: Path) -> None:
    script = """
        import io, tarfile, sys
        with tarfile.open(sys.argv[1], "w:gz") as archive:
            for name, text in {
                "cran.all.1400": ".I 1\\n.T\\nfast wings\\n.A\\nme\\n.B\\nx\\n.W\\nthey fly\\n"
                                 ".I 2\\n.T\\nslow\\n.A\\n.B\\n.W\\nb\\n",
                "cran.qry": ".I 001\\n.W\\nwings?\\n",
                "cranqrel": "1 2 3\\n",
            }.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    """
    (tmp_path / "cranfield").mkdir()
    made = run(script, tmp_path, str(tmp_path / "cranfield" / "cran.tar.gz"))
    assert made.returncode == 0, made.stderr
    queries, some, *_, qrels, _ = json.loads(run(SHOW, tmp_path, "ir:cranfield").stdout)
    assert queries == {"1": "wings?"}
    assert some["1"] == {
        "title": "fast wings",
        "text": "they fly",
        "author": "me",
        "bib": "x",
    }
    assert qrels == {"1": {"2": 3}}


def test_what_cannot_be_downloaded_is_told_in_one_line(tmp_path: Path) -> None:
    done = run(
        "import socket\nsocket.getaddrinfo = None\n" + textwrap.dedent(SHOW), tmp_path, "ir:vaswani"
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("InputError ir:vaswani: cannot download http://ir.dcs.gla.ac.uk/")
    assert line.endswith(f"put the file here: {tmp_path}/vaswani/npl.tar.gz")
    assert not done.stderr


def test_what_must_be_asked_for_is_told_with_its_place(tmp_path: Path) -> None:
    done = run(SHOW, tmp_path, "ir:nyt")
    (line,) = done.stdout.splitlines()
    assert "available from the LDC" in line
    assert line.endswith(f"symlink the source file here: {tmp_path}/nyt/nyt.tgz")
    assert not done.stderr


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
    def __init__(self, *names: str) -> None:
        self._names = names

    def queries_cls(self) -> Any:
        return BareQuery

    def queries_iter(self) -> Iterator[BareQuery]:
        return (BareQuery(name, "what?") for name in self._names)


class ScoredDocs(ir_datasets.formats.BaseScoredDocs):  # type: ignore[misc]
    def __init__(self, *rows: Scored) -> None:
        self._rows = rows

    def scoreddocs_iter(self) -> Iterator[Scored]:
        return iter(self._rows)


def test_the_field_that_is_a_querys_text_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rankprompt"):
        assert dataset(Queries("a", "b")).queries() == {"a": "what?", "b": "what?"}
    assert "ir:x: a query's text is its field query" in caplog.text
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


def test_a_question_on_the_terminal_is_an_error() -> None:
    download = ir_datasets.util.RequestsDownload("http://localhost:9/x", auth="somebody")
    place = ir_datasets.util.home_path() / "auth" / "somebody"
    expected = f"ir:x: .* needs a user name and a password: .*{place}"
    with pytest.raises(InputError, match=expected), guarded("ir:x"):
        list(download)


def test_terms_are_passed_on_and_bars_count_unseen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    library()
    (tmp_path / "x").write_text("")
    source = ir_datasets.util.LocalDownload(tmp_path / "x")
    with caplog.at_level(logging.INFO, "rankprompt"):
        ir_datasets.util.Download([source], tmp_path / "copy", dua="You agree\nto this").path()
    assert "ir_datasets: You agree to this" in caplog.text
    with ir_datasets.log.easy().pbar_raw(total=9) as bar:
        bar.update(3)
        assert bar.n == 3  # where a download that broke off goes on
    assert capsys.readouterr() == ("", "")
