"""The sample collection is what its README says."""

import re
from collections import Counter
from pathlib import Path

import pytest

from rankprompt.datasets.candidates import build_candidates
from rankprompt.datasets.sample import SAMPLES, sample
from rankprompt.files import read_documents, read_qrels, read_queries
from rankprompt.retrieval import bm25
from rankprompt.types import Document

Sample = tuple[dict[str, str], dict[str, Document], dict[str, dict[str, int]]]


def load(name: str) -> Sample:
    folder = sample(name)
    return (
        read_queries(folder / "queries.tsv"),
        read_documents(folder / "docs.jsonl"),
        read_qrels(folder / "qrels.trec"),
    )


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


@pytest.mark.parametrize(
    ("name", "queries", "documents", "judged"),
    [("en", 24, 240, 240), ("zh", 4, 40, 40), ("long", 6, 6, 6)],
)
def test_it_has_the_size_that_its_readme_tells(
    name: str, queries: int, documents: int, judged: int
) -> None:
    folder = sample(name)
    texts, passages, qrels = load(name)
    # As many lines as entries: no id occurs twice.
    assert len(texts) == lines(folder / "queries.tsv") == queries
    assert len(passages) == lines(folder / "docs.jsonl") == documents
    assert sum(map(len, qrels.values())) == lines(folder / "qrels.trec") == judged
    assert {path.name for path in folder.iterdir()} == {"queries.tsv", "docs.jsonl", "qrels.trec"}
    row = next(line for line in readme().splitlines() if line.startswith(f"| `{name}/`"))
    assert re.search(rf"\b{queries}\b.*\b{documents}\b", row)


def readme() -> str:
    return (sample("en").parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["en", "zh"])
def test_ten_passages_of_its_own_are_judged_for_every_query(name: str) -> None:
    queries, documents, qrels = load(name)
    assert list(qrels) == list(queries)
    judged = Counter(document for grades in qrels.values() for document in grades)
    assert set(judged) == set(documents)
    assert set(judged.values()) == {1}
    for grades in qrels.values():
        assert len(grades) == 10
        assert set(grades.values()) == {0, 1, 2, 3}  # each step is there to be told apart


def test_each_long_document_answers_one_query_in_one_paragraph() -> None:
    queries, documents, qrels = load("long")
    assert {query: list(grades.values()) for query, grades in qrels.items()} == {
        query: [3] for query in queries
    }
    assert {name for grades in qrels.values() for name in grades} == set(documents)
    for one in documents.values():
        assert len(one.text.split()) >= 1000
        assert len(one.text.split("\n\n")) >= 8
    assert "\n" in next(iter(documents.values())).text.split("\n\n")[0]  # the title comes first


@pytest.mark.parametrize("name", SAMPLES)
def test_no_text_stands_twice_and_none_is_blank(name: str) -> None:
    queries, documents, _ = load(name)
    for texts in (list(queries.values()), [one.text for one in documents.values()]):
        assert len({re.sub(r"\W+", " ", text).strip().lower() for text in texts}) == len(texts)
        assert all(text == text.strip() and text for text in texts)


def test_passages_have_the_length_that_the_readme_tells() -> None:
    found = re.search(r"passages of (\d+) to (\d+) words", readme())
    assert found
    least, most = map(int, found.groups())
    lengths = [len(one.text.split()) for one in load("en")[1].values()]
    assert least <= min(lengths)
    assert max(lengths) <= most


def test_the_chinese_sample_is_chinese() -> None:
    queries, documents, _ = load("zh")
    for text in [*queries.values(), *(one.text for one in documents.values())]:
        assert len(re.findall(r"[\u4e00-\u9fff]", text)) > len(text) / 2


def test_its_hard_negatives_share_words_with_the_query() -> None:
    queries, documents, qrels = load("en")
    found = bm25(queries, documents, depth=20)
    shared = [
        sum(name in found[query] for name, grade in grades.items() if grade == 0)
        for query, grades in qrels.items()
    ]
    assert min(shared) >= 1
    assert sum(shared) / len(shared) >= 3


def test_no_passage_that_answers_repeats_the_query() -> None:
    queries, documents, qrels = load("en")
    for query, grades in qrels.items():
        for name in (name for name, grade in grades.items() if grade > 1):
            assert queries[query].lower() not in documents[name].text.lower()


@pytest.mark.parametrize("name", SAMPLES)
def test_it_builds_candidates_whose_texts_are_all_there(name: str) -> None:
    queries, documents, qrels = load(name)
    run = {query: {one: -float(grade) for one, grade in of.items()} for query, of in qrels.items()}
    candidates, skipped = build_candidates(run, queries, documents)
    assert (len(candidates), skipped) == (len(queries), [])


def test_a_sample_that_is_none_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="french"):
        sample("french")
