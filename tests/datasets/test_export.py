"""Datasets in the formats of other tools."""

from pathlib import Path

import pytest

from rankprompt.datasets import open_collection
from rankprompt.datasets.export import Exported, export_beir, export_requests, is_requests
from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import InputError

RUN = {"q": {"d1": 2.0, "d2": 1.0}}


@pytest.fixture
def collection(tmp_path: Path) -> PlainCollection:
    (tmp_path / "queries.tsv").write_text("q\twhy\n")
    (tmp_path / "docs.tsv").write_text("d1\tsea\nd2\tsalt\nd3\tcrane\n")
    return PlainCollection(tmp_path / "queries.tsv", tmp_path / "docs.tsv")


def test_the_name_of_the_output_decides_its_format() -> None:
    assert is_requests(Path("a.JSON"))
    assert is_requests(Path("a.jsonl"))
    assert not is_requests(Path("a.json.d"))


def test_requests_hold_the_first_candidates(collection: PlainCollection, tmp_path: Path) -> None:
    output = tmp_path / "requests.jsonl"
    assert export_requests(output, collection, RUN, depth=1) == Exported(queries=1, documents=1)
    assert open_collection(str(output)).run() == {"q": {"d1": 2.0}}
    with pytest.raises(InputError, match="`depth` must be at least 1, not 0"):
        export_requests(output, collection, RUN, depth=0)
    with pytest.raises(InputError, match="comes without candidates; give `run`"):
        export_requests(output, collection, None)


def test_a_beir_folder_holds_all_documents(collection: PlainCollection, tmp_path: Path) -> None:
    output = tmp_path / "beir"
    exported = export_beir(output, collection, {"q": {"d2": 1}}, split="dev")
    assert exported == Exported(queries=1, documents=3)
    assert open_collection(str(output), split="dev").qrels() == {"q": {"d2": 1}}
    with pytest.raises(InputError, match="has no relevance grades; give `qrels`"):
        export_beir(output, collection, None)
