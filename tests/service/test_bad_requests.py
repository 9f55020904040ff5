"""Each request that cannot be served has a status, and a line in the shape of its endpoint."""

import gzip
import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rankprompt.api.reranker import Reranker
from tests.service.conftest import Start

JSON = {"Content-Type": "application/json"}
GOOD = {"query": "boats", "documents": ["mill"]}
NAMES = {"/v1/rerank": "documents", "/v2/rerank": "documents", "/rerank": "texts"}


def line(path: str, answer: Any) -> str:
    """The message of an error, whose shape is that of the endpoint's clients."""
    content = answer.json()
    if path == "/rerank":
        assert sorted(content) == ["error", "error_type"]
        message = content["error"]
    elif path == "/v2/rerank":
        assert sorted(content) == ["message"]
        message = content["message"]
    else:
        assert sorted(content) == ["detail", "error"]
        message = content["detail"]
        assert content["error"]["message"] == message
        assert content["error"]["code"] == answer.status_code
    assert isinstance(message, str)
    assert message == message.strip() != ""
    assert "\n" not in message
    return message


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"documents": []}, "{} must not be empty"),
        ({"documents": None}, "{} must be a list"),
        ({"documents": "mill"}, "{} must be a list"),
        ({"documents": [3]}, "{}.0 must be a text"),
        ({"documents": ["a", None]}, "{}.1 must be a text"),
        ({"query": ""}, "query must not be blank"),
        ({"query": " \n"}, "query must not be blank"),
        ({"query": 3}, "query must be a text"),
        ({"query": ...}, "query is missing"),
        ({"documents": ...}, "{} is missing"),
        ({"k": "3"}, "k must be a whole number"),
        ({"threshold": 2}, "threshold "),
        ({"method": "best"}, "unknown method 'best'"),
        ({"method": "a" * 65}, "method is too long"),
        ({"method": "'; drop"}, "method must be the names of methods, joined by commas"),
        ({"method": ""}, "method must not be blank"),
        ({"instruction": "a" * 10_001}, "instruction is too long"),
        ({"method": "cascade"}, "this server ranks by pointwise"),
        ({"instruction": "find"}, "`instruction` plays no part"),
        ({"max_prompts": 0}, "max_prompts "),
        ({"max_prompts": 10**30}, "max_prompts "),
    ],
)
def test_a_field_that_cannot_be_used(
    client: TestClient, path: str, change: dict[str, Any], problem: str
) -> None:
    body = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}
    if "documents" in body:
        body[NAMES[path]] = body.pop("documents")
    answer = client.post(path, json=body)
    assert answer.status_code == (422 if path == "/rerank" else 400)
    assert line(path, answer).startswith(problem.format(NAMES[path]))


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize("top_n", [0, -1, 1.5, "2", True])
def test_top_n_is_a_whole_number_from_1(client: TestClient, path: str, top_n: object) -> None:
    answer = client.post(path, json={**GOOD, "top_n": top_n})
    assert answer.status_code == 400
    assert line(path, answer).startswith("top_n ")


@pytest.mark.parametrize("path", [*NAMES, "/score"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the body "),
        (b"{", "the body is not JSON"),
        (b"nothing", "the body is not JSON"),
        (b'{"query": "\xff"}', "the body is not JSON in UTF-8"),
        (b"[" * 100_000, "the body is not JSON in UTF-8"),
        (b"3", "the body must be a JSON object"),
        (b'["a"]', "the body must be a JSON object"),
    ],
)
def test_a_body_that_is_no_object(
    client: TestClient, path: str, content: bytes, problem: str
) -> None:
    answer = client.post(path, content=content, headers=JSON)
    assert answer.status_code in (400, 422)
    assert line(path, answer).startswith(problem)


def test_half_a_character_is_refused(client: TestClient) -> None:
    for name in ("query", "documents"):
        good = json.dumps({**GOOD, name: "HALF" if name == "query" else ["HALF"]})
        content = good.replace("HALF", "\\ud800").encode()
        answer = client.post("/v2/rerank", content=content, headers=JSON)
        assert answer.status_code == 400
        assert line("/v2/rerank", answer).endswith("must be a text whose surrogates are paired")


def test_a_document_that_could_not_be_given_back(client: TestClient) -> None:
    for value in (b'"\\udc00"', b"NaN", b"1e999"):
        content = b'{"query": "a", "documents": [{"text": "b", "x": %s}]}' % value
        answer = client.post("/v1/rerank", content=content, headers=JSON)
        assert answer.status_code == 400
        assert line("/v1/rerank", answer) == "documents.0 must be JSON in UTF-8, without NaN"


def test_a_form_is_no_json(client: TestClient) -> None:
    answer = client.post("/v1/rerank", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert line("/v1/rerank", answer).endswith("with the header Content-Type: application/json")


def test_other_encodings_are_refused(client: TestClient) -> None:
    text = json.dumps(GOOD)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        answer = client.post("/v2/rerank", content=text.encode(encoding), headers=JSON)
        assert answer.status_code == 400
        assert line("/v2/rerank", answer) == "the body is not JSON in UTF-8"
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = client.post("/v2/rerank", content=gzip.compress(text.encode()), headers=headers)
    assert answer.status_code == 415
    assert "Content-Encoding" in line("/v2/rerank", answer)
    headers["Content-Encoding"] = "identity"
    assert client.post("/v2/rerank", content=text, headers=headers).status_code == 200


def test_other_names_of_the_server(started: Start, reranker: Reranker) -> None:
    client = started(reranker, hosts=("testserver", "localhost", "::1"))
    for host, status in {
        "localhost:80": 200,
        "[::1]:80": 200,
        "LOCALHOST": 200,
        "a.b": 400,
    }.items():
        assert client.post("/v2/rerank", json=GOOD, headers={"Host": host}).status_code == status


def test_unknown_fields_are_ignored(client: TestClient) -> None:
    for path, name in NAMES.items():
        body = {"query": "boats", name: ["mill"], "rank_fields": ["text"], "user": {"a": [1]}}
        assert client.post(path, json=body).status_code == 200


def test_a_path_or_a_way_that_there_is_not(client: TestClient) -> None:
    assert client.get("/v3/rerank").json()["detail"] == "Not Found"
    answer = client.post("/rerank/", json={}, follow_redirects=False)
    assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")
    answer = client.get("/rerank")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert line("/rerank", answer) == "Method Not Allowed"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"queries": "a"}, "give queries and documents"),
        ({"queries": ["a", "b"], "documents": ["c", "d", "e"]}, "2 queries and 3 documents"),
        ({"queries": [], "documents": ["c"]}, "queries "),
        ({"queries": "a", "documents": [" "]}, "documents.0 must not be blank"),
    ],
)
def test_texts_that_make_no_pairs(client: TestClient, body: Any, problem: str) -> None:
    answer = client.post("/score", json=body)
    assert answer.status_code == 400
    assert line("/score", answer).startswith(problem)


def test_pairs_beyond_the_budget_have_no_scores(started: Start, reranker: Reranker) -> None:
    client = started(reranker.with_options(max_prompts=2))
    assert client.post("/score", json={"queries": "a", "documents": ["b", "c"]}).status_code == 200
    answer = client.post("/score", json={"queries": "a", "documents": ["b", "c", "d"]})
    assert answer.status_code == 400
    assert line("/score", answer).startswith("the server's budget is spent: 1 of the pairs")


@pytest.mark.parametrize("path", NAMES)
def test_a_message_is_bounded(client: TestClient, path: str) -> None:
    answer = client.post(path, json={"query": "a", NAMES[path]: ["b"], "method": "z" * 64})
    assert len(line(path, answer)) <= 500


@pytest.mark.parametrize("path", NAMES)
def test_too_many_documents(started: Start, reranker: Reranker, path: str) -> None:
    client = started(reranker, max_documents=3)
    assert client.post(path, json={"query": "a", NAMES[path]: ["b"] * 3}).status_code == 200
    answer = client.post(path, json={"query": "a", NAMES[path]: ["b"] * 4})
    assert answer.status_code == 413
    assert "4 documents are more than the 3" in line(path, answer)


@pytest.mark.parametrize("path", [*NAMES, "/score"])
def test_many_wrong_elements_cost_little(client: TestClient, path: str) -> None:
    name = NAMES.get(path, "documents")
    started = time.process_time()
    for element in ("0", "{}"):
        elements = ",".join([element] * 9_999)
        content = f'{{"query": "a", "queries": "a", "{name}": [{elements}]}}'
        answer = client.post(path, content=content, headers=JSON)
        assert answer.status_code == (422 if path == "/rerank" else 400)
        assert line(path, answer).startswith(f"{name}.0")
    content = f'{{"query": "a", "queries": "a", "{name}": [{"0," * 200_000}0]}}'
    answer = client.post(path, content=content, headers=JSON)
    assert answer.status_code == 413
    assert line(path, answer) == (
        "200,001 documents are more than the 10,000 that this server takes"
    )
    assert time.process_time() - started < 1


def test_ten_thousand_documents_are_ranked(client: TestClient) -> None:
    texts = [f"text {number}" for number in range(10_000)]
    answer = client.post("/v2/rerank", json={"query": "a", "documents": texts, "max_prompts": 99})
    assert answer.status_code == 200
    assert answer.json()["usage"]["unasked"] == 9901
    assert len({one["index"] for one in answer.json()["results"]}) == 10_000


def test_a_body_that_is_too_large(started: Start, reranker: Reranker) -> None:
    client = started(reranker, max_body=1000)
    content = json.dumps({"query": "a", "texts": ["b" * 1000]}).encode()
    declared = client.post("/rerank", content=content, headers=JSON)
    chunked = client.post(
        "/rerank", content=(content[at : at + 100] for at in range(0, 2000, 100)), headers=JSON
    )
    assert [declared.status_code, chunked.status_code] == [413, 413]
    assert line("/rerank", declared) == line("/rerank", chunked)
    assert declared.headers["connection"] == chunked.headers["connection"] == "close"
