from pathlib import Path
from typing import Any

import bm25s
import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError
from rankprompt.files import read_documents, read_queries
from rankprompt.retrieval import bm25
from rankprompt.retrieval.bm25 import Index
from rankprompt.types import Document


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


def test_a_word_is_found_whichever_way_its_accent_is_written() -> None:
    texts = documents(a="The cafe\u0301 by the sea.", b="The caf\u00e9 by the lake.", c="A caf.")
    for query in ("caf\u00e9", "cafe\u0301"):
        assert set(bm25({"q": query}, texts)["q"]) == {"a", "b"}


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
    for order in (texts, dict(reversed(texts.items()))):
        found = bm25({"q": "whale"}, order)["q"]
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


WORDS = st.sampled_from(["whale", "whales", "krill", "the", "sea", "Sea", "ebb", "flow", "x", "?"])
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


def plainly(
    queries: dict[str, str], documents: dict[str, Document], depth: int
) -> dict[str, dict[str, float]]:
    """The same ranking as bm25s gives it, all scores of a query sorted."""
    stemmer = Stemmer.Stemmer("english")

    def split(texts: list[str]) -> list[list[str]]:
        found: list[list[str]] = bm25s.tokenize(
            texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
        )
        return found

    engine = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    indexed = split([one.text for one in documents.values()])
    if not any(indexed):
        return {query: {} for query in queries}
    engine.index(indexed, show_progress=False)
    run = {}
    for (query, _), terms in zip(queries.items(), split(list(queries.values())), strict=True):
        scores = engine.get_scores(terms).tolist() if terms else []
        pairs = sorted((-score, name) for score, name in zip(scores, documents, strict=False))
        run[query] = {name: -score for score, name in pairs[:depth] if score < 0}
    return run


@given(
    queries=st.dictionaries(st.sampled_from("pqr"), TEXTS),
    texts=st.dictionaries(st.sampled_from("abcdefgh"), TEXTS, min_size=1),
    depth=st.integers(1, 9),
)
def test_it_is_what_bm25s_says_sorted_whole(
    queries: dict[str, str], texts: dict[str, str], depth: int
) -> None:
    asked = documents(**texts)
    found, expected = bm25(queries, asked, depth=depth), plainly(queries, asked, depth)
    assert found == expected
    assert [list(one) for one in found.values()] == [list(one) for one in expected.values()]


def test_more_documents_than_are_split_at_a_time_are_all_searched() -> None:
    texts = {str(number): Document(str(number), f"whale w{number}") for number in range(2500)}
    queries = {str(number): f"w{number}" for number in range(0, 2500, 2)}
    found = bm25(queries, texts)
    assert {query: list(scores) for query, scores in found.items()} == {
        query: [query] for query in queries
    }
    assert list(bm25({"q": "whale"}, texts, depth=3)["q"]) == ["0", "1", "10"]


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"k1": -1}, "`k1` of 0 or more"),
        ({"k1": float("nan")}, "`k1` of 0 or more"),
        ({"b": 1.1}, "`b` from 0 to 1"),
        ({"depth": 0}, "`depth` must be at least 1, not 0"),
        ({"language": "klingon"}, "unknown language 'klingon'"),
    ],
)
def test_a_setting_out_of_range_is_told(setting: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        bm25({"q": "cat"}, PETS, **setting)


def test_an_id_that_would_break_a_run_is_told() -> None:
    with pytest.raises(InputError, match="one word without spaces, not 'a b'"):
        bm25({"q": "cat"}, {"a b": Document("a b", "cat")})


def test_a_document_of_another_language_is_split_by_its_rules() -> None:
    texts = documents(a="Die Häuser am Fluss", b="鹤单腿站着睡觉")
    assert set(bm25({"q": "haus"}, texts, language="de")["q"]) == {"a"}
    assert bm25({"q": "haus"}, texts, language="en") == {"q": {}}
    assert set(bm25({"q": "睡觉"}, texts, language="zh")["q"]) == {"b"}


def test_a_saved_index_finds_the_same(tmp_path: Path) -> None:
    texts = documents(é="A whale.", b="Whales and krill.", c="the")
    made = Index.build(texts.values(), language="en")
    made.save(tmp_path)
    loaded = Index.load(tmp_path, language="en", without_words=1)
    queries = {"q": "whale krill", "r": "the", "s": "zebra"}
    assert dict(loaded.search(queries, 9)) == dict(made.search(queries, 9))
    assert set(dict(loaded.search(queries, 9))["q"]) == {"é", "b"}
    assert (loaded.documents, made.without_words) == (3, 1)


def test_an_index_without_a_word_can_be_saved(tmp_path: Path) -> None:
    Index.build(documents(a="the", b="").values(), language="en").save(tmp_path)
    loaded = Index.load(tmp_path, language="en", without_words=2)
    assert dict(loaded.search({"q": "whale"}, 9)) == {"q": {}}
