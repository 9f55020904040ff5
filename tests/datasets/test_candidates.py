import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.candidates import (
    Block,
    build_candidates,
    candidates_of,
    read_candidates,
)
from rankprompt.datasets.documents import MemoryDocuments
from rankprompt.datasets.passages import join_fields
from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import InputError, MissingTextError
from rankprompt.files.trec_run import iterate_run
from rankprompt.types import Candidates, Document, Qrels, Query, Run

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
    with pytest.raises(InputError, match=f"`depth` must be at least 1, not {value}"):
        build_candidates(RUN, QUERIES, DOCUMENTS, depth=value)
    with pytest.raises(InputError, match=f"`limit` must be at least 1, not {value}"):
        build_candidates(RUN, QUERIES, DOCUMENTS, limit=value)


def test_missing_and_blank_documents_are_told() -> None:
    documents = {"d4": Document("d4", " \n")}
    with pytest.raises(MissingTextError) as caught:
        build_candidates(RUN, QUERIES, documents)
    message = str(caught.value)
    assert message.startswith("query b: no text for d3, d1, d2; 5 candidates lack text in all")
    assert "`skip_missing`" in message


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
    with pytest.raises(InputError, match=r"2 of the run's 2 queries .*: b, a$"):
        build_candidates(RUN, {"c": "of another run"}, DOCUMENTS, skip_missing=True)


def test_queries_without_text_can_be_skipped(caplog: pytest.LogCaptureFixture) -> None:
    run = {**RUN, "c": {"d1": 1.0}}
    texts = Texts({name: {"text": text} for name, (_, text) in DOCUMENTS.items()}, {"b": "second?"})
    with caplog.at_level(logging.WARNING, "rankprompt"):
        candidates, skipped = build_candidates(
            run, {"b": "second?", "a": "\n"}, DOCUMENTS, depth=1, skip_missing=True
        )
        (block,) = candidates_of(texts, iter(run.items()), depth=1, skip_missing=True)
    assert names(candidates) == names(block.candidates) == {"b": ["d3"]}
    assert skipped == block.skipped == [("a", "d2"), ("c", "d1")]
    assert list(block.run) == ["b", "a", "c"]
    assert set(caplog.messages) == {"queries without text, which keep the run's order: 2, a, c"}


def test_queries_without_candidates_are_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    documents = {name: DOCUMENTS[name] for name in ("d1", "d2", "d3")}
    run = {**RUN, "c": {"d4": 1.0}}
    queries = {**QUERIES, "c": "third?", "d": "fourth?"}
    with caplog.at_level(logging.WARNING, "rankprompt"):
        candidates, _ = build_candidates(run, queries, documents, skip_missing=True)
    assert list(names(candidates)) == ["b", "a"]
    (message,) = caplog.messages
    assert message.endswith(": 2")


RUN_OF_FIVE = {
    f"q{one}": {f"d{(one * 7 + place) % 9}": -float(place) for place in range(4)}
    for one in range(5)
}
SIX_QUERIES = {f"q{one}": f"query {one}" for one in range(6)}
TEXTS = {f"d{one}": {"title": f"T{one}", "text": f"text {one}"} for one in range(9)}


class Texts:
    """A collection that remembers what was asked of it."""

    name, paths, document_paths = "texts", (), ()

    def __init__(
        self, texts: Mapping[str, Fields], queries: Mapping[str, str] = SIX_QUERIES
    ) -> None:
        self._texts, self._queries = texts, queries
        self.wanted: list[str] | None = None
        self.asked: list[int] = []

    def queries(self) -> Mapping[str, str]:
        return self._queries

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        self.wanted = None if wanted is None else list(wanted)
        outer = self

        class Counted(MemoryDocuments):
            def get(self, ids: Iterable[str]) -> dict[str, Fields]:
                names = list(ids)
                outer.asked.append(len(names))
                return super().get(names)

        return Counted(self._texts)

    def qrels(self, kind: str = "graded") -> Qrels | None:
        raise NotImplementedError

    def run(self) -> Run | None:
        raise NotImplementedError


def whole(
    blocks: Iterator[Block],
) -> tuple[dict[str, Mapping[str, float]], list[object], list[object]]:
    run: dict[str, Mapping[str, float]] = {}
    candidates: list[object] = []
    skipped: list[object] = []
    for block in blocks:
        run.update(block.run)
        candidates += block.candidates
        skipped += block.skipped
    return run, candidates, skipped


@given(
    lacking=st.sets(st.sampled_from([*TEXTS, "none"]), max_size=7),
    depth=st.none() | st.integers(1, 5),
    limit=st.none() | st.integers(1, 6),
    block=st.integers(1, 7),
    streamed=st.booleans(),
)
def test_blocks_together_are_as_built_at_once(
    lacking: set[str], depth: int | None, limit: int | None, block: int, streamed: bool
) -> None:
    texts = {name: fields for name, fields in TEXTS.items() if name not in lacking}
    given_run = iter(RUN_OF_FIVE.items()) if streamed else RUN_OF_FIVE
    run, candidates, skipped = whole(
        candidates_of(
            Texts(texts), given_run, depth=depth, limit=limit, skip_missing=True, block=block
        )
    )
    documents = {name: join_fields(name, fields) for name, fields in texts.items()}
    expected = build_candidates(
        RUN_OF_FIVE, SIX_QUERIES, documents, depth=depth, limit=limit, skip_missing=True
    )
    assert (candidates, skipped) == expected
    assert list(run.items()) == list(RUN_OF_FIVE.items())[:limit]


def test_texts_are_fetched_a_block_at_a_time() -> None:
    collection = Texts(TEXTS)
    blocks = candidates_of(collection, RUN_OF_FIVE, depth=3, block=2)
    assert collection.asked == []
    next(blocks)
    assert collection.asked == [6]
    assert [len(block.candidates) for block in blocks] == [2, 1]
    assert collection.asked == [6, 6, 3]
    assert collection.wanted == [
        name for scores in RUN_OF_FIVE.values() for name in list(scores)[:3]
    ]


def test_fields_are_chosen() -> None:
    (block,) = candidates_of(Texts(TEXTS), RUN_OF_FIVE, limit=1, fields=["text"])
    assert block.candidates[0].documents[0].text == "text 0"
    with pytest.raises(InputError, match="has no field body"):
        next(candidates_of(Texts(TEXTS), RUN_OF_FIVE, fields=["body"]))


def test_what_is_missing_is_told() -> None:
    with pytest.raises(InputError, match="`depth` must be at least 1"):
        candidates_of(Texts(TEXTS), RUN_OF_FIVE, depth=0)
    with pytest.raises(InputError, match="1 of the run's 5 queries have no text"):
        candidates_of(Texts(TEXTS, {**SIX_QUERIES, "q4": " "}), RUN_OF_FIVE)
    blocks = candidates_of(Texts({**TEXTS, "d7": {"text": " "}}), RUN_OF_FIVE, block=1)
    next(blocks)
    with pytest.raises(MissingTextError, match="query q1: no text for d7; 1 candidates"):
        next(blocks)


@pytest.mark.parametrize(
    ("streamed", "limit", "count"), [(False, 2, 1), (True, 2, 0), (True, None, 1)]
)
def test_queries_without_candidates_are_counted_at_the_end(
    streamed: bool, limit: int | None, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    run = iter(RUN_OF_FIVE.items()) if streamed else RUN_OF_FIVE
    with caplog.at_level(logging.WARNING, "rankprompt"):
        list(candidates_of(Texts(TEXTS), run, limit=limit, block=1))
    assert [message.rpartition(": ")[2] for message in caplog.messages] == [str(count)][:count]


def test_dl19(data: Path) -> None:
    folder = data / "dl19"
    run, queries, docs = folder / "run.bm25.trec", folder / "queries.tsv", folder / "docs.jsonl"
    collection = PlainCollection(queries, docs, run=run)
    _, candidates, _ = whole(candidates_of(collection, iterate_run(run), depth=20, block=10))
    assert candidates == read_candidates(run, queries, docs, depth=20)[1]
