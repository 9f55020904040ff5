import json
from pathlib import Path

import pytest

from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import FormatError, InputError


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    texts = {
        "queries": "q1\twhat?\n",
        "docs": '{"id": 1, "contents": "so", "title": "T", "url": "u", "n": 5, "text": "hidden"}\n',
        "qrels": "q1 0 1 2\n",
        "run": "q1 Q0 1 1 0.5 t\n",
    }
    paths = {name: tmp_path / name for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text)
    return paths


def test_all_parts(files: dict[str, Path]) -> None:
    collection = PlainCollection(**files)
    assert collection.name == str(files["docs"])
    assert collection.paths == tuple(files.values())
    assert collection.queries() == {"q1": "what?"}
    assert dict(collection.documents()) == {"1": {"text": "so", "title": "T", "url": "u"}}
    assert collection.qrels() == collection.qrels("binary") == {"q1": {"1": 2}}
    assert collection.run() == {"q1": {"1": 0.5}}


def test_qrels_and_run_may_be_absent(files: dict[str, Path]) -> None:
    collection = PlainCollection(files["queries"], files["docs"])
    assert collection.paths == (files["queries"], files["docs"])
    assert collection.qrels() is collection.run() is None


def test_parts_are_read_when_asked_for(tmp_path: Path) -> None:
    collection = PlainCollection(tmp_path / "absent", tmp_path / "absent")
    for read in (collection.queries, collection.documents):
        with pytest.raises(InputError, match="No such file"):
            read()


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        ({"id": "a", "text": "x", "title": None, "note": None}, {"text": "x"}),
        (
            {"id": "a", "text": "x", "title": " ", "_id": "b"},
            {"text": "x", "title": " ", "_id": "b"},
        ),
        ({"docid": "a", "contents": ""}, {"text": ""}),
        ({"id": "a", "text": "x", "": "y", "list": ["z"]}, {"text": "x", "": "y"}),
    ],
)
def test_fields_of_json(tmp_path: Path, record: object, fields: dict[str, str]) -> None:
    path = tmp_path / "docs"
    path.write_text(json.dumps(record))
    assert list(DocumentFile(path).records()) == [(1, "a", fields)]


def test_half_a_character_in_any_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "docs"
    for field in ('"note": "\\ud83d"', '"\\udc00": "a"'):
        path.write_text(f'{{"id": "a", "text": "x", {field}}}')
        with pytest.raises(FormatError, match="docs:1: half a surrogate pair"):
            list(DocumentFile(path).records())
