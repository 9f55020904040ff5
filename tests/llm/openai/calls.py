"""Calls to a server in this process, and replies in the forms of OpenAI's protocol."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.model import OpenAIModel
from tests.servers.protocol import ProtocolServer, Reply

KEY = "sk-a-secret-of-the-user"
LABELS = (" Passage A", " Passage B")
Body = dict[str, Any]
WRITE = Request("Which?", max_tokens=7, chat=True)
CHOOSE = Request("Which?", LABELS, chat=True)
RAW = Request("Which? Answer:", LABELS)
SCORE = Request("Passage: x Question:", (" what is x",))
Token = tuple[str | bytes, dict[str | bytes, float]]


def ask(
    respond: Callable[[Body], Body | Reply], *requests: Request, **settings: Any
) -> list[tuple[Answer, Usage]]:
    """Has requests answered one after the other by one model."""
    with ProtocolServer(lambda _, body: respond(body)) as server:
        return asyncio.run(ask_at(server.url, requests, settings))


async def ask_at(
    url: str, requests: Sequence[Request], settings: dict[str, Any]
) -> list[tuple[Answer, Usage]]:
    settings = {"pause": lambda _: 0.001, **settings}
    model = OpenAIModel("m", base_url=url, **settings)
    try:
        return [await model.answer(request) for request in requests]
    finally:
        await model.close()


def refusal(respond: Callable[[Body], Body | Reply], request: Request, **settings: Any) -> str:
    with pytest.raises(ModelError) as caught:
        ask(respond, request, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert KEY not in message
    return message


def said(content: Any, **message: Any) -> Body:
    return {
        "choices": [{"message": {"role": "assistant", "content": content, **message}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3},
    }


def _entry(token: str | bytes, probability: float) -> Body:
    content = token if isinstance(token, bytes) else token.encode()
    return {
        "token": content.decode("utf-8", "replace"),
        "bytes": list(content),
        "logprob": math.log(probability),
    }


def listed(tokens: Sequence[Token], content: str | None = None, **message: Any) -> Body:
    """A chat's reply: tokens, each with what is likely in its place (itself first)."""
    text = b"".join(one if isinstance(one, bytes) else one.encode() for one, _ in tokens)
    answer = said(text.decode("utf-8", "replace") if content is None else content, **message)
    answer["choices"][0]["logprobs"] = {
        "content": [
            _entry(token, next(iter(tops.values())))
            | {"top_logprobs": [_entry(*one) for one in tops.items()]}
            for token, tops in tokens
        ]
    }
    return answer


def sure(*tokens: str | bytes) -> list[Token]:
    return [(one, {one: 0.9, "?": 0.01}) for one in tokens]


A: Token = (" A", {" A": 0.6, " B": 0.3, "A": 0.04, " the": 0.01, "B": 0.02})
PASSAGE: Token = ("Passage", {"Passage": 0.7, "A": 0.2, "B": 0.1})


def completed(tokens: Sequence[str], tops: Sequence[dict[str, float]]) -> Body:
    logs = [{one: math.log(value) for one, value in top.items()} for top in tops]
    return {
        "choices": [
            {
                "text": "".join(tokens),
                "logprobs": {
                    "tokens": list(tokens),
                    "token_logprobs": [log.get(one) for one, log in zip(tokens, logs, strict=True)],
                    "top_logprobs": logs,
                },
            }
        ]
    }


def echoed(tokens: Sequence[str], scores: Sequence[float | None], *, before: str = "") -> Body:
    listed = [before, *tokens] if before else list(tokens)
    places = [sum(map(len, listed[:place])) for place in range(len(listed))]
    logprobs = {
        "tokens": listed,
        "token_logprobs": [None, *scores] if before else list(scores),
        "text_offset": places,
    }
    return {"choices": [{"text": "".join(tokens), "logprobs": logprobs}]}
