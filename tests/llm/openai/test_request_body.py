"""Switches of thinking, effort, and the user's own fields, as a server receives them."""

import logging
from typing import Any

import pytest

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.llm.openai.request_body import ROOM
from rankprompt.llm.openai.settings import ServerSettings
from tests.llm.openai.calls import (
    CHOOSE,
    PASSAGE,
    WRITE,
    A,
    Body,
    ask,
    listed,
    refusal,
    said,
    sure,
)
from tests.servers.protocol import Reply, reply

OFF = {"enable_thinking": False}


def sent(
    *requests: Request, respond: Any = None, **settings: Any
) -> tuple[list[Body], list[tuple[Answer, Usage]]]:
    """The bodies that a server received, and the answers."""
    bodies: list[Body] = []

    def keep(body: Body) -> Body | Reply:
        bodies.append(body)
        if respond:
            answer: Body | Reply = respond(body)
            return answer
        return listed([PASSAGE, A]) if "logprobs" in body else said("Passage A")

    return bodies, ask(keep, *requests, settings=ServerSettings(**settings))


def test_thinking_off_is_seen_in_each_chat() -> None:
    (write, choose), _ = sent(WRITE, CHOOSE, thinking="off")
    assert write["chat_template_kwargs"] == choose["chat_template_kwargs"] == OFF
    assert write["max_tokens"] == 7
    (plain,), _ = sent(
        WRITE._replace(chat=False),
        thinking="off",
        respond=lambda _: {"choices": [{"text": "Passage A"}]},
    )
    assert "chat_template_kwargs" not in plain


def test_thinking_on_has_room() -> None:
    (body,), _ = sent(WRITE, thinking="on")
    assert body["chat_template_kwargs"]["enable_thinking"] is True
    assert body["max_tokens"] == 7 + ROOM
    model = OpenAIModel("m", base_url="http://x", settings=ServerSettings(thinking="on"))
    assert model.length(WRITE) == OpenAIModel("m", base_url="http://x").length(WRITE) + ROOM


@pytest.mark.parametrize(
    ("effort", "thinking", "room"),
    [("low", "auto", ROOM), ("none", "auto", 0), ("minimal", "off", 0), ("high", "on", ROOM)],
)
def test_the_effort_is_sent(effort: str, thinking: str, room: int) -> None:
    (body,), _ = sent(WRITE, reasoning_effort=effort, thinking=thinking)
    assert (body["reasoning_effort"], body["max_tokens"]) == (effort, 7 + room)


def test_auto_sends_nothing_to_a_model_that_answers() -> None:
    (body,), _ = sent(WRITE)
    assert body.keys() == {"model", "messages", "max_tokens", "temperature"}


THOUGHTS: dict[str, Any] = {
    "open": (said("<think> Let me see"), listed(sure("<think>", " Let", " me"))),
    "parted": (
        said(None, reasoning_content="Let me see"),
        listed(sure("Let", " me", " see"), "", reasoning_content="Let me see"),
    ),
}


def thinks_unless_told(form: str) -> Any:
    def respond(body: Body) -> Body:
        if body.get("chat_template_kwargs") == OFF:
            return listed([PASSAGE, A]) if "logprobs" in body else said("Passage A")
        answer: Body = THOUGHTS[form]["logprobs" in body]
        answer["choices"][0]["finish_reason"] = "length"
        return answer

    return respond


@pytest.mark.parametrize("form", THOUGHTS)
@pytest.mark.parametrize("request_", [WRITE, CHOOSE])
def test_auto_switches_thinking_off_where_it_leaves_no_answer(
    form: str, request_: Request, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rankprompt"):
        bodies, answers = sent(request_, request_, respond=thinks_unless_told(form))
    assert [body.get("chat_template_kwargs") for body in bodies] == [None, OFF, OFF]
    assert answers[0][0] == answers[1][0]
    assert answers[0][0].problem == ""
    # What was thought is paid for.
    assert answers[0][1].tokens > answers[1][1].tokens
    (record,) = caplog.records
    assert "its thinking is switched off from here on" in record.message


def test_a_model_that_thinks_whatever_it_is_told_is_asked_twice_once() -> None:
    bodies, answers = sent(WRITE, WRITE, respond=lambda _: THOUGHTS["open"][0])
    assert len(bodies) == 3
    assert {answer.problem for answer, _ in answers} == {"thinking"}


REFUSALS = [
    reply({"error": {"message": "Unrecognized request argument: chat_template_kwargs"}}, 400),
    reply({"error": {"message": 'Unknown name "chat_template_kwargs": Cannot find field.'}}, 400),
    reply(
        {"detail": [{"loc": ["body", "chat_template_kwargs"], "msg": "Extra inputs"}]},
        422,
    ),
    reply({"detail": "Extra inputs are not permitted"}, 422),
    reply([{"error": {"message": "x" * 300, "details": ["chat_template_kwargs"]}}], 400),
]


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_switch_that_is_refused_is_left_out(
    answer: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    def respond(body: Body) -> Body | Reply:
        return answer if "chat_template_kwargs" in body else said("Passage A")

    with caplog.at_level(logging.WARNING, "rankprompt"):
        bodies, answers = sent(WRITE, WRITE, respond=respond, thinking="off")
    assert [text.text for text, _ in answers] == ["Passage A"] * 2
    assert len(bodies) == 3
    (record,) = caplog.records
    assert "takes no chat_template_kwargs" in record.message


def test_the_users_own_fields_are_in_each_request_and_count_most() -> None:
    extra = {"top_k": 1, "temperature": 0.6, "chat_template_kwargs": {"date": "x"}}
    (body,), _ = sent(WRITE, thinking="off", extra_body=extra)
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "date": "x"}
    assert (body["top_k"], body["temperature"], body["model"]) == (1, 0.6, "m")


def test_a_field_of_the_user_that_is_refused_is_told() -> None:
    message = refusal(
        lambda _: reply({"error": {"message": "temperature must be 1"}}, 400),
        WRITE,
        settings=ServerSettings(extra_body={"temperature": 0.6}),
    )
    assert "a call is refused (400: temperature must be 1)" in message


def test_the_fingerprint_has_what_may_change_answers() -> None:
    def fingerprint(url: str = "http://host/v1", **settings: Any) -> str:
        return OpenAIModel("m", base_url=url, settings=ServerSettings(**settings)).fingerprint

    plain = OpenAIModel("m", base_url="http://host/v1").fingerprint
    assert plain == fingerprint() == fingerprint(headers={"X-Key": "secret"})
    different = [
        plain,
        fingerprint(thinking="off"),
        fingerprint(thinking="on"),
        fingerprint(reasoning_effort="low"),
        fingerprint(extra_body={"top_k": 1}),
        fingerprint(extra_body={"top_k": 2}),
        fingerprint(model_id="mine"),
    ]
    assert len(set(different)) == len(different)
    assert fingerprint(extra_body={"a": 1, "b": 2}) == fingerprint(extra_body={"b": 2, "a": 1})
    assert fingerprint(model_id="mine") == fingerprint("http://other:9/v1", model_id="mine")
