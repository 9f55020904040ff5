"""Written answers that a server restricts to their choices, found out by asking."""

import asyncio
from typing import Any

import pytest

from rankprompt.llm.base import Request
from rankprompt.llm.openai.loading import load
from rankprompt.llm.openai.settings import ServerSettings
from tests.servers.protocol import ProtocolServer, Reply, reply

WRITE = Request("Which?", max_tokens=8, chat=True, choices=("Passage A", "Passage B"))
Body = dict[str, Any]


class Server:
    """A server with or without ``/tokenize`` and structured outputs; records its chats."""

    def __init__(self, *, like_vllm: bool = True, does: str = "restricts") -> None:
        self.like_vllm, self.does = like_vllm, does
        self.bodies: list[Body] = []

    def __call__(self, path: str, body: Body) -> Body | Reply:
        if path == "/tokenize":
            found = {"tokens": [1, 2], "count": 2, "max_model_len": 2048}
            return found if self.like_vllm else reply({"detail": "Not Found"}, 404)
        self.bodies.append(body)
        asked = "structured_outputs" in body
        if asked and self.does == "refuses":
            return reply({"error": {"message": "Extra inputs are not permitted"}}, 400)
        restricts = asked and self.does == "restricts"
        text = "Passage B" if restricts else "Let me think about Passage A"
        return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


async def ask_twice(server: Server) -> tuple[list[str], str]:
    with ProtocolServer(server, tokenizes=True) as running:
        model: Any = load("m", base_url=running.url)
        try:
            texts = [(await model.answer(WRITE))[0].text for _ in range(2)]
            free, _ = await model.answer(WRITE._replace(choices=()))
            assert free.text == "Let me think about Passage A"
            return texts, model.choices_read_from
        finally:
            await model.close()


@pytest.mark.parametrize(
    ("server", "text", "sent", "told"),
    [
        (Server(), "Passage B", [True, True, False], "structured answers"),
        (Server(does="ignores"), "Let", [True, False, False], "the likeliest tokens, or text"),
        (Server(does="refuses"), "Let", [True, *[False] * 3], "the likeliest tokens, or text"),
        (Server(like_vllm=False), "Let", [False, False, False], "the likeliest tokens, or text"),
    ],
)  # fmt: skip
def test_a_server_is_asked_to_restrict_answers_as_long_as_it_does(
    server: Server, text: str, sent: list[bool], told: str
) -> None:
    texts, read_from = asyncio.run(ask_twice(server))
    assert all(one.startswith(text) for one in texts)
    assert ["structured_outputs" in body for body in server.bodies] == sent
    assert read_from == told
    if sent[0]:
        assert server.bodies[0]["structured_outputs"] == {"choice": ["Passage A", "Passage B"]}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("vllm", "/version", "version"), {"structured_outputs": {"choice": ["Passage A", "B."]}}),
        (("sglang", "/server_info", "version"), {"regex": r"Passage\ A|B\."}),
        (("llamacpp", "/props", "build_info"), {"grammar": 'root ::= "Passage A" | "B."'}),
        (("library", "/api/version", "version"), {}),
    ],
)
def test_each_server_is_told_the_choices_in_its_own_form(
    said: tuple[str, str, str], expected: Body
) -> None:
    owner, page, field = said
    bodies: list[Body] = []

    def respond(_: str, body: Body) -> Body:
        bodies.append(body)
        return {"choices": [{"message": {"content": "B."}, "finish_reason": "stop"}]}

    async def go(url: str, **settings: Any) -> str:
        model: Any = load("m", base_url=url, settings=ServerSettings(**settings))
        try:
            await model.answer(WRITE._replace(choices=("Passage A", "B.")))
            return str(model.choices_read_from)
        finally:
            await model.close()

    models = {"data": [{"id": "m", "owned_by": owner}]}
    with ProtocolServer(respond, models=models, pages={page: {field: "1"}}) as server:
        told = asyncio.run(go(server.url))
        own = {"grammar": "root ::= [AB]"}
        asyncio.run(go(server.url, extra_body=own))
    fields = ("structured_outputs", "regex", "grammar")
    sent = [{name: body[name] for name in fields if name in body} for body in bodies]
    # The user's own restriction counts.
    assert sent == [expected, own]
    assert (told == "structured answers") == bool(expected)
