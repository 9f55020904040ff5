"""Calls to a reranker behind a server in this process."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.rerankers.server import RerankServer
from tests.llm.openai.calls import KEY
from tests.servers.protocol import ProtocolServer, Reply
from tests.servers.reranker import Body, probability

__all__ = ["TEXTS", "odds", "refusal", "score"]

TEXTS = [f"text {number}" for number in range(10)]


def score(
    respond: Callable[[str, Body], Body | Reply],
    texts: Sequence[str] = TEXTS,
    path: str = "/v1",
    **options: Any,
) -> tuple[list[Answer], Usage]:
    """Has the texts scored by one model for one query."""

    async def go(url: str) -> tuple[list[Answer], Usage]:
        options.setdefault("pause", lambda _: 0.001)
        model = RerankServer("m", base_url=url, **options)
        try:
            return await model.answer_together([Request("q", passage=text) for text in texts])
        finally:
            await model.close()

    with ProtocolServer(respond) as server:
        return asyncio.run(go(server.url.removesuffix("/v1") + path))


def refusal(respond: Callable[[str, Body], Body | Reply], path: str = "/v1", **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        score(respond, path=path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert KEY not in message
    return message


def odds(texts: Sequence[str] = TEXTS) -> list[float]:
    chances = [probability("q", text) for text in texts]
    return [math.log(chance / (1 - chance)) for chance in chances]
