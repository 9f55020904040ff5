"""The folder of a BM25 index: the same scores, or a refusal."""

from pathlib import Path

import pytest

from rankprompt.datasets import name_collection
from rankprompt.retrieval.bm25_index import describe_source, open_index
from rankprompt.types import Document
from tests.fuzz.conftest import fuzz
from tests.mutations import mutate, mutate_bytes


@pytest.mark.filterwarnings("ignore")  # of numpy, about what it is given
def test_every_file_of_an_index(tmp_path: Path) -> None:
    queries, docs = tmp_path / "queries.tsv", tmp_path / "docs.jsonl"
    queries.write_text("q1\tsalt\n")
    documents = [Document(f"d{number}", f"salt sea {number % 7}") for number in range(30)]
    docs.write_text("".join(f'{{"id": "{one.id}", "text": "{one.text}"}}\n' for one in documents))
    collection = name_collection(None, None, queries, docs)
    source = describe_source(collection, [docs], language="en", fields=["text"], k1=0.9, b=0.4)
    folder = tmp_path / "index"

    def search() -> list[tuple[str, dict[str, float]]]:
        index = open_index(source, lambda: documents, folder)
        return list(index.search({"q1": "salt sea 3"}, 5))

    right = search()

    def read() -> None:
        assert search() == right

    for path in sorted(folder.iterdir()):
        is_json = path.suffix == ".json"
        refused = fuzz(
            path, read, 150, mutate if is_json else mutate_bytes, as_folder=path.suffix != ".json"
        )
        # Most mutations of an empty file leave it empty.
        assert refused > (100 if path.stat().st_size else 30), path.name
