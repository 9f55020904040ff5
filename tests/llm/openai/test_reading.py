"""Why a reply holds no answer, or not a whole one."""

import math
from typing import Any

import pytest

from rankprompt.llm.base import Answer, Problem
from tests.llm.openai.calls import (
    CHOOSE,
    PASSAGE,
    RAW,
    SCORE,
    WRITE,
    A,
    Body,
    Token,
    ask,
    completed,
    listed,
    refusal,
    said,
    sure,
)
from tests.servers.protocol import Reply


def ended(body: Body, reason: str | None, **more: Any) -> Body:
    body["choices"][0] |= {"finish_reason": reason, **more}
    return body


def written(body: Body) -> Answer:
    ((answer, _),) = ask(lambda _: body, WRITE)
    return answer


def scored(body: Body) -> Answer:
    ((answer, _),) = ask(lambda _: body, CHOOSE)
    unreadable = [math.isnan(one) for one in answer.loglikelihoods]
    assert unreadable == [bool(answer.problem)] * 2
    assert answer.tokens == (1, 1)
    return answer


def spent(body: Body, tokens: int | None) -> Body:
    return {**body, "usage": {"completion_tokens": tokens}}


# Generated text


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_text_that_the_limit_ended_is_cut(reason: str) -> None:
    body = ended(said("<think>A?</think>Passage A discusses"), reason)
    assert written(body) == Answer(text="Passage A discusses", problem="cut")


@pytest.mark.parametrize("reason", ["stop", "eos", "end_turn", None])
def test_a_text_that_ends_is_whole(reason: str | None) -> None:
    assert written(ended(said("Passage A"), reason)) == Answer(text="Passage A")


HIDDEN: list[Body] = [
    ended(said("<think>Passage A"), "length"),
    ended(said("<think>Passage A"), "stop"),
    ended(said("<think>Passage A</think>"), "length"),
    ended(said(None, reasoning_content="Passage A"), "length"),
    ended(said(None, reasoning="Passage A"), "stop"),
    ended(said([{"type": "thinking", "thinking": [{"type": "text", "text": "A"}]}]), "length"),
    ended(spent(said(""), 9), "length"),
    ended(spent(said(""), 9), "stop"),
    ended(said("<|channel|>analysis<|message|>Passage A"), "length"),
]


@pytest.mark.parametrize("body", HIDDEN)
def test_reasoning_without_an_answer_is_no_answer(body: Body) -> None:
    assert written(body) == Answer(problem="thinking")
    assert scored(body).problem == "thinking"


def test_parts_of_reasoning_are_not_read() -> None:
    parts = [{"type": "reasoning", "text": "Passage B"}, {"type": "text", "text": "Passage A"}]
    assert written(ended(said(parts), "stop")) == Answer(text="Passage A")


@pytest.mark.parametrize("tokens", [0, 1, None])
def test_an_empty_answer_is_asked_for_again(tokens: int | None) -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        empty = len(calls) < 3
        return ended(spent(said("" if empty else "Passage A"), tokens), "stop")

    ((answer, usage),) = ask(respond, WRITE)
    assert (answer, usage.retries) == (Answer(text="Passage A"), 2)
    calls.clear()
    ((answer, usage),) = ask(lambda _: ended(spent(said(""), tokens), "stop"), WRITE)
    assert (answer, usage.retries) == (Answer(problem="empty"), 2)


def test_words_that_are_only_space_are_no_answer() -> None:
    assert written(ended(said(" \n"), "stop")) == Answer(problem="empty")
    assert written(ended(said("<think>A</think>\n"), "stop")) == Answer(problem="empty")


# Errors and refusals in replies of status 200


@pytest.mark.parametrize(
    "more",
    [
        {"error": {"code": 502, "message": "Upstream failed"}, "finish_reason": "error"},
        {"error": {"message": "Upstream failed"}},
        {"error": "Upstream failed"},
        {"message": {"content": "", "error": {"message": "Upstream failed"}}},
        {"finish_reason": "error"},
        {"finish_reason": "abort"},
        {"finish_reason": "insufficient_system_resource"},
    ],
)
@pytest.mark.parametrize("content", ["", "Passage B"])
def test_a_failure_inside_a_choice_is_asked_again(more: Body, content: str) -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        good = said("Passage A") if "logprobs" not in body else listed([PASSAGE, A])
        if len(calls) % 2:
            good = said(content)
            good["choices"][0] |= more
        return good

    (first, usage), (second, _) = ask(respond, WRITE, CHOOSE)
    assert (first, usage.retries) == (Answer(text="Passage A"), 1)
    assert second.loglikelihoods[0] == pytest.approx(math.log(0.64))


def test_an_error_inside_a_choice_may_be_a_refusal_of_the_call() -> None:
    error = {"code": 402, "message": "pay first"}
    message = refusal(lambda _: ended(said(""), "error", error=error), WRITE)
    assert message.endswith("a call is refused (402: pay first)")


def test_the_reason_for_no_choice_is_told() -> None:
    body = {"object": "error", "message": "CUDA out\nof memory", "code": 50001}
    message = refusal(lambda _: body, WRITE, retries=0)
    assert "a reply without an answer: CUDA out of memory" in message


REFUSED: list[Body] = [
    *(
        ended(said(content), reason)
        for content in ("", None, "Passage")
        for reason in ("content_filter", "SAFETY", "PROHIBITED_CONTENT", "recitation", "sensitive")
    ),
    ended(said(None, refusal="I cannot help with that."), "stop"),
    {
        "choices": [],
        "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": 1}}}],
    }
    | {"prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]},
    {"promptFeedback": {"blockReason": "SAFETY"}},
    # What Gemini's filter may send, again and again.
    {"choices": None, "usage": {"prompt_tokens": 3}},
    {"id": "x", "usage": {"prompt_tokens": 3}},
]


@pytest.mark.parametrize("body", REFUSED)
def test_a_content_filter_refuses(body: Body) -> None:
    assert written(body) == Answer(problem="refused")
    assert scored(body).problem == "refused"
    for request in (RAW, SCORE):
        ((answer, usage),) = ask(lambda _: body, request)
        assert answer.problem == "refused"
        assert usage.retries <= 2
        assert all(map(math.isnan, answer.loglikelihoods))


def test_a_filter_that_refuses_nothing_is_ignored() -> None:
    verdicts = [{"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
    body = ended(said("Passage A", refusal=None), "stop") | {"prompt_filter_results": verdicts}
    assert written(body) == Answer(text="Passage A")


# Scoring


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        (sure("Neither", " of", " them"), "unlisted"),
        (sure("Okay", ",", " let", " me"), "unlisted"),
        (sure("<think>", "Passage", " A"), "thinking"),
        (sure("<|channel|>", "analysis", "<|message|>", "Passage", " A"), "thinking"),
        ([PASSAGE, A], ""),
        ([*sure("<|channel|>", "final", "<|message|>"), PASSAGE, A, *sure("<|return|>")], ""),
        ([*sure("<|channel|>", "final", "<|message|>"), ("A", {"A": 0.9, "B": 0.1}),
          *sure("<|return|>")], ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_what_is_wrong_with_a_choice(tokens: list[Token], problem: Problem, reason: str) -> None:
    answer = scored(ended(listed(tokens), reason))
    assert answer.problem == problem


def test_reasoning_that_a_server_parts_is_thinking() -> None:
    tokens = sure("Passage", " A", "?")
    body = ended(listed(tokens, "", reasoning_content="Passage A?"), "length")
    assert scored(body).problem == "thinking"


@pytest.mark.parametrize(
    "content", ["Passage B", "<think>Passage A</think>Passage B", "The first.", "Passage A, no."]
)
def test_log_probabilities_of_another_text_are_refused(content: str) -> None:
    message = refusal(lambda _: listed([PASSAGE, A], content), CHOOSE)
    assert "log-probabilities of another text" in message


@pytest.mark.parametrize(
    "content",
    ["Passage A", " Passage\u00a0A\n", "Ｐassage A", "<think>\nHm.</think>\n\nPassage A", "", None,
     "Passage A<|im_end|>", [{"type": "text", "text": "Passage A"}], "Passage A\ufffd"],
)  # fmt: skip
def test_a_content_that_servers_write_otherwise_is_the_listed_text(content: Any) -> None:
    body = listed([PASSAGE, A, *sure("<|im_end|>")])
    body["choices"][0]["message"]["content"] = content
    assert math.exp(scored(body).loglikelihoods[0]) == pytest.approx(0.64)


def test_a_raw_choice_that_is_not_listed() -> None:
    ((answer, _),) = ask(lambda _: completed([" the"], [{" the": 0.4, " a": 0.1}]), RAW)
    assert answer.problem == "unlisted"


@pytest.mark.parametrize(("space", "line"), [("Ġ", "Ċ"), ("▁", "<0x0A>")])
@pytest.mark.parametrize("bytes_too", [True, False])
def test_the_marks_of_a_vocabulary_are_spaces(space: str, line: str, bytes_too: bool) -> None:
    tops: dict[str | bytes, float] = {f"{space}A": 0.6, f"{space}B": 0.3, line: 0.01}
    tokens: list[Token] = [*sure(line, f"{space}Passage"), (f"{space}A", tops)]
    body = listed(tokens, "\n Passage A")
    if not bytes_too:
        for entry in body["choices"][0]["logprobs"]["content"]:
            for one in (entry, *entry["top_logprobs"]):
                del one["bytes"]
    assert [math.exp(one) for one in scored(body).loglikelihoods] == pytest.approx([0.6, 0.3])


def test_the_marks_of_a_vocabulary_in_a_raw_choice() -> None:
    body = completed(["Ġthe"], [{"Ġthe": 0.4, "ĠA": 0.3, "ĠB": 0.1, "A": 0.05}])
    ((answer, _),) = ask(lambda _: body, RAW)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.3, 0.1])


@pytest.mark.parametrize("content", [5, True, {"text": "Passage A"}])
def test_a_content_that_is_no_text_is_refused(content: Any) -> None:
    message = refusal(lambda _: said(content), WRITE, retries=0)
    assert "a reply that cannot be read (at message.content" in message


def test_a_stream_is_no_reply() -> None:
    assert "not JSON" in refusal(lambda _: Reply(200, b"data: {}"), WRITE, retries=0)
