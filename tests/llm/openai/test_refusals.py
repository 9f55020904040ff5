"""A content filter's refusals, and other ways in which servers say no."""

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.refusals import error_message, is_filter, is_too_long
from tests.llm.openai.calls import CHOOSE, WRITE, Body, ask, ask_at, refusal, said
from tests.servers.protocol import ProtocolServer, Reply, reply

AZURE = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
}


def choice(**fields: Any) -> Body:
    return {"choices": [{"message": {"role": "assistant", "content": None}, **fields}]}


FILTERED: dict[str, Body | Reply] = {
    "azure": reply(AZURE, 400),
    "azure, inner code": reply(
        {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, 400
    ),
    "azure, no code": reply({"error": {"message": AZURE["error"]["message"]}}, 400),
    "openai": reply({"error": {"code": "content_policy_violation", "message": "x"}}, 400),
    "dashscope": reply({"error": {"code": "data_inspection_failed", "message": "x"}}, 400),
    "openrouter": reply(
        {"error": {"code": 403, "message": "Your input was flagged", "metadata": {}}}, 403
    ),
    "gateway": reply({"detail": "Prompt blocked by the safety policy"}, 422),
    "gemini, error": reply([{"error": {"code": 400, "status": "PROHIBITED_CONTENT"}}], 400),
    "200, error": {"error": {"code": "content_filter", "message": "x"}},
    "200, gemini": {"choices": [], "promptFeedback": {"blockReason": "SAFETY"}},
    "200, nothing": {"choices": []},
    "200, finish": choice(finish_reason="content_filter"),
    "200, gemini's finish": choice(finish_reason="content_filter: PROHIBITED_CONTENT"),
    "200, safety": choice(finish_reason="SAFETY"),
    "200, native": choice(finish_reason="stop", native_finish_reason="PROHIBITED_CONTENT"),
    "200, refusal": choice(
        finish_reason="stop", message={"content": None, "refusal": "I cannot do that."}
    ),
    "200, part of an answer": choice(
        finish_reason="content_filter", message={"content": "Passage A"}
    ),
}


@pytest.mark.parametrize("way", FILTERED)
def test_a_filters_refusal_is_an_answer_and_the_next_prompt_is_asked(way: str) -> None:
    def respond(body: Body) -> Body | Reply:
        bad = body["messages"][0]["content"] == "Bad?"
        return FILTERED[way] if bad else said("Passage A")

    (written, usage), (chosen, _), (good, _) = ask(
        respond, WRITE._replace(prompt="Bad?"), CHOOSE._replace(prompt="Bad?"), WRITE
    )
    assert (written.problem, written.text, written.loglikelihoods) == ("refused", "", ())
    assert chosen.problem == "refused"
    assert len(chosen.loglikelihoods) == len(chosen.tokens) == 2
    assert all(map(math.isnan, chosen.loglikelihoods))
    assert (good.problem, good.text) == ("", "Passage A")
    # An answer that came is paid for; Gemini says nothing where it means no.
    assert usage.retries == (2 if way == "200, nothing" else 0)
    assert (usage.tokens > 0) == (way.startswith("200") and way != "200, error")


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": {"message": "Unknown model: guardrail-7b"}}, 404),
        reply({"error": {"message": "Your account was blocked"}}, 401),
        reply({"error": {"message": "Access denied: your address is blocked"}}, 403),
        reply({"error": {"message": "Input too long; the prompt was filtered by length"}}, 400),
        reply({"error": {"message": "'temprature' is not a field"}}, 400),
    ],
)
def test_other_refusals_are_no_filters(answer: Reply) -> None:
    assert refusal(lambda _: answer, WRITE._replace(chat=False))


@pytest.mark.parametrize(
    "fields",
    [
        {"finish_reason": "error", "error": {"code": 502, "message": "Upstream failed"}},
        {"finish_reason": "error"},
        {"finish_reason": "stop", "error": {"message": "Upstream failed"}},
        {"finish_reason": None, "error": "Upstream failed"},
        {"finish_reason": "error", "error": {"code": 429, "message": "slow down"}},
    ],
)
def test_an_error_in_a_choice_is_asked_again(fields: Body) -> None:
    calls: list[Body] = []

    def respond(body: Body) -> Body:
        calls.append(body)
        return choice(**fields) if len(calls) < 3 else said("Passage A")

    ((answer, usage),) = ask(respond, WRITE)
    assert (answer.text, usage.retries, len(calls)) == ("Passage A", 2, 3)


def test_an_error_in_every_choice_is_told() -> None:
    bad = choice(finish_reason="error", error={"code": 502, "message": "Upstream failed"})
    message = refusal(lambda _: bad, WRITE, retries=1)
    assert message.endswith("an error in place of an answer: Upstream failed (tried 2 times)")


TOO_LONG = {
    "gemini": [
        {
            "error": {
                "code": 400,
                "message": "The input token count (7000) exceeds the maximum number of tokens "
                "allowed (2048).",
                "status": "INVALID_ARGUMENT",
            }
        }
    ],
    "tgi": {
        "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. "
        "Given: 7000 `inputs` tokens and 6 `max_new_tokens`",
        "error_type": "validation",
    },
    "tgi, inputs": {"error": "Input validation error: `inputs` must have less than 1024 tokens."},
    "llama.cpp": {
        "error": {
            "code": 400,
            "message": "request (7000 tokens) exceeds the available context size (2048 tokens)",
            "type": "exceed_context_size_error",
        }
    },
    "ollama": {"error": "the input length exceeds the context length"},
    "bedrock": {"message": "Input is too long for requested model."},
    "anthropic": {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}},
    "mistral": {
        "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context "
        "length"
    },
    "dashscope": {"error": {"message": "Range of input length should be [1, 30720]"}},
}


@pytest.mark.parametrize("server", TOO_LONG)
@pytest.mark.parametrize("status", [400, 422])
def test_a_prompt_that_is_too_long_is_told(server: str, status: int) -> None:
    message = refusal(lambda _: reply(TOO_LONG[server], status), WRITE)
    assert "a prompt is too long; lower `passage_tokens` (" in message
    assert '{"' not in message


@pytest.mark.parametrize("status", [400, 503])
def test_an_error_may_nest_to_any_depth_and_have_any_size(status: int) -> None:
    deep = b'{"error":' * 100_000
    for body in (deep, b"[" * 100_000, b"x" * (3 << 20), b"\xff\xfe", b"null", b"[[]]", b'"no"'):
        message = refusal(lambda _, body=body: Reply(status, body), WRITE, retries=0)  # type: ignore[misc]
        assert len(message) < 400


def test_a_reply_without_end_is_told() -> None:
    body = json.dumps(said("x" * (65 << 20))).encode()
    message = refusal(lambda _: Reply(200, body), WRITE, retries=0)
    assert "a reply of more than 64 MiB" in message


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["error", "message", "code", "choices", "detail", "x"]), inner
    ),
)  # fmt: skip


@given(JSON)
def test_errors_of_any_form_have_a_message(content: Any) -> None:
    parsed = parse_json(json.dumps(content).encode())
    assert isinstance(error_message(parsed), str)
    assert is_filter(400, parsed) in (False, True)
    assert is_filter(401, parsed) is False
    assert isinstance(is_too_long(error_message(parsed)), bool)


def test_azures_address_and_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "an-azure-key")
    paths: list[str] = []

    def respond(path: str, _: Body) -> Body:
        paths.append(path)
        return said("Passage A")

    with ProtocolServer(respond) as server:
        url = f"{server.url.removesuffix('v1')}openai/deployments/m?api-version=2024-10-21"
        asyncio.run(ask_at(url, [WRITE], {}))
        (headers,) = server.headers
    assert paths == ["/openai/deployments/m/chat/completions?api-version=2024-10-21"]
    assert headers["api-key"] == "an-azure-key"
    assert "authorization" not in headers
