import pytest

from rankprompt.errors import InputError
from rankprompt.files import read_documents, read_queries
from rankprompt.records import Document
from rankprompt.retrieval import bm25
from rankprompt.sample import sample


def documents(**texts: str) -> dict[str, Document]:
    return {name: Document(name, text) for name, text in texts.items()}


PETS = documents(
    a="A cat sat on the mat and purred.",
    b="A dog barked at the postman.",
    c="Parrots learn to speak, and cats do not.",
)


def test_the_document_with_the_query_words_is_found() -> None:
    found = bm25({"q1": "barking dogs", "q2": "parrot"}, PETS)
    assert list(found["q1"]) == ["b"]
    assert list(found["q2"]) == ["c"]


def test_words_are_stemmed_and_a_match_in_two_words_is_better() -> None:
    found = bm25({"q": "cats purring"}, PETS)["q"]
    assert list(found) == ["a", "c"]
    assert found["a"] > found["c"] > 0


def test_a_rare_word_counts_more_than_a_frequent_one() -> None:
    texts = documents(a="blue cup", b="red cup", c="green cup", d="blue moon")
    found = bm25({"q": "cup moon"}, texts)["q"]
    assert next(iter(found)) == "d"
    assert set(found) == {"a", "b", "c", "d"}


def test_of_two_alike_the_shorter_is_better() -> None:
    long = "whale " + "and plankton, krill, kelp, coral, tides, reefs " * 3
    assert list(bm25({"q": "whale"}, documents(a=long, b="whale songs"))["q"]) == ["b", "a"]


def test_equal_scores_are_ordered_by_id_whatever_the_order_of_the_documents() -> None:
    texts = documents(z="a whale", m="a whale", a="a whale", k="a shark")
    for given in (texts, dict(reversed(texts.items()))):
        found = bm25({"q": "whale"}, given)["q"]
        assert list(found) == ["a", "m", "z"]
        assert len(set(found.values())) == 1
    assert list(bm25({"q": "whale"}, texts, depth=2)["q"]) == ["a", "m"]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "zebra", "?!"])
def test_a_query_that_finds_nothing_is_there_with_nothing(query: str) -> None:
    assert bm25({"q": query, "r": "cat"}, PETS)["q"] == {}


def test_no_queries_are_no_results() -> None:
    assert bm25({}, PETS) == {}


def test_documents_without_a_word_are_never_found() -> None:
    found = bm25({"q": "cat"}, {**PETS, **documents(x="", y="the of and")})
    assert set(found["q"]) == {"a", "c"}
    assert bm25({"q": "cat"}, documents(x="", y="the of and")) == {"q": {}}


def test_without_documents_it_says_so() -> None:
    with pytest.raises(InputError, match="no documents to search in"):
        bm25({"q": "cat"}, {})


def test_the_sample_is_searched_the_same_way_every_time() -> None:
    queries = read_queries(sample("en") / "queries.tsv")
    texts = read_documents(sample("en") / "docs.jsonl")
    found = bm25(queries, texts, depth=20)
    assert found == bm25(queries, texts, depth=20)
    assert list(found) == list(queries)
    for scores in found.values():
        assert 10 <= len(scores) <= 20
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
        assert all(score > 0 for score in scores.values())
