import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError, ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.model import OpenAIModel
from tests.servers.protocol import FAULTS, ProtocolServer, Reply, reply

KEY = "sk-a-secret-of-the-user"
LABELS = (" Passage A", " Passage B")
Body = dict[str, Any]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKPROMPT_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(
    respond: Callable[[Body], Body | Reply], *requests: Request, **settings: Any
) -> list[tuple[Answer, Usage]]:
    """Has requests answered one after the other by one model."""
    with ProtocolServer(lambda _, body: respond(body)) as server:
        return asyncio.run(_ask(server.url, requests, settings))


async def _ask(
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


# Generation

WRITE = Request("Which?", max_tokens=7, chat=True)


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
            asyncio.run(_ask(server.url, [request], {"api": api}))[0][0].text
            for api in ("auto", "chat", "completions")
            for request in (WRITE, WRITE._replace(chat=False))
        ]
    chat, plain = "/v1/chat/completions", "/v1/completions"
    assert paths == [chat, plain, chat, chat, plain, plain]
    assert [text == "in chat" for text in texts] == [path == chat for path in paths]


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


def test_nothing_to_do_is_told() -> None:
    assert "options, or tokens" in refusal(lambda _: said("x"), Request("p"))
    assert "option is empty" in refusal(lambda _: said("x"), Request("p", ("A", " ")))


# Choices in chat

CHOOSE = Request("Which?", LABELS, chat=True)
Token = tuple[str | bytes, dict[str | bytes, float]]


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


def chosen(
    tokens: Sequence[Token], options: tuple[str, ...] = LABELS, **message: Any
) -> list[float] | None:
    """The options' probabilities; None where they are all NaN."""
    ((answer, _),) = ask(lambda _: listed(tokens, **message), CHOOSE._replace(options=options))
    assert answer.tokens == (1,) * len(options)
    if all(math.isnan(one) for one in answer.loglikelihoods):
        return None
    return [math.exp(one) for one in answer.loglikelihoods]


def test_a_choice_asks_a_chat_for_log_probabilities() -> None:
    bodies: list[Body] = []

    def respond(body: Body) -> Body:
        bodies.append(body)
        return listed([PASSAGE, A])

    ((answer, usage),) = ask(respond, CHOOSE)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.64, 0.32])
    assert usage == Usage(14, 0, written=3)
    (body,) = bodies
    assert (body["logprobs"], body["top_logprobs"], body["temperature"]) == (True, 20, 0)
    assert 5 <= body["max_tokens"] <= 8


@pytest.mark.parametrize(
    "before",
    [
        [PASSAGE],
        sure("Pass", "age"),
        sure(" Passage"),
        sure("\n", "\n", "passage"),
        sure("**", "Passage"),
        sure("The", " answer", " is", ":", " Passage"),
        sure("<think>", "Passage", " B", "</think>", "\n\n", "Passage"),
        sure("Passage", " B", "</think>", "Passage"),
    ],
)
def test_options_are_read_where_they_part(before: list[Token]) -> None:
    assert chosen([*before, A]) == pytest.approx([0.64, 0.32])
    assert chosen([*before, A, *sure("**", ".")]) == pytest.approx([0.64, 0.32])


@pytest.mark.parametrize("after", [[], sure("."), sure("\n", "\n", "Both")])
@pytest.mark.parametrize("before", [[], sure("\n"), sure("**")])
def test_a_bare_letter_is_an_answer(before: list[Token], after: list[Token]) -> None:
    first: Token = ("A", {"A": 0.5, "B": 0.2, "Passage": 0.2, " B": 0.05, "**B": 0.02})
    assert chosen([*before, first, *after]) == pytest.approx([0.5, 0.27])


def test_an_option_that_is_not_listed_gets_the_least_that_is() -> None:
    last: Token = (" B", {" B": 0.9, " the": 0.05, ".": 0.002})
    assert chosen([PASSAGE, last]) == pytest.approx([0.002, 0.9])


def test_a_token_may_hold_more_than_where_the_options_part() -> None:
    assert chosen([("Passage A", {"Passage A": 0.6, "Passage B": 0.3})]) == pytest.approx(
        [0.6, 0.3]
    )
    last: Token = (" A.", {" A.": 0.5, " B": 0.3, " A\n": 0.1, " Apple": 0.05})
    assert chosen([PASSAGE, last]) == pytest.approx([0.6, 0.3])


@pytest.mark.parametrize(
    "tokens",
    [
        sure("Neither", " of", " them"),
        sure("A", " passage", " about"),
        sure("Both", " Passage", " A", " and", " Passage", " B"),
        sure("Passage", " Apple"),
        sure("Passage", " a"),
        sure("a"),
        sure("A", " or", " B"),
        sure("<think>", "Passage", " A", " is"),
        sure("<think>", "Passage", " A", "</think>"),
        sure("<think>", "Passage", " A", "</think>", "<think>", "Passage", " A"),
    ],
)
def test_what_names_no_option_is_unreadable(tokens: list[Token]) -> None:
    assert chosen(tokens) is None


def test_reasoning_that_a_server_parts_is_no_choice() -> None:
    thought = sure("Passage", " B", "?")
    assert chosen(thought, content="", reasoning_content="Passage B?") is None
    both = [*thought, PASSAGE, A]
    found = chosen(both, content="Passage A", reasoning_content="Passage B?")
    assert found == pytest.approx([0.64, 0.32])
    # Cut off, and without a list: it is the token limit that is at fault, not the server.
    ((answer, _),) = ask(lambda _: said(None, reasoning_content="Hm."), CHOOSE)
    assert all(map(math.isnan, answer.loglikelihoods))


@pytest.mark.parametrize(
    ("options", "tokens", "expected"),
    [
        (("Yes", "No"), [("Yes", {"Yes": 0.5, " yes": 0.2, "No": 0.1, "Not": 0.1})], [0.7, 0.1]),
        (("Yes", "No"), [("\nno", {"\nno": 0.5, "NO": 0.1, "Y": 0.1})], [0.1, 0.6]),
        (("A", "B"), [("B", {"B": 0.5, "A": 0.4, "b": 0.1})], [0.4, 0.5]),
        (
            ("Passage Alpha", "Passage Apple"),
            [("Alpha", {"Alpha": 0.5, "A": 0.2, "Apple": 0.1})],
            [0.5, 0.1],
        ),
        (
            ("Passage Alpha", "Passage Apple"),
            [*sure("Passage", " A"), ("lpha", {"lpha": 0.5, "pple": 0.2})],
            [0.5, 0.2],
        ),
        (
            ("Passage 1", "Passage 2"),
            [*sure("Passage", " "), ("2", {"2": 0.6, "1": 0.3})],
            [0.3, 0.6],
        ),
        (("段落甲", "段落乙"), [*sure("段落"), ("乙", {"乙": 0.6, "甲": 0.3})], [0.3, 0.6]),
        (
            ("段落甲", "段落乙"),
            [
                *sure("段", "落"),
                (b"\xe7", {b"\xe7": 0.6, b"\xe4": 0.3}),
                *sure(b"\x94\xb2"),
            ],
            [0.6, 0.3],
        ),
    ],
)
def test_other_options(
    options: tuple[str, ...], tokens: list[Token], expected: list[float]
) -> None:
    assert chosen(tokens, options) == pytest.approx(expected)


def test_a_token_that_is_written_counts_though_it_is_not_listed() -> None:
    answer = listed([PASSAGE, A])
    last = answer["choices"][0]["logprobs"]["content"][1]
    last["top_logprobs"] = [one for one in last["top_logprobs"] if one["token"] != " A"]
    ((found, _),) = ask(lambda _: answer, CHOOSE)
    assert [math.exp(one) for one in found.loglikelihoods] == pytest.approx([0.64, 0.32])


# Choices without chat

RAW = Request("Which? Answer:", LABELS)


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


def test_a_raw_choice_is_the_next_token_after_what_the_options_share() -> None:
    bodies: list[Body] = []

    def respond(body: Body) -> Body:
        bodies.append(body)
        return completed([" the"], [{" the": 0.4, " A": 0.3, " B": 0.1, "A": 0.05}])

    ((answer, usage),) = ask(respond, RAW)
    # What the model would have written there is beside the point, and "PassageA" no option.
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.3, 0.1])
    assert bodies == [
        {
            "model": "m",
            "prompt": "Which? Answer: Passage",
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": 20,
        }
    ]
    assert usage.written == 1
    assert usage.tokens == 1 + math.ceil(len("Which? Answer: Passage") / 3)


def test_a_raw_choice_of_a_server_that_lists_tokens_without_spaces() -> None:
    ((answer, _),) = ask(lambda _: completed([" the"], [{"the": 0.4, "A": 0.3, "B": 0.1}]), RAW)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.3, 0.1])


def test_a_raw_choice_in_the_form_of_llama_cpp() -> None:
    ((answer, _),) = ask(lambda _: {"choices": [{"text": " A", **listed([A])["choices"][0]}]}, RAW)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.6, 0.3])


def test_a_raw_choice_whose_options_are_not_listed_is_unreadable() -> None:
    ((answer, _),) = ask(lambda _: completed([" the"], [{" the": 0.4, " a": 0.1}]), RAW)
    assert all(map(math.isnan, answer.loglikelihoods))


def test_digits_may_come_after_a_space_of_their_own() -> None:
    tops = [{" ": 0.9, "\n": 0.1}, {"1": 0.7, "2": 0.2}]
    request = RAW._replace(options=(" Passage 1", " Passage 2"))
    ((answer, _),) = ask(lambda _: completed([" ", "1"], tops), request)
    assert [math.exp(one) for one in answer.loglikelihoods] == pytest.approx([0.7, 0.2])


# Given texts

SCORE = Request("Passage: x Question:", (" what is x",))


def echoed(tokens: Sequence[str], scores: Sequence[float | None], *, before: str = "") -> Body:
    listed = [before, *tokens] if before else list(tokens)
    places = [sum(map(len, listed[:place])) for place in range(len(listed))]
    logprobs = {
        "tokens": listed,
        "token_logprobs": [None, *scores] if before else list(scores),
        "text_offset": places,
    }
    return {"choices": [{"text": "".join(tokens), "logprobs": logprobs}]}


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
    assert "--prompt prp" in message
    assert "--mode generation" in message
    assert len(calls) <= 3


def test_a_chat_cannot_score_a_given_text() -> None:
    message = refusal(lambda _: said("x"), SCORE._replace(chat=True))
    assert "cannot score given texts (a chat echoes nothing)" in message


# What a server may want otherwise


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
    assert "use --mode generation" in message


def test_one_that_has_listed_them_before_is_asked_for_longer() -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        return said("Passage A") if 2 <= len(calls) <= 6 else listed([PASSAGE, A])

    first, second = ask(respond, CHOOSE, CHOOSE)
    assert first[0] == second[0]
    assert second[1].retries == 5


# Refusals


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (401, f"Incorrect API key {KEY}", "the key in OPENAI_API_KEY is refused (401)"),
        (403, f"{KEY} may not", "not allowed (403: [key] may not); the key: OPENAI_API_KEY"),
        (404, "no such model", "no model 'm', or no /chat/completions; most base URLs end in /v1"),
        (400, "This model's maximum context length is 99 tokens", "--passage-tokens"),
        (400, "the request exceeds the available context size", "--passage-tokens"),
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


def test_no_redirect_is_followed() -> None:
    with ProtocolServer(lambda *_: said("Passage A")) as other:
        answer = reply({}, 307, location=f"{other.url}/chat/completions")
        message = refusal(lambda _: answer, WRITE)
        assert "a redirect to http://127.0.0.1" in message
        assert other.calls == 0


# Failures in passing


@pytest.mark.parametrize("fault", [one for one in FAULTS if one != "no logprobs"])
def test_a_failure_in_passing_is_asked_again_and_not_for_ever(fault: str) -> None:
    settings = {"timeout": 0.3 if fault == "silence" else 5.0, "retries": 3}
    with ProtocolServer(lambda *_: said("Passage A"), faults=(fault,), rate=1.0) as server:
        with pytest.raises(ModelError, match=r"\(tried 4 times\)$"):
            asyncio.run(_ask(server.url, [WRITE], settings))
        assert server.calls == 4
        server.rate = 0.0
        ((answer, usage),) = asyncio.run(_ask(server.url, [WRITE], {}))
        assert (answer.text, usage.retries) == ("Passage A", 0)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_these_are_asked_again(status: int) -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body | Reply:
        calls.append(body)
        return reply({"error": "later"}, status) if len(calls) < 3 else said("Passage A")

    ((answer, usage),) = ask(respond, WRITE)
    assert (answer.text, usage) == ("Passage A", Usage(14, 0, written=3, retries=2))


def test_replies_that_could_not_be_used_are_paid_for_all_the_same() -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        return said("Passage A") if len(calls) < 3 else listed([PASSAGE, A])

    ((_, usage),) = ask(respond, CHOOSE)
    assert usage == Usage(3 * 14, 0, written=3 * 3, retries=2)


def test_the_pause_that_a_server_asks_for_is_kept() -> None:
    calls: list[float] = []

    def respond(_: Body) -> Body | Reply:
        calls.append(time.monotonic())
        return said("x") if len(calls) > 1 else reply({}, 429, retry_after="0.3")

    ask(respond, WRITE)
    assert calls[1] - calls[0] >= 0.3


@pytest.mark.parametrize("pause", ["3600", formatdate(time.time() + 3600, usegmt=True), "inf"])
def test_a_pause_that_is_too_long_is_told(pause: str) -> None:
    message = refusal(lambda _: reply({"error": "spent"}, 429, retry_after=pause), WRITE)
    assert "it wants a pause of" in message
    assert "start the same command again" in message


@pytest.mark.parametrize("pause", ["soon", "-5", "nan", formatdate(0, usegmt=True)])
def test_a_pause_that_means_nothing_is_none(pause: str) -> None:
    message = refusal(lambda _: reply({}, 503, retry_after=pause), WRITE, retries=1)
    assert "(tried 2 times)" in message


def test_an_address_where_nobody_is_is_told_soon() -> None:
    with ProtocolServer(lambda *_: said("x")) as server:
        url = server.url
    pauses: list[int] = []

    def pause(repeated: int) -> float:
        pauses.append(repeated)
        return 0.001

    with pytest.raises(ModelError, match=r"cannot be reached: .* \(tried 3 times\)$"):
        asyncio.run(_ask(url, [WRITE], {"pause": pause}))
    assert pauses == [0, 1]


# Address and key


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://me:hunter2@localhost/v1", "must not hold a user name or password"),
        ("https://hunter2@localhost", "must not hold a user name or password"),
        ("me:hunter2@localhost/v1", "must not hold a user name or password"),
        ("localhost:8080/v1", "not a base URL: 'localhost:8080/v1'"),
        ("ftp://localhost", "not a base URL"),
        ("http://", "not a base URL"),
        ("", "not a base URL"),
        ("http://localhost:port/v1", "cannot be read"),
        ("http://[::1/v1", "cannot be read"),
        ("http://localhost/v1?api-key=hunter2", "must not hold a [?] or # part"),
    ],
)
def test_a_wrong_address_is_told(url: str, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        OpenAIModel("m", base_url=url)
    assert "hunter2" not in str(caught.value)


def test_a_wrong_api_is_told() -> None:
    with pytest.raises(InputError, match="api must be auto, chat or completions, not 'soap'"):
        OpenAIModel("m", base_url="http://localhost", api="soap")


@pytest.mark.parametrize("bad", ["two words", "schlüssel-geheim", "a\x00b"])
def test_a_key_that_cannot_be_sent_is_told_and_not_shown(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\x00" not in bad:  # which no environment holds
        monkeypatch.setenv("RANKPROMPT_API_KEY", bad)
        with pytest.raises(ModelError, match="the key in RANKPROMPT_API_KEY holds") as caught:
            OpenAIModel("m", base_url="http://localhost")
        assert bad not in str(caught.value)


def test_the_key_is_sent_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RANKPROMPT_API_KEY", f"{KEY}-ours\n")
    with (
        caplog.at_level(logging.DEBUG),
        ProtocolServer(lambda *_: said(f"You sent {KEY}-ours"), rate=0.5) as server,
    ):
        requests = [WRITE._replace(prompt=str(number)) for number in range(10)]
        answers = asyncio.run(_ask(server.url, requests, {"timeout": 0.5}))
        assert {one["authorization"] for one in server.headers} == {f"Bearer {KEY}-ours"}
    assert {answer.text for answer, _ in answers} == {"You sent [key]"}
    assert caplog.records
    assert KEY not in caplog.text
    model = OpenAIModel("m", base_url="http://localhost")
    assert KEY not in repr(model) + model.fingerprint


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
