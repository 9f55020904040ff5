import json
from typing import Any

import pytest

from rankprompt.llm.base import Answer, Request, Usage
from tests.llm.openai.calls import (
    CHOOSE,
    KEY,
    PASSAGE,
    SCORE,
    WRITE,
    A,
    Body,
    ask,
    completed,
    echoed,
    listed,
    refusal,
    said,
)
from tests.servers.protocol import Reply, reply

# Thinking


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Passage A", "Passage A"),
        ("<think>Is it Passage B?</think>\n\nPassage A", "\n\nPassage A"),
        ("Is it Passage B?</think>Passage A", "Passage A"),
        ("<think>Passage B</think>Hm. <think>Passage B</think>Passage A", "Passage A"),
        ("<think>It is Passage A", ""),
        ("<THINK>\nPassage A", ""),
        ("[THINK]Passage A", ""),
        ("<think>Passage B</think>", ""),
        ("<think>Hm.</think> <think>Passage A", ""),
        ("", ""),
        (None, ""),
        (["odd"], ""),
        ([{"type": "text", "text": "Passage A"}], "Passage A"),
    ],
)
def test_thinking_is_never_the_answer(content: Any, text: str) -> None:
    ((answer, _),) = ask(lambda _: said(content), WRITE)
    assert answer.text == text


def test_reasoning_that_a_server_parts_is_ignored() -> None:
    ((cut, _),) = ask(lambda _: said(None, reasoning_content="It is Passage A"), WRITE)
    assert cut.text == ""
    ((done, _),) = ask(lambda _: said("Passage B", reasoning="Passage A"), WRITE)
    assert done.text == "Passage B"


# Echoed texts


@pytest.mark.parametrize("before", ["", "<|begin_of_text|>"])
def test_a_given_text_is_scored_from_its_echo(before: str) -> None:
    bodies: list[Body] = []

    def respond(body: Body) -> Body:
        bodies.append(body)
        tokens = ["Passage", ":", " x", " Question", ":", " what", " is", " x", " and"]
        scores = [None, -1, -2, -3, -4, -0.5, -0.25, -0.125, -9]
        return echoed(tokens, scores, before=before)

    ((answer, _),) = ask(respond, SCORE)
    assert answer == Answer((-0.875,), (3,))
    assert bodies == [
        {
            "model": "m",
            "prompt": "Passage: x Question: what is x",
            "max_tokens": 1,
            "temperature": 0,
            "echo": True,
            "logprobs": 1,
        }
    ]


def test_a_token_across_the_border_belongs_to_the_option() -> None:
    tokens = ["Passage: x Question", ": what", " is x"]
    ((answer, _),) = ask(lambda _: echoed(tokens, [None, -2.0, -1.0]), SCORE)
    assert answer == Answer((-3.0,), (2,))


@pytest.mark.parametrize("parts", [["\ufffd", ""], ["", "甲"]])
def test_a_character_in_several_tokens_counts_with_all_of_them(parts: list[str]) -> None:
    request = Request("问题：", ("甲乙",))
    answer = echoed(["问题：", *parts, "乙", "吗"], [None, -1.0, -2.0, -3.0, -9.0])
    ((found, _),) = ask(lambda _: answer, request)
    assert found == Answer((-6.0,), (3,))


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": {"code": 500, "message": "Only no echo is supported"}}, 500),
        reply({"error": {"message": "Cannot echo logprobs here."}}, 400),
        completed([" more"], [{" more": 0.5, " x": 0.1}]),
        {"choices": [{"text": " more"}]},
        listed([A]),
    ],
)
def test_a_server_that_cannot_score_given_texts_is_told(answer: Body | Reply) -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body | Reply:
        calls.append(body)
        return answer

    message = refusal(respond, SCORE)
    assert "this server cannot score given texts" in message
    assert "`prompt` prp" in message
    assert "`mode` generation" in message
    assert len(calls) <= 3


def test_a_chat_cannot_score_a_given_text() -> None:
    message = refusal(lambda _: said("x"), SCORE._replace(chat=True))
    assert "cannot score given texts (a chat echoes nothing)" in message


# Usage


def test_replies_that_could_not_be_used_are_paid_for_all_the_same() -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        return said("Passage A") if len(calls) < 3 else listed([PASSAGE, A])

    ((_, usage),) = ask(respond, CHOOSE)
    assert usage == Usage(3 * 14, 0, written=3 * 3, retries=2)


# Refusals


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (401, f"Incorrect API key {KEY}", "the key in OPENAI_API_KEY is refused (401)"),
        (403, f"{KEY} may not", "not allowed (403: [key] may not); the key: OPENAI_API_KEY"),
        (404, "no such model", "no model 'm', or no /chat/completions; most base URLs end in /v1"),
        (400, "This model's maximum context length is 99 tokens", "`passage_tokens`"),
        (400, "the request exceeds the available context size", "`passage_tokens`"),
        (400, f"bad\n\nthing {KEY}" + "x" * 999, "a call is refused (400: bad thing [key]xxx"),
        (422, "nonsense", "a call is refused (422: nonsense)"),
        (501, "not implemented", "a call is refused (501: not implemented)"),
        (429, "You exceeded your current quota: insufficient_quota", "a call is refused (429: "),
    ],
)
@pytest.mark.parametrize("form", [0, 1, 2, 3])
def test_a_refusal_is_told_at_once(status: int, said: str, told: str, form: int) -> None:
    forms: list[Any] = [{"error": {"message": said}}, {"error": said}, {"detail": said}, said]
    calls: list[Body] = []

    def respond(body: Body) -> Reply:
        calls.append(body)
        body_ = forms[form]
        return Reply(status, body_.encode() if form == 3 else json.dumps(body_).encode())

    message = refusal(respond, WRITE)
    assert told in message
    assert message.startswith("http://127.0.0.1:")
    assert len(message) < 400
    assert len(calls) == 1


def test_a_missing_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    message = refusal(lambda _: reply({"error": "who are you?"}, 401), WRITE)
    assert "a key is needed (401): set RANKPROMPT_API_KEY or OPENAI_API_KEY" in message


def test_an_error_object_with_a_status_of_its_own_is_a_refusal() -> None:
    message = refusal(lambda _: {"error": {"code": 402, "message": "pay first"}}, WRITE)
    assert message.endswith("a call is refused (402: pay first)")
