"""What clients of each protocol send, and what they get."""

import math

import pytest
from fastapi.testclient import TestClient

from rankprompt.api.reranker import Reranker
from tests.service.conftest import Start

TEXTS = ["mill", "harbour", "boats", "bees"]
QUERY = "where are the boats"


def test_v1_gives_the_ranking_of_the_reranker(client: TestClient, reranker: Reranker) -> None:
    body = {"model": "any", "query": QUERY, "documents": TEXTS}
    answer = client.post("/v1/rerank", json=body).json()
    ranking = reranker.rank(QUERY, TEXTS)
    expected = [{"index": one.index, "relevance_score": one.score} for one in ranking]
    assert answer["results"] == expected
    assert (answer["model"], answer["meaning"]) == ("rerank:m", "probability of relevance")
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert (usage["questions"], usage["prompts"], usage["cost"]) == (4, 4, 0)


def test_v1_takes_objects_and_gives_them_back(client: TestClient) -> None:
    documents = [{"id": "x", "text": "mill", "year": 1900}, "bees", {"id": "x", "text": "boats"}]
    body = {"query": QUERY, "documents": documents, "return_documents": True}
    results = client.post("/v1/rerank", json=body).json()["results"]
    given = {one["index"]: one["document"] for one in results}
    assert given == {0: documents[0], 1: {"text": "bees"}, 2: documents[2]}


def test_titles_are_read(client: TestClient, reranker: Reranker) -> None:
    documents = [{"title": "On boats", "text": "mill"}, {"text": "mill"}]
    answer = client.post("/v1/rerank", json={"query": QUERY, "documents": documents}).json()
    read = reranker.rank(QUERY, ["On boats\nmill", "mill"])
    assert [one["relevance_score"] for one in answer["results"]] == [one.score for one in read]


def test_v2_is_coheres(client: TestClient) -> None:
    body = {"model": "rerank-v3.5", "query": QUERY, "documents": TEXTS * 30, "top_n": 2.0,
            "max_tokens_per_doc": 4096}  # fmt: skip
    answer = client.post("/v2/rerank", json=body).json()
    assert [sorted(one) for one in answer["results"]] == [["index", "relevance_score"]] * 2
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}
    assert answer["meta"] == meta
    assert len(answer["id"]) == 32


def test_tei_gives_a_list(client: TestClient, reranker: Reranker) -> None:
    body = {"query": QUERY, "texts": TEXTS, "return_text": True, "truncate": True}
    answer = client.post("/rerank", json=body).json()
    ranking = reranker.rank(QUERY, TEXTS)
    assert answer == [{"index": o.index, "score": o.score, "text": o.text} for o in ranking]
    raw = client.post("/rerank", json={"query": QUERY, "texts": TEXTS, "raw_scores": True}).json()
    assert [one["score"] for one in raw] == [one.value for one in ranking]
    assert raw[0]["score"] == pytest.approx(
        math.log(ranking[0].score / (1 - ranking[0].score)), rel=1e-3
    )


def test_raw_scores_need_a_number_of_each_text(client: TestClient) -> None:
    body = {"query": QUERY, "texts": ["mill", " "], "raw_scores": True}
    answer = client.post("/rerank", json=body)
    assert answer.status_code == 422
    assert "no number for 1 of the texts, the first of them at index 1" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    "body",
    [
        {"queries": QUERY, "documents": TEXTS},
        {"text_1": [QUERY] * 4, "text_2": TEXTS},
        {"queries": [QUERY], "text_2": TEXTS, "model": "any"},
    ],
)
def test_scores_are_of_pairs_in_their_order(
    client: TestClient, reranker: Reranker, path: str, body: dict[str, object]
) -> None:
    answer = client.post(path, json=body).json()
    expected = [reranker.rank(QUERY, [text])[0].score for text in TEXTS]
    data = [{"index": n, "object": "score", "score": s} for n, s in enumerate(expected)]
    assert answer["data"] == data
    assert answer["usage"]["total_tokens"] > 0


def test_a_method_that_compares_scores_no_pairs(started: Start, pairwise: Reranker) -> None:
    client = started(pairwise)
    answer = client.post("/score", json={"queries": QUERY, "documents": TEXTS})
    assert answer.status_code == 400
    assert "heapsort, whose scores depend on all documents" in answer.json()["detail"]


def test_duplicates_are_ranked_each_and_blank_texts_last(client: TestClient) -> None:
    body = {"query": QUERY, "documents": ["", "mill", "bees", "mill", "  "], "top_n": 9}
    results = client.post("/v1/rerank", json=body).json()["results"]
    assert sorted(one["index"] for one in results) == [0, 1, 2, 3, 4]
    assert [one["index"] for one in results[3:]] == [0, 4]
    scores = [one["relevance_score"] for one in results]
    assert scores == sorted(set(scores), reverse=True)


def test_only_blank_texts_need_no_model(client: TestClient) -> None:
    answer = client.post("/v1/rerank", json={"query": QUERY, "documents": ["", " "]}).json()
    assert answer["usage"]["prompts"] == 0
    assert [one["index"] for one in answer["results"]] == [0, 1]


def test_what_the_server_tells_of_itself(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "model": "rerank:m"}
    assert client.get("/v1/models").json()["data"][0]["id"] == "rerank:m"
    info = client.get("/info").json()
    assert (info["model_id"], info["max_client_batch_size"]) == ("rerank:m", 10_000)
    assert "reranker" in info["model_type"]


def test_the_description_has_examples_that_work(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    tried = 0
    for path, operations in description["paths"].items():
        body = operations.get("post", {}).get("requestBody", {})
        for content in body.get("content", {}).values():
            assert content["schema"]
            for example in content["examples"].values():
                assert client.post(path, json=example["value"]).status_code == 200, path
                tried += 1
    assert tried == 8


def test_metrics_count_requests_and_what_they_cost(started: Start, reranker: Reranker) -> None:
    client = started(reranker)
    client.post("/v2/rerank", json={"query": QUERY, "documents": TEXTS})
    client.post("/v2/rerank", json={"query": QUERY, "documents": []})
    client.get("/some/path")
    lines = client.get("/metrics").text.splitlines()
    assert {
        'rankprompt_requests_total{endpoint="/v2/rerank",status="200"} 1.0',
        'rankprompt_requests_total{endpoint="/v2/rerank",status="400"} 1.0',
        'rankprompt_requests_total{endpoint="other",status="404"} 1.0',
        'rankprompt_request_seconds_count{endpoint="/v2/rerank"} 2.0',
        "rankprompt_prompts_total 4.0",
        "rankprompt_documents_total 4.0",
        "rankprompt_queue_length 0.0",
    } <= set(lines)
