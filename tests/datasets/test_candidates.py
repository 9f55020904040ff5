import logging

import pytest

from rankprompt.datasets.candidates import build_candidates
from rankprompt.errors import InputError, MissingTextError
from rankprompt.types import Candidates, Document, Query

RUN = {"b": {"d3": 9.0, "d1": 5.0, "d2": 1.0}, "a": {"d2": 2.0, "d4": 1.0}}
QUERIES = {"a": "first?", "b": "second?"}
DOCUMENTS = {name: Document(name, f"text of {name}") for name in ("d1", "d2", "d3", "d4")}


def names(candidates: list[Candidates]) -> dict[str, list[str]]:
    return {each.query.id: [document.id for document in each.documents] for each in candidates}


def test_texts_join_in_the_order_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    candidates, skipped = build_candidates(RUN, QUERIES, DOCUMENTS)
    documents = (DOCUMENTS["d3"], DOCUMENTS["d1"], DOCUMENTS["d2"])
    assert candidates[0] == Candidates(Query("b", "second?"), documents, (9.0, 5.0, 1.0))
    assert names(candidates) == {"b": ["d3", "d1", "d2"], "a": ["d2", "d4"]}
    assert skipped == []
    assert caplog.messages == []


def test_depth_and_limit() -> None:
    candidates, _ = build_candidates(RUN, QUERIES, DOCUMENTS, depth=1)
    assert names(candidates) == {"b": ["d3"], "a": ["d2"]}
    candidates, _ = build_candidates(RUN, {"b": "second?"}, DOCUMENTS, limit=1, depth=99)
    assert names(candidates) == {"b": ["d3", "d1", "d2"]}


@pytest.mark.parametrize("value", [0, -1])
def test_depth_and_limit_are_positive(value: int) -> None:
    with pytest.raises(InputError, match=f"depth must be at least 1, not {value}"):
        build_candidates(RUN, QUERIES, DOCUMENTS, depth=value)
    with pytest.raises(InputError, match=f"limit must be at least 1, not {value}"):
        build_candidates(RUN, QUERIES, DOCUMENTS, limit=value)


def test_missing_and_blank_documents_are_told() -> None:
    documents = {"d4": Document("d4", " \n")}
    with pytest.raises(MissingTextError) as caught:
        build_candidates(RUN, QUERIES, documents)
    message = str(caught.value)
    assert message.startswith("query b: no text for d3, d1, d2; 5 candidates lack text in all")
    assert "--skip-missing" in message


def test_a_message_names_three_documents_at_most() -> None:
    run = {"a": {f"d{number}": -float(number) for number in range(9)}}
    with pytest.raises(MissingTextError, match=r"no text for d0, d1, d2, \.\.\.; 9 candidates"):
        build_candidates(run, {"a": "?"}, {})


def test_missing_documents_can_be_skipped() -> None:
    documents = {**DOCUMENTS, "d1": Document("d1", "")}
    del documents["d4"]
    candidates, skipped = build_candidates(RUN, QUERIES, documents, skip_missing=True)
    assert names(candidates) == {"b": ["d3", "d2"], "a": ["d2"]}
    assert candidates[0].scores == (9.0, 1.0)
    assert skipped == [("b", "d1"), ("a", "d4")]
    candidates, skipped = build_candidates(RUN, QUERIES, documents, depth=1, skip_missing=True)
    assert skipped == []


def test_documents_beyond_the_depth_need_no_text() -> None:
    documents = {name: DOCUMENTS[name] for name in ("d2", "d3")}
    candidates, _ = build_candidates(RUN, QUERIES, documents, depth=1)
    assert names(candidates) == {"b": ["d3"], "a": ["d2"]}


def test_queries_without_text_are_told() -> None:
    run = {f"q{number}": {"d1": 1.0} for number in range(5)}
    with pytest.raises(InputError, match=r"4 of the run's 5 queries .*: q1, q2, q3, \.\.\."):
        build_candidates(run, {"q0": "?", "q1": " "}, DOCUMENTS)


def test_queries_without_candidates_are_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    documents = {name: DOCUMENTS[name] for name in ("d1", "d2", "d3")}
    run = {**RUN, "c": {"d4": 1.0}}
    queries = {**QUERIES, "c": "third?", "d": "fourth?"}
    with caplog.at_level(logging.WARNING, "rankprompt"):
        candidates, _ = build_candidates(run, queries, documents, skip_missing=True)
    assert list(names(candidates)) == ["b", "a"]
    (message,) = caplog.messages
    assert message.endswith(": 2")
