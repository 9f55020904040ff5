"""The sample collection with the candidates of a first stage, as adapters' tests need it."""

from typing import NamedTuple

from rankprompt.datasets import name_collection
from rankprompt.datasets.passages import join_fields
from rankprompt.datasets.sample import sample
from rankprompt.retrieval import bm25
from rankprompt.types import Document, Qrels

__all__ = ["Sample", "read_sample"]


class Sample(NamedTuple):
    queries: dict[str, str]
    documents: dict[str, Document]
    qrels: Qrels
    first_stage: dict[str, dict[str, float]]

    def texts(self, query: str) -> list[str]:
        return [self.documents[name].text for name in self.first_stage[query]]


def read_sample(queries: int, depth: int) -> Sample:
    folder = sample("en")
    collection = name_collection(None, None, folder / "queries.tsv", folder / "docs.jsonl")
    names = list(collection.queries().items())[:queries]
    documents = {name: join_fields(name, texts) for name, texts in collection.documents()}
    grades: dict[str, dict[str, int]] = {name: {} for name, _ in names}
    for line in (folder / "qrels.trec").read_text("utf-8").splitlines():
        query, _, document, grade = line.split()
        if query in grades:
            grades[query][document] = int(grade)
    return Sample(dict(names), documents, grades, bm25(dict(names), documents, depth=depth))
