import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.datasets.base import Documents, Fields
from rankprompt.datasets.candidate_blocks import Block, candidates_of
from rankprompt.datasets.candidates import build_candidates
from rankprompt.datasets.documents_in_memory import MemoryDocuments
from rankprompt.datasets.passages import join_fields
from rankprompt.errors import InputError, MissingTextError
from rankprompt.types import Qrels, Run

RUN = {
    f"q{one}": {f"d{(one * 7 + place) % 9}": -float(place) for place in range(4)}
    for one in range(5)
}
QUERIES = {f"q{one}": f"query {one}" for one in range(6)}
TEXTS = {f"d{one}": {"title": f"T{one}", "text": f"text {one}"} for one in range(9)}


class Texts:
    """A collection that remembers what was asked of it."""

    name, paths, document_paths = "texts", (), ()

    def __init__(self, texts: Mapping[str, Fields], queries: Mapping[str, str] = QUERIES) -> None:
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
    given_run = iter(RUN.items()) if streamed else RUN
    run, candidates, skipped = whole(
        candidates_of(
            Texts(texts), given_run, depth=depth, limit=limit, skip_missing=True, block=block
        )
    )
    documents = {name: join_fields(name, fields) for name, fields in texts.items()}
    expected = build_candidates(
        RUN, QUERIES, documents, depth=depth, limit=limit, skip_missing=True
    )
    assert (candidates, skipped) == expected
    assert list(run.items()) == list(RUN.items())[:limit]


def test_texts_are_fetched_a_block_at_a_time() -> None:
    collection = Texts(TEXTS)
    blocks = candidates_of(collection, RUN, depth=3, block=2)
    assert collection.asked == []
    next(blocks)
    assert collection.asked == [6]
    assert [len(block.candidates) for block in blocks] == [2, 1]
    assert collection.asked == [6, 6, 3]
    assert collection.wanted == [name for scores in RUN.values() for name in list(scores)[:3]]


def test_fields_are_chosen() -> None:
    (block,) = candidates_of(Texts(TEXTS), RUN, limit=1, fields=["text"])
    assert block.candidates[0].documents[0].text == "text 0"
    with pytest.raises(InputError, match="has no field body"):
        next(candidates_of(Texts(TEXTS), RUN, fields=["body"]))


def test_what_is_missing_is_told() -> None:
    with pytest.raises(InputError, match="depth must be at least 1"):
        candidates_of(Texts(TEXTS), RUN, depth=0)
    with pytest.raises(InputError, match="1 of the run's 5 queries have no text"):
        candidates_of(Texts(TEXTS, {**QUERIES, "q4": " "}), RUN)
    blocks = candidates_of(Texts({**TEXTS, "d7": {"text": " "}}), RUN, block=1)
    next(blocks)
    with pytest.raises(MissingTextError, match="query q1: no text for d7; 1 candidates"):
        next(blocks)


@pytest.mark.parametrize(
    ("streamed", "limit", "count"), [(False, 2, 1), (True, 2, 0), (True, None, 1)]
)
def test_queries_without_candidates_are_counted_at_the_end(
    streamed: bool, limit: int | None, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    run = iter(RUN.items()) if streamed else RUN
    with caplog.at_level(logging.WARNING, "rankprompt"):
        list(candidates_of(Texts(TEXTS), run, limit=limit, block=1))
    assert [message.rpartition(": ")[2] for message in caplog.messages] == [str(count)][:count]


def test_dl19(data: Path) -> None:
    from rankprompt.datasets.candidates import read_candidates
    from rankprompt.datasets.plain_files import PlainCollection
    from rankprompt.files.trec_run import iterate_run

    folder = data / "dl19"
    run, queries, docs = folder / "run.bm25.trec", folder / "queries.tsv", folder / "docs.jsonl"
    collection = PlainCollection(queries, docs, run=run)
    _, candidates, _ = whole(candidates_of(collection, iterate_run(run), depth=20, block=10))
    assert candidates == read_candidates(run, queries, docs, depth=20)[1]
