import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from rankprompt.datasets import open_collection
from rankprompt.datasets.t2ranking import T2RankingCollection
from rankprompt.errors import InputError, UnknownNameError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"


def write_t2ranking(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "collection.tsv").write_text("0\ta\n")
    for split in ("dev", "train"):
        (folder / f"queries.{split}.tsv").write_text(f"1\t{split}\n")


def write_beir(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "title": "", "text": "a"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "?"}\n')
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")


def write_requests(path: Path) -> None:
    record = {
        "query": {"qid": "q", "text": "?"},
        "candidates": [{"docid": "d", "score": 1.0, "doc": {"text": "a"}}],
    }
    path.write_text(json.dumps(record) + "\n")


def test_by_prefix(folder: Path) -> None:
    write_t2ranking(folder)
    collection = open_collection(f"t2ranking:{folder}")
    assert isinstance(collection, T2RankingCollection)
    assert collection.queries() == {"1": "dev"}
    assert open_collection(f"t2ranking:{folder}", split="train").queries() == {"1": "train"}


def test_an_unknown_prefix_is_told() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown dataset format 'bier'; did you mean 'beir'\?"
    ):
        open_collection("bier:scifact")


@pytest.mark.parametrize("form", ["t2ranking", "beir", "requests"])
def test_a_path_is_detected_and_said(
    folder: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    write = {"t2ranking": write_t2ranking, "beir": write_beir, "requests": write_requests}
    write[form](folder)
    with caplog.at_level(logging.INFO, "rankprompt"):
        collection = open_collection(str(folder))
    assert caplog.messages == [f"{folder}: read as {form}:"]
    assert collection.name == open_collection(f"{form}:{folder}").name
    assert list(collection.queries()) == ["1" if form == "t2ranking" else "q"]


def test_a_path_with_a_colon(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    write_t2ranking(folder)
    assert open_collection(str(folder)).queries() == {"1": "dev"}
    assert open_collection(f"t2ranking:{folder}").queries() == {"1": "dev"}


def test_an_ambiguous_folder_is_told(folder: Path) -> None:
    write_t2ranking(folder)
    write_beir(folder)
    with pytest.raises(InputError, match=f"write beir:{folder} or t2ranking:{folder}"):
        open_collection(str(folder))
    assert list(open_collection(f"beir:{folder}").queries()) == ["q"]


def test_what_is_no_collection_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no file or folder .*; .* write ir:"):
        open_collection(str(folder))
    folder.mkdir()
    with pytest.raises(InputError, match=r"Looked for .*corpus\.jsonl.*; .*collection\.tsv"):
        open_collection(str(folder))
    (folder / "notes.txt").write_text("hello\n")
    with pytest.raises(InputError, match="is not a dataset of a known format"):
        open_collection(str(folder / "notes.txt"))


def test_only_the_form_that_is_named_is_loaded(folder: Path) -> None:
    write_t2ranking(folder)
    code = (
        "import sys; from rankprompt.datasets import open_collection; "
        f"open_collection({f't2ranking:{folder}'!r}).documents(); "
        "print([name for name in ('ir_datasets', 'numpy', 'rankprompt.datasets.ir_datasets', "
        "'rankprompt.datasets.beir') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
