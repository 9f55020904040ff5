"""Indexes on disk: reused, rebuilt, or refused."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import InputError
from rankprompt.retrieval.bm25_index import IndexSource, describe_source, open_index
from rankprompt.types import Document


class Stand:
    """A collection whose documents are counted as they are read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.docs, self.read = folder, folder / "docs.tsv", 0
        self.docs.write_text("a\tA whale.\nb\tKrill.\n")

    def describe(self, docs: Path | None = None, **changed: Any) -> IndexSource:
        docs = docs or self.docs
        settings: dict[str, Any] = {"language": "en", "fields": ("text",), "k1": 0.9, "b": 0.4}
        return describe_source(PlainCollection(docs, docs), (docs,), **{**settings, **changed})

    def documents(self) -> Iterator[Document]:
        self.read += 1
        for line in self.docs.read_text().splitlines():
            yield Document(*line.split("\t"))

    def find(self, folder: Path | None = None, **changed: Any) -> list[str]:
        """The documents with a whale in them."""
        index = open_index(self.describe(**changed), self.documents, folder)
        return list(dict(index.search({"q": "whale"}, 9))["q"])

    def indexes(self) -> list[Path]:
        return sorted((self.folder / "cache" / "bm25").iterdir())


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return Stand(tmp_path)


def test_an_index_is_made_once(stand: Stand) -> None:
    assert stand.find() == stand.find() == ["a"]
    assert (stand.read, len(stand.indexes())) == (1, 1)


@pytest.mark.parametrize(
    "changed", [{"k1": 1.2}, {"b": 0.75}, {"language": "none"}, {"fields": ("title",)}]
)
def test_each_setting_has_an_index_of_its_own(stand: Stand, changed: dict[str, Any]) -> None:
    stand.find()
    stand.find(**changed)
    assert (stand.read, len(stand.indexes())) == (2, 2)
    folder = stand.folder / "index"
    stand.find(folder)
    with pytest.raises(InputError, match=f"is the index of something else: {next(iter(changed))}"):
        stand.find(folder, **changed)


def test_a_changed_file_is_indexed_anew_and_its_old_index_goes(stand: Stand) -> None:
    stand.find()
    (old,) = stand.indexes()
    stand.docs.write_text("a\tA whale.\nb\tA whale.\n")
    assert stand.find() == ["a", "b"]
    (new,) = stand.indexes()
    assert new != old


def test_a_named_index_of_a_changed_file_is_refused(stand: Stand) -> None:
    folder = stand.folder / "index"
    assert stand.find(folder) == stand.find(folder) == ["a"]
    assert stand.read == 1
    state = stand.docs.stat()
    stand.docs.write_text("a\tA shark.\nb\tKrill.\n")  # as long as before
    os.utime(stand.docs, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    with pytest.raises(InputError, match="is the index of something else: files"):
        stand.find(folder)


def test_a_named_index_is_known_wherever_files_lie(stand: Stand) -> None:
    folder = stand.folder / "index"
    stand.find(folder)
    (stand.folder / "moved").mkdir()
    stand.docs = stand.docs.rename(stand.folder / "moved" / "docs.tsv")
    folder = folder.rename(stand.folder / "moved" / "index")
    assert stand.find(folder) == ["a"]
    assert stand.read == 1


def cut(index: Path, name: str) -> None:
    path = index / name
    path.write_bytes(path.read_bytes()[:-5])


DAMAGES: list[Callable[[Path], object]] = [
    lambda index: cut(index, "data.csc.index.npy"),
    lambda index: cut(index, "ids.npy"),
    lambda index: cut(index, "vocab.index.json"),
    lambda index: cut(index, "rankprompt.json"),
    lambda index: (index / "ends.npy").unlink(),
    lambda index: (index / "params.index.json").write_text("{}"),
    lambda index: (index / "rankprompt.json").write_text("[]"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_made_anew_in_the_cache_and_refused_elsewhere(
    stand: Stand, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "rankprompt")
    logging.getLogger("rankprompt").propagate = True
    folder = stand.folder / "index"
    stand.find(), stand.find(folder)
    damage(stand.indexes()[0])
    damage(folder)
    assert stand.find() == ["a"]
    assert (stand.read, len(stand.indexes())) == (3, 1)
    assert "was damaged; it is rebuilt" in caplog.text
    with pytest.raises(InputError, match=f"{folder} is damaged .*remove it"):
        stand.find(folder)


def test_what_is_no_index_is_left_alone(stand: Stand) -> None:
    folder = stand.folder / "index"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(InputError, match="is not an index; remove it, or name another folder"):
        stand.find(folder)
    assert stand.read == 0
    with pytest.raises(InputError, match="is not an index"):
        stand.find(folder / "mine")
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_told(stand: Stand) -> None:
    with pytest.raises(InputError, match=r"cannot store an index in .*No such file or directory"):
        stand.find(stand.folder / "missing" / "index")
    assert not (stand.folder / "missing").exists()


def test_an_index_that_fails_is_not_there(stand: Stand) -> None:
    stand.docs.write_text("a b\tA whale.\n")
    folder = stand.folder / "index"
    for where in (folder, None):
        with pytest.raises(InputError, match="one word without spaces"):
            stand.find(where)
    assert not folder.exists()
    assert stand.indexes() == []


def test_another_process_may_make_it_meanwhile(stand: Stand) -> None:
    folder = stand.folder / "index"

    def documents() -> Iterator[Document]:
        stand.find(folder)
        yield from stand.documents()

    open_index(stand.describe(), documents, folder)
    assert stand.find(folder) == ["a"]
    assert not [path for path in stand.folder.iterdir() if path.name.startswith(".")]


def test_an_index_says_what_it_holds(stand: Stand) -> None:
    stand.docs.write_text("a\tA whale.\nb\tthe\n")
    stand.find(stand.folder / "index")
    about = json.loads((stand.folder / "index" / "rankprompt.json").read_text())
    assert (about["documents"], about["documents_without_words"]) == (2, 1)
    assert about["files"][0]["path"] == str(stand.docs)
    assert about.keys() >= {"collection", "language", "fields", "k1", "b", "versions"}


def test_a_collection_without_files_is_known_by_its_name(stand: Stand) -> None:
    def describe(name: str) -> IndexSource:
        collection = PlainCollection(Path(name), Path(name))
        return describe_source(collection, (), language="en", fields=("text",), k1=0.9, b=0.4)

    folder = stand.folder / "index"
    open_index(describe("one"), stand.documents, folder)
    open_index(describe("one"), stand.documents, folder)
    assert stand.read == 1
    with pytest.raises(InputError, match="collection 'one', not 'two'"):
        open_index(describe("two"), stand.documents, folder)
