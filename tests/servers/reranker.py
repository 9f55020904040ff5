"""A reranker behind HTTP in this process, in the forms of Jina, Cohere, vLLM and TEI."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from rankprompt.rankers.seeded_random import uniform
from tests.servers.protocol import Reply, reply

__all__ = ["Reranker", "probability"]

Body = dict[str, Any]


def probability(query: str, text: str) -> float:
    """A model of many opinions."""
    return uniform(0, "relevance", query, text)


class Reranker:
    """Scores texts, and refuses calls of too many.

    Args:
        score: the probability that a text is relevant.
        most: the most texts of a call.

    Attributes:
        calls: the path and body of each call that was answered.
        most: as the argument; may be changed.
    """

    def __init__(
        self, score: Callable[[str, str], float] = probability, *, most: int = 1000
    ) -> None:
        self._score, self.most = score, most
        self.calls: list[tuple[str, Body]] = []

    @property
    def sizes(self) -> list[int]:
        """How many texts each call held."""
        return [len(_texts(body)) for _, body in self.calls]

    def __call__(self, path: str, body: Body) -> Body | Reply:
        """Answers a call."""
        query, texts = body["query" if "query" in body else "text_1"], _texts(body)
        if len(texts) > self.most:
            told = f"batch size {len(texts)} > maximum allowed batch size {self.most}"
            return reply({"error": told, "error_type": "Validation"}, 422)
        self.calls.append((path, body))
        scores = [(self._score(query, text), index) for index, text in enumerate(texts)]
        if path.startswith("/rerank"):
            return reply(
                [
                    {"index": index, "score": math.log(score / (1 - score))}
                    for score, index in sorted(scores, reverse=True)
                ]
            )
        if path.endswith("/score"):
            return {
                "data": [{"index": index, "score": score} for score, index in scores],
                "usage": {"prompt_tokens": 7 * len(texts), "total_tokens": 7 * len(texts)},
            }
        results = [
            {"index": index, "relevance_score": score}
            for score, index in sorted(scores, reverse=True)
        ]
        if path.startswith("/v2"):
            meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
            return {"id": "x", "results": results, "meta": meta}
        return {"model": "m", "results": results, "usage": {"total_tokens": 7 * len(texts)}}


def _texts(body: Body) -> Sequence[str]:
    named = (body.get(name) for name in ("documents", "texts", "text_2"))
    return next(texts for texts in named if isinstance(texts, list))
