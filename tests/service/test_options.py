"""Options of requests, within the limits of the server."""

from fastapi.testclient import TestClient

from rankprompt.api.reranker import Reranker
from tests.service.conftest import Start

TEXTS = ["d", "b", "a", "c"]
BODY = {"query": "which is first", "documents": TEXTS}


def ask(client: TestClient, **options: object) -> dict[str, object]:
    answer = client.post("/v1/rerank", json={**BODY, **options})
    assert answer.status_code == 200, answer.text
    content: dict[str, object] = answer.json()
    return content


def test_a_request_may_name_a_method(started: Start, pairwise: Reranker) -> None:
    client = started(pairwise)
    answer = ask(client, method="allpair", explain=True)
    own = pairwise.with_options(method="allpair").rank(BODY["query"], TEXTS)  # type: ignore[arg-type]
    assert answer["results"] == [{"index": one.index, "relevance_score": one.score} for one in own]
    assert [TEXTS[one.index] for one in own] == ["a", "b", "c", "d"]
    assert len(answer["explanation"]) == 6  # type: ignore[arg-type]
    first = answer["explanation"][0]  # type: ignore[index]
    assert {"kind": "comparison", "indices": [0, 1], "answered": True, "stage": 1}.items() <= (
        first.items()
    )
    assert first["answer"] < 0.5


def test_an_object_is_judged_by_the_fields_of_passages(started: Start, reranker: Reranker) -> None:
    documents = [
        {"text": "", "content": "hidden"}, {"text": "", "url": "x"}, {"text": "mill", "id": 1},
        {"text": " ", "title": "boats", "id": 1}, {"text": "", "title": None},
    ]  # fmt: skip
    for options, prompts in (({}, 2), ({"fields": "text"}, 1)):
        client = started(reranker.with_options(**options))
        answer = client.post("/v1/rerank", json={"query": "boats", "documents": documents})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["results"]) == 5
        assert answer.json()["usage"]["prompts"] == prompts


def test_the_smaller_budget_holds(started: Start, pairwise: Reranker) -> None:
    client = started(pairwise)  # whose reranker asks at most 40 prompts
    many = {"documents": [chr(97 + n) for n in range(8)], "method": "allpair"}
    for mine, prompts in ((4, 4), (4000, 40)):
        usage = ask(client, **many, max_prompts=mine)["usage"]
        assert usage["prompts"] == prompts  # type: ignore[index]
        assert usage["questions"] + usage["unasked"] == 28  # type: ignore[index]


def test_a_threshold_leaves_documents_out(client: TestClient) -> None:
    every = ask(client)["results"]
    _, second, third, _ = (one["relevance_score"] for one in every)  # type: ignore[attr-defined]
    assert ask(client, threshold=(second + third) / 2)["results"] == every[:2]  # type: ignore[index]


def test_a_request_that_would_ask_too_much(started: Start, pairwise: Reranker) -> None:
    client = started(pairwise, max_questions=10)
    assert ask(client, method="allpair")["results"]
    answer = client.post("/v2/rerank", json={**BODY, "documents": TEXTS * 2, "method": "allpair"})
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "8 documents need about 28 questions, more than the 10 of this server; send fewer "
        "documents or name another method"
    )


def test_kept_combinations_are_bounded(started: Start, pairwise: Reranker) -> None:
    client = started(pairwise, variants=2)
    first = [ask(client, k=k)["results"] for k in (1, 2, 3, 4)]
    assert [ask(client, k=k)["results"] for k in (1, 2, 3, 4)] == first
