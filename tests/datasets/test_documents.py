"""What holds of documents, in memory and on disk alike."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.datasets import document_store_import as importing
from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.document_store_import import open_store
from rankprompt.datasets.documents import read_into_memory
from rankprompt.errors import FormatError
from tests.datasets.stores import FAST

Open = Callable[[DocumentFile], Documents]

WORDS = st.text(st.characters(exclude_categories=["Cs"]))
IDS = WORDS.filter(lambda text: text.split() == [text])
FIELDS = st.fixed_dictionaries(
    {"text": WORDS},
    optional={"title": WORDS, "url": WORDS, "": WORDS, "问": WORDS},
)
COLLECTIONS = st.dictionaries(IDS, FIELDS, min_size=1, max_size=8)


@pytest.fixture(params=[read_into_memory, open_store], ids=["memory", "store"], scope="module")
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    with (
        tempfile.TemporaryDirectory(dir=FAST) as cache,
        mock.patch.dict("os.environ", RANKPROMPT_CACHE=cache),
        mock.patch.multiple(importing, BLOCK=20, COMMIT_BYTES=2**20),
    ):
        yield request.param


def write(folder: str, documents: dict[str, dict[str, str]]) -> DocumentFile:
    path = Path(folder) / "docs.jsonl"
    path.write_text("".join(json.dumps({"_id": n, **f}) + "\n" for n, f in documents.items()))
    return DocumentFile(path)


@given(documents=COLLECTIONS, asked=st.lists(IDS, max_size=3), data=st.data())
def test_what_is_written_is_read(
    opened: Open, documents: dict[str, dict[str, str]], asked: list[str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = opened(write(folder, documents))
        assert list(found) == list(documents.items())
        assert list(found) == list(documents.items())  # from the beginning once more
        assert len(found) == len(documents)
        names = data.draw(st.lists(st.sampled_from([*documents, *asked])))
        expected: dict[str, Fields] = {n: documents[n] for n in names if n in documents}
        assert list(found.get(names).items()) == list(expected.items())
        assert found.get(iter(names)) == expected


def test_more_ids_than_a_statement_takes(opened: Open, tmp_path: Path) -> None:
    # Each fills a block of its own.
    documents = {f"d{number}": {"text": f"text {number} " * 4} for number in range(1700)}
    found = opened(write(str(tmp_path), documents))
    assert found.get([*documents, "absent", "d7'", "D7", "d7\0"]) == documents
    assert found.get([]) == {}
    assert list(found) == list(documents.items())


@given(lines=st.lists(st.sampled_from(["a\tx", "b\tx", "a\ty", "c\t", "b", "", "\ta", "d\tx\ty"])))
def test_both_refuse_the_same(opened: Open, lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "docs.tsv"
        path.write_text("\n".join(lines))
        results: list[object] = []
        for one in (read_into_memory, opened):
            try:
                results.append(list(one(DocumentFile(path))))
            except FormatError as error:
                results.append(str(error))
    assert results[0] == results[1]
