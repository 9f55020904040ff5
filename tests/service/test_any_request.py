"""Whatever a body holds, it is ranked or refused in one line."""

import json
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.service.test_bad_requests import JSON, NAMES, line

TEXTS = st.text(max_size=6)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.lists(TEXTS | st.fixed_dictionaries({"text": TEXTS}), max_size=5)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "query": TEXTS,
    "documents": DOCUMENTS,
    "texts": st.lists(TEXTS, max_size=5),
    "top_n": st.integers(1, 9),
    "return_documents": st.booleans(),
    "return_text": st.booleans(),
    "raw_scores": st.booleans(),
    "threshold": st.floats(0, 1),
    "max_prompts": st.integers(1, 9),
    "explain": st.booleans(),
    "method": st.sampled_from(["pointwise", "heapsort", ""]),
    "k": st.integers(-1, 9),
}
BODIES = st.fixed_dictionaries(
    {}, optional={name: st.one_of(value, value, value, VALUES) for name, value in FIELDS.items()}
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(NAMES)), BODIES | VALUES)
@example("/v1/rerank", {"query": "\x1c", "documents": ["a"]})
@example("/v2/rerank", {"query": "a", "documents": ["\0"]})
def test_any_body_is_ranked_or_refused_in_one_line(
    client: TestClient, path: str, body: Any
) -> None:
    answer = client.post(path, content=json.dumps(body).encode(), headers=JSON)
    if answer.status_code != 200:
        assert answer.status_code in (400, 422)
        line(path, answer)
        return
    results = answer.json() if path == "/rerank" else answer.json()["results"]
    indices = [one["index"] for one in results]
    number = len(body[NAMES[path]])
    if "threshold" not in body:
        assert len(indices) == min(number, body.get("top_n") or number) or path == "/rerank"
    assert len(set(indices)) == len(indices) <= number
    assert set(indices) <= set(range(number))
    scores = [one.get("score", one.get("relevance_score")) for one in results]
    assert scores == sorted(scores, reverse=True)


@given(content=st.binary(max_size=40))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused_in_one_line(client: TestClient, content: bytes) -> None:
    answer = client.post("/v2/rerank", content=content, headers=JSON)
    assert answer.status_code in (400, 422)
    line("/v2/rerank", answer)
