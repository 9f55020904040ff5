import asyncio
import logging
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.model import OpenAIModel
from tests.llm.openai.calls import (
    CHOOSE,
    LABELS,
    PASSAGE,
    RAW,
    WRITE,
    A,
    Body,
    ask,
    ask_at,
    listed,
    refusal,
    said,
)
from tests.servers.protocol import ProtocolServer, Reply, reply


def test_a_chat_is_asked_to_write_greedily() -> None:
    bodies: list[Body] = []

    def respond(body: Body) -> Body:
        bodies.append(body)
        return said("Passage A")

    assert ask(respond, WRITE) == [(Answer(text="Passage A"), Usage(14, 0, written=3))]
    assert bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Which?"}],
            "max_tokens": 7,
            "temperature": 0,
        }
    ]


def test_a_raw_prompt_is_completed_and_the_api_can_be_chosen() -> None:
    paths: list[str] = []

    def respond(path: str, body: Body) -> Body:
        paths.append(path)
        assert body.get("prompt", "Which?") == "Which?"
        return said("in chat") if "messages" in body else {"choices": [{"text": " completed"}]}

    with ProtocolServer(respond) as server:
        texts = [
            asyncio.run(ask_at(server.url, [request], {"api": api}))[0][0].text
            for api in ("auto", "chat", "completions")
            for request in (WRITE, WRITE._replace(chat=False))
        ]
    chat, plain = "/v1/chat/completions", "/v1/completions"
    assert paths == [chat, plain, chat, chat, plain, plain]
    assert [text == "in chat" for text in texts] == [path == chat for path in paths]


def test_nothing_to_do_is_told() -> None:
    assert "options, or tokens" in refusal(lambda _: said("x"), Request("p"))
    assert "option is empty" in refusal(lambda _: said("x"), Request("p", ("A", " ")))


# What a server may refuse


def test_a_newer_name_of_the_limit_is_learnt() -> None:
    limits: list[set[str]] = []

    def respond(body: Body) -> Body | Reply:
        limits.append({name for name in body if "max" in name})
        if "max_tokens" in body:
            text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return reply({"error": {"message": text}}, 400)
        return said("Passage A")

    first, second = ask(respond, WRITE, WRITE)
    assert limits == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]
    assert (first[1].retries, second[1].retries) == (1, 0)


def test_a_limit_that_has_no_other_name_is_not_sent_again() -> None:
    answer = reply({"error": {"message": "use max_completion_tokens"}}, 400)
    message = refusal(lambda _: answer, WRITE._replace(chat=False))
    assert "a call is refused (400: use max_completion_tokens)" in message


def test_a_temperature_that_is_refused_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def respond(body: Body) -> Body | Reply:
        if "temperature" in body:
            return reply({"error": {"message": "'temperature' does not support 0"}}, 400)
        return said("Passage A")

    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert ask(respond, WRITE, WRITE)[1][0].text == "Passage A"
    assert [record.message for record in caplog.records] == [
        "m takes no temperature: its answers may vary"
    ]


@pytest.mark.parametrize("request_", [CHOOSE, RAW])
def test_a_server_may_list_only_a_few(request_: Request) -> None:
    def respond(body: Body) -> Body | Reply:
        if 20 in (body["logprobs"], body.get("top_logprobs")):
            return reply({"error": {"message": "top_logprobs must be at most 5"}}, 400)
        return listed([PASSAGE, A] if "messages" in body else [A])

    ((answer, _),) = ask(respond, request_)
    expected = [0.64, 0.32] if request_.chat else [0.6, 0.3]
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx(expected)


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": {"message": "You are not allowed to request logprobs"}}, 403),
        reply({"error": {"message": "logprobs is not supported"}}, 400),
        said("Passage A"),
        listed([(one, {one: 0.9}) for one in ("Passage", " A")]),
    ],
)
def test_a_server_without_log_probabilities_is_told(answer: Body | Reply) -> None:
    message = refusal(lambda _: answer, CHOOSE)
    assert "no log-probabilities for m" in message
    assert "use `mode` generation" in message


def test_one_that_has_listed_them_before_is_asked_for_longer() -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        return said("Passage A") if 2 <= len(calls) <= 6 else listed([PASSAGE, A])

    first, second = ask(respond, CHOOSE, CHOOSE)
    assert first[0] == second[0]
    assert second[1].retries == 5


# Settings


def test_a_wrong_api_is_told() -> None:
    with pytest.raises(InputError, match="api must be auto, chat or completions, not 'soap'"):
        OpenAIModel("m", base_url="http://localhost", api="soap")


def test_the_fingerprint_tells_models_apart() -> None:
    def fingerprint(name: str = "m", url: str = "http://host/v1", **chosen: Any) -> str:
        return OpenAIModel(name, base_url=url, **chosen).fingerprint

    assert fingerprint() == fingerprint(url=" HTTP://Host/v1/ ") == fingerprint(timeout=1.0)
    different = [
        fingerprint(),
        fingerprint("n"),
        fingerprint(url="http://host:8080/v1"),
        fingerprint(url="https://host/v1"),
        fingerprint(api="chat"),
    ]
    assert len(set(different)) == len(different)


# Lengths

SOMEWHERE = OpenAIModel("m", base_url="http://localhost")


@given(st.text(st.characters()), st.integers(0, 20))
def test_a_cut_text_is_the_longest_start_that_fits(text: str, tokens: int) -> None:
    model = SOMEWHERE
    cut = model.truncate(text, tokens)
    assert text.startswith(cut)
    bare = model.length(Request(""))
    assert model.length(Request(cut)) - bare <= tokens
    if cut != text:
        assert model.length(Request(text[: len(cut) + 1])) - bare > tokens
    assert model.truncate(cut, tokens) == cut


def test_lengths_are_rather_too_large() -> None:
    model = OpenAIModel("m", base_url="http://localhost", context_length=99)
    assert model.context_length == 99
    assert model.length(Request("人工智能")) == 4
    assert model.length(Request("four words of English", max_tokens=8)) == 7 + 8
    assert model.length(Request("x", LABELS, chat=True)) > model.length(Request("x", LABELS)) > 5
