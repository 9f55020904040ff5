"""Examples of requests and the errors of endpoints, for the OpenAPI description."""

from typing import Any

__all__ = ["COHERE_EXAMPLES", "ERRORS", "RERANK_EXAMPLES", "SCORE_EXAMPLES", "TEI_ERRORS",
           "TEI_EXAMPLES", "UNAUTHORIZED", "UNREADY"]  # fmt: skip

_QUERY = "where do bees live"
_TEXTS = ["The mill by the river is old.", "Bees live in hives, or in hollow trees."]


def _examples(**examples: Any) -> dict[str, Any]:
    named = {name.replace("_", " "): {"value": value} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": named}}}}


def _errors(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": schema}}
    return {
        "4XX": {"description": "The request cannot be served, or its key is missing or wrong "
                "(401); the message says why.",
                "content": content},
        "5XX": {"description": "The model cannot answer (502), the server is not ready (503), or "
                "the time is over (504).", "content": content},
    }  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


_TEXT = {"type": "string"}

RERANK_EXAMPLES = _examples(
    texts={"model": "any", "query": _QUERY, "documents": _TEXTS, "top_n": 1},
    objects_and_a_method={
        "query": _QUERY,
        "documents": [{"title": "Bees", "text": _TEXTS[1]}, {"text": _TEXTS[0]}],
        "return_documents": True,
        "method": "pointwise",
        "explain": True,
    },
)
COHERE_EXAMPLES = _examples(
    texts={"model": "any", "query": _QUERY, "documents": _TEXTS, "top_n": 1}
)
TEI_EXAMPLES = _examples(texts={"query": _QUERY, "texts": _TEXTS, "return_text": True})
SCORE_EXAMPLES = _examples(
    one_query={"model": "any", "queries": _QUERY, "documents": _TEXTS},
    pairs={"text_1": [_QUERY, "mill"], "text_2": _TEXTS[::-1]},
)

_ERROR = _object(
    message=_TEXT,
    detail=_TEXT,
    error=_object(message=_TEXT, type=_TEXT, code={"type": "integer"}),
)
ERRORS = _errors(_ERROR)
TEI_ERRORS = _errors(_object(error=_TEXT, error_type=_TEXT))


def _described(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": _ERROR}}
    return {status: {"description": description, "content": content}}


UNAUTHORIZED = _described(401, "The key is missing or wrong, where the server has keys.")
UNREADY = _described(503, "The model is being loaded, or the server ends.")
