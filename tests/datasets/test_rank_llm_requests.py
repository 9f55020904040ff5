import gzip
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Fields
from rankprompt.datasets.documents import MemoryDocuments
from rankprompt.datasets.rank_llm_requests import RequestCollection, recognise, write_requests
from rankprompt.errors import InputError, RankpromptError
from tests.datasets.mutating import mutate

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
IDS = TEXTS.filter(lambda text: text.split() == [text])
FIELDS = st.fixed_dictionaries(
    {"text": TEXTS},
    optional={"title": TEXTS, "contents": TEXTS, "segment": TEXTS, "docid": TEXTS, "qid": TEXTS},
)
SCORES = st.floats(allow_nan=False, allow_infinity=False)

QUERIES = {"264014": "how long is the life of a flea", "q2": "why\u2028so?"}
RUN = {"264014": {"d2": 15.5, "d1": -2.0}, "q2": {"d1": 1.0, "d3": 1.0}}
DOCUMENTS: dict[str, Fields] = {
    "d2": {"text": "A flea can\nlive."},
    "d1": {"title": "Fleas", "text": "twenty days", "url": "http://x"},
    "d3": {"text": "", "segment": "因为"},
}


def request(query: object, *candidates: object) -> dict[str, object]:
    return {"query": query, "candidates": list(candidates)}


def candidate(docid: object, score: object = None, **doc: object) -> dict[str, object]:
    return {"docid": docid, "score": score, "doc": doc}


Q = {"text": "what?", "qid": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


def write(path: Path, *records: object) -> RequestCollection:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return RequestCollection(path)


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_what_is_written_is_a_request_and_reads_back_equal(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_requests(path, {**QUERIES, "other": ""}, RUN, MemoryDocuments(DOCUMENTS))
    text = path.read_text()
    first = json.loads(text)[0] if name == "x.json" else json.loads(text.split("\n")[0])
    assert first["query"] == {"text": "how long is the life of a flea", "qid": "264014"}
    assert first["candidates"][0] == {"docid": "d2", "score": 15.5, "doc": DOCUMENTS["d2"]}
    found = open_collection(str(path))
    assert found.name == f"requests:{path}"
    assert found.paths == (path,)
    assert list(found.queries().items()) == list(QUERIES.items())
    assert list(found.documents()) == list(DOCUMENTS.items())
    assert found.documents(["d3"]).get(["d3", "d1"]) == {"d3": DOCUMENTS["d3"]}
    assert as_lists(found.run()) == as_lists(RUN)
    assert found.qrels() is None


def as_lists(run: Mapping[str, Mapping[str, float]] | None) -> object:
    assert run is not None
    return [(query, list(scores.items())) for query, scores in run.items()]


@settings(max_examples=60)
@given(
    st.dictionaries(IDS, TEXTS, min_size=1, max_size=4),
    st.dictionaries(IDS, FIELDS, min_size=1, max_size=4),
    st.sampled_from(["x.json", "x.jsonl"]),
    st.data(),
)
def test_anything_reads_back_equal(
    queries: dict[str, str], documents: dict[str, dict[str, str]], name: str, data: st.DataObject
) -> None:
    run = {}
    for query in queries:
        names = data.draw(st.lists(st.sampled_from(sorted(documents)), min_size=1, unique=True))
        scores = data.draw(st.lists(SCORES, min_size=len(names), max_size=len(names)))
        run[query] = dict(zip(names, sorted(scores, reverse=True), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_requests(path, queries, run, MemoryDocuments(documents))
        found = RequestCollection(path)
        assert list(found.queries().items()) == list(queries.items())
        assert as_lists(found.run()) == as_lists(run)
        wanted = {name for scores in run.values() for name in scores}
        assert dict(found.documents()) == {name: documents[name] for name in wanted}


def test_null_is_a_blank_text(path: Path) -> None:
    write(path, request({"text": None, "qid": 1}, candidate("x", text=None)))
    found = RequestCollection(path)
    assert (found.queries(), dict(found.documents())) == ({"1": ""}, {"x": {"text": ""}})


def test_an_indented_array_as_rank_llm_writes_it(path: Path) -> None:
    records = [request(Q, candidate(7, 2, contents="a", id="7"))]
    path.write_bytes(gzip.compress(json.dumps(records, indent=2).encode()))
    assert recognise(path)
    found = RequestCollection(path)
    assert found.queries() == {"1": "what?"}
    assert dict(found.documents()) == {"7": {"text": "a", "id": "7"}}
    assert found.run() == {"1": {"7": 2.0}}


def test_the_older_form_with_hits(path: Path) -> None:
    hit = {"content": "a", "qid": 264014, "docid": "5611210", "rank": 1, "score": 15.5}
    path.write_text(json.dumps([{"query": "fleas", "hits": [hit]}]))
    assert recognise(path)
    found = RequestCollection(path)
    assert found.queries() == {"264014": "fleas"}
    assert found.run() == {"264014": {"5611210": 15.5}}
    assert dict(found.documents()) == {"5611210": {"text": "a"}}


@pytest.mark.parametrize("key", ["text", "segment", "contents", "content", "body", "passage"])
def test_the_keys_of_texts(path: Path, key: str) -> None:
    doc = {"title": None, key: "a", "n": 3, "passage_id": "p"}
    found = write(path, request(Q, candidate("d", **doc)))
    assert dict(found.documents()) == {"d": {"text": "a", "passage_id": "p"}}


def test_the_first_key_in_rank_llms_order_is_the_text(path: Path) -> None:
    found = write(path, request(Q, candidate("d", contents="b", segment="a", body="c")))
    fields = {"text": "a", "contents": "b", "body": "c"}
    assert dict(found.documents()) == {"d": fields}


def test_scores_are_followed_where_the_order_disagrees(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        candidate(name, score, text="") for name, score in zip("abcd", (1, 3, 3, 0), strict=True)
    ]
    found = write(path, request(Q, *rows), request({"text": "", "qid": 2}))
    with caplog.at_level(logging.WARNING, "rankprompt"):
        run = found.run()
    assert as_lists(run) == [("1", [("b", 3.0), ("c", 3.0), ("a", 1.0), ("d", 0.0)])]
    assert "disagrees with their scores in 1 requests, first on line 1" in caplog.text
    assert list(found.queries()) == ["1", "2"]


def test_candidates_without_scores_keep_their_order(path: Path) -> None:
    rows = [candidate("b", text=""), {"docid": "a", "doc": {"text": ""}}]
    assert as_lists(write(path, request(Q, *rows)).run()) == [("1", [("b", 2.0), ("a", 1.0)])]


GOOD = request(Q, candidate("d", 1, text="a"))
OTHER = {"text": "", "qid": 2}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"query": OTHER}, "no 'candidates'; found 'query'"),
        ({"query": "q", "hits": []}, "one qid in all hits, found 0"),
        (request("q"), "query: expected a JSON object, found str"),
        (request({"text": "a"}), "query: no 'qid'; found 'text'"),
        (request({"qid": 2, "text": 3}), "query: expected a string under 'text', found int"),
        (request({"qid": 1.5, "text": ""}), "whole number under 'qid', found float"),
        ({"query": OTHER, "candidates": {}}, "expected a list under 'candidates', found dict"),
        (request(OTHER, 5), "query 2, candidate 1: expected a JSON object, found int"),
        (request(OTHER, {"docid": "x"}), "candidate 1: no 'doc'; found 'docid'"),
        (request(OTHER, {"docid": "x", "doc": "a"}), "expected a JSON object, found str"),
        (request(OTHER, candidate("x", title="a")), "no text: expected 'text', 'segment'"),
        (request(OTHER, candidate("x", text=[])), "string under 'text', found list"),
        (request(OTHER, candidate("x", text="\ud83d")), "half a surrogate pair"),
        (request(OTHER, candidate("x", "1", text="a")), "number as the score, found str"),
        (request(OTHER, candidate("x", True, text="a")), "number as the score, found bool"),
        (request(OTHER, candidate("x", float("nan"), text="a")), "expected a finite number"),
        (request(OTHER, candidate("x", 10**999, text="a")), "expected a finite number"),
        (
            request(OTHER, candidate("x", 1, text="a"), candidate("y", text="a")),
            "some candidates of query 2 have scores and some have none",
        ),
        (
            request(OTHER, candidate("x", 2, text="a"), candidate("x", 1, text="a")),
            "document x occurs twice among the candidates of query 2",
        ),
        (request(Q), "query 1 already has a request on line 1"),
        (
            request(OTHER, candidate("d", 1, text="b")),
            "document d has another text in the request of line 1",
        ),
    ],
)
def test_what_is_malformed_is_told(path: Path, record: object, problem: str) -> None:
    found = write(path, GOOD, record)
    with pytest.raises(InputError, match=f"jsonl:2: .*{problem}") as caught:
        found.run(), found.documents()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no request"),
        ("[]", "holds no request"),
        ("[\n", ":1: malformed JSON: Expecting value"),
        ('[\n{"query":\n}]', ":3: malformed JSON: Expecting value"),
        ("[3]", ":1: expected a JSON object, found int"),
        (f"[{json.dumps(GOOD)}\n\n{json.dumps(GOOD)}]", ":3: malformed JSON: expected ','"),
        (f"[{json.dumps(GOOD)}", ":1: malformed JSON: expected ',' or ']'"),
        (f"[{json.dumps(GOOD)},]", ":1: malformed JSON: Expecting value"),
        (f"[{json.dumps(GOOD)}]\nx", ":2: malformed JSON: text after the end"),
        ("[" * 100_000, ":1: malformed JSON"),
        (f"[{'9' * 5000}]", ":1: malformed JSON"),
        ('{"query": {"qid": 1, "qid": 2}}', "'qid' occurs twice in one object"),
        ("query\tcandidates\n", ":1: malformed JSON"),
    ],
)
def test_malformed_files_are_told(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        RequestCollection(path).run()


def test_what_is_no_request_is_not_recognised(path: Path) -> None:
    assert not recognise(path)
    assert not recognise(path.parent)
    for content in (b"", b"q\ttext", b'{"query": "a", "id": 1}', b"\x1f\x8b", b"\xff"):
        path.write_bytes(content)
        assert not recognise(path)
    with pytest.raises(InputError, match="has no splits"):
        open_collection(f"requests:{path}", split="test")
    path.unlink()
    with pytest.raises(InputError, match="no file"):
        open_collection(f"requests:{path}")


def test_what_cannot_be_written_leaves_the_old_file(path: Path) -> None:
    path.write_text("old")
    documents = MemoryDocuments({"d": {"title": "a"}, "e": {"text": ""}})
    with pytest.raises(InputError, match="query q of the run has no text"):
        write_requests(path, {}, {"q": {}}, documents)
    for name in ("d", "x"):
        with pytest.raises(InputError, match=f"document {name} of query q has no text"):
            write_requests(path, {"q": ""}, {"q": {name: 1.0}}, documents)
    documents = MemoryDocuments({"a": {"text": ""}, "b": {"text": ""}})
    with pytest.raises(ValueError, match="scores of query q rise"):
        write_requests(path, {"q": ""}, {"q": {"a": 1.0, "b": 2.0}}, documents)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_requests(path, {"q": ""}, {"q": {"a": float("nan")}}, documents)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_changed_bytes_are_told_or_change_only_their_record(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_requests(path, QUERIES, RUN, MemoryDocuments(DOCUMENTS))
    original = path.read_bytes()
    refused: list[str] = []
    for content in mutate(original, seed=len(name), times=1000):
        path.write_bytes(content)
        found = RequestCollection(path)
        try:
            queries, run, documents = found.queries(), found.run(), dict(found.documents())
        except RankpromptError as error:
            refused.append(str(error))
            continue
        text = content.decode("utf-8-sig")
        records = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.split("\n") if line.strip()]
        )
        assert queries == {str(one["query"]["qid"]): one["query"]["text"] for one in records}
        assert {query: dict(scores) for query, scores in run.items()} == {
            str(one["query"]["qid"]): {str(c["docid"]): c["score"] for c in one["candidates"]}
            for one in records
            if one["candidates"]
        }
        for one in records:
            for row in one["candidates"]:
                doc = row["doc"]
                key = "text" if "text" in doc else "segment"
                others = {name: doc[name] for name in doc if name != key}
                strings = {name: text for name, text in others.items() if isinstance(text, str)}
                assert documents[str(row["docid"])] == {"text": doc[key], **strings}
    assert 200 < len(refused) < 990
    assert all(len(problem.splitlines()) == 1 for problem in refused)
