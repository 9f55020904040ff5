"""Options in chat are scored as by a local model, where the server lists what it is asked for."""

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from rankprompt.llm import load_server
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.model import load
from rankprompt.llm.openai.settings import ServerSettings
from tests.llm import tiny
from tests.llm.openai.small_vllm import CHATML, SmallServer
from tests.servers.protocol import ProtocolServer

MODEL = tiny.llama()
WORDS = tiny.tokenizer(template=CHATML)
# Its turns show no reasoning, which the generation prompt opens and closes.
LEADING = CHATML.replace(
    "<s>assistant\n{% endif %}", "<s>assistant\n<think>\n</think>\n{% endif %}"
)
OPTIONS = {
    "what differs is the last token": (" Passage A", " Passage B"),
    "letters": (" A", " B", " C", " D"),
    "in brackets": ("[A]", "[B]", "[C]"),
    "words of several tokens": (" perhaps", " never", " nothing"),
}


VLLM = ("vllm", {"/version": {"version": "0.20.0"}})
SGLANG = ("sglang", {"/server_info": {"version": "0.5.9"}})


def ask(
    server: Any, *requests: Request, said: tuple[str, Any] | None = None
) -> list[tuple[Answer, Usage]]:
    """Asks a server, which says who owns its model and what it is, or nothing."""
    owner, pages = said or ("", {})
    models = {"data": [{"id": "m", "owned_by": owner}]} if owner else None

    async def go(url: str) -> list[tuple[Answer, Usage]]:
        model = load_server("m", base_url=url)
        try:
            return [await model.answer(request) for request in requests]
        finally:
            await model.close()

    with ProtocolServer(server, tokenizes=True, models=models, pages=pages) as running:
        return asyncio.run(go(running.url))


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_scored_as_by_the_local_model(name: str, tmp_path: Path) -> None:
    local = load(str(tiny.save(tmp_path, tiny.llama(), WORDS)), dtype="float32", device="cpu")
    requests = [
        Request(text, OPTIONS[name], chat=True)
        for text in ("Which passage is more relevant?", "The harbour is quiet.")
    ]
    expected, _ = local.answer(requests)
    server = SmallServer(WORDS, model=MODEL)
    for one, (found, usage) in zip(expected, ask(server, *requests), strict=True):
        apart = [
            a - b for a, b in zip(found.loglikelihoods, one.loglikelihoods, strict=True)
        ]  # a constant
        assert apart == pytest.approx([apart[0]] * len(apart), abs=1e-4)
        assert (usage.written, usage.tokens) == (usage.tokens // 11, usage.tokens)
    calls = server.asked("/v1/chat/completions")
    assert all(body["max_tokens"] == 1 for body in calls)
    if name in ("letters", "what differs is the last token"):
        assert len(calls) == 2
    # The options are read as tokens once, not for each prompt.
    assert len(server.asked("/tokenize")) < 20


def test_an_option_that_begins_another_is_meant_where_the_other_does_not_follow(
    tmp_path: Path,
) -> None:
    local = load(str(tiny.save(tmp_path, tiny.llama(), WORDS)), dtype="float32", device="cpu")
    options = (" 1", " 10", " 2")
    alone, _ = local.answer([Request("How many?", (one,), chat=True) for one in options])
    one, ten, two = (math.exp(answer.loglikelihoods[0]) for answer in alone)
    request = Request("How many?", options, chat=True)
    ((found, _),) = ask(SmallServer(WORDS, model=MODEL), request)
    assert found.loglikelihoods == pytest.approx(
        [math.log(one - ten), math.log(ten), math.log(two)], abs=1e-4
    )


@pytest.mark.parametrize(
    "server",
    [
        SmallServer(WORDS),
        SmallServer(WORDS, ""),
        SmallServer(WORDS, "llama.cpp"),
        # The beginning of a turn is not how a turn goes on.
        SmallServer(tiny.tokenizer(template=tiny.TEMPLATE), model=None),
    ],
    ids=["lists others", "no tokens", "llama.cpp", "another template"],
)
def test_other_servers_are_read_as_before(server: SmallServer) -> None:
    request = Request("Which?", (" A", " B"), chat=True)
    ((first, _), _) = ask(server, request, request._replace(prompt="Whose?"))
    assert first.loglikelihoods == pytest.approx((-0.5, -1.5))
    *earlier, last = server.asked("/v1/chat/completions")
    assert "top_logprobs" in last
    assert sum("logprob_token_ids" in body for body in earlier) <= 1


def test_two_ways_of_scoring_are_not_mixed() -> None:
    good = SmallServer(WORDS, model=MODEL)
    requests = [Request(text, (" A", " B"), chat=True) for text in ("Which?", "Whose?")]

    def forgetful(path: str, body: dict[str, Any]) -> Any:
        answer: Any = good(path, body)
        if path.endswith("completions") and len(good.asked(path)) == 2:
            answer = {**answer, "choices": [{"message": {"content": "A"}}]}
        return answer

    expected = ask(SmallServer(WORDS, model=MODEL), *requests)
    found = ask(forgetful, *requests)
    assert [answer for answer, _ in found] == [answer for answer, _ in expected]
    assert found[1][1].retries == 1
    assert all("top_logprobs" not in body for body in good.asked("/v1/chat/completions"))


def apart(found: Answer, expected: Answer) -> list[float]:
    pairs = zip(found.loglikelihoods, expected.loglikelihoods, strict=True)
    return [one - other for one, other in pairs]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize(("form", "said"), [("vllm, likeliest", VLLM), ("sglang", SGLANG)])
def test_an_older_vllm_and_sglang_score_as_the_local_model(
    name: str, form: str, said: tuple[str, Any], tmp_path: Path
) -> None:
    local = load(str(tiny.save(tmp_path, tiny.llama(), WORDS)), dtype="float32", device="cpu")
    requests = [
        Request(text, OPTIONS[name], chat=True)
        for text in ("Which passage is more relevant?", "The harbour is quiet.")
    ]
    expected, _ = local.answer(requests)
    server = SmallServer(WORDS, form, model=MODEL)
    for one, (found, usage) in zip(expected, ask(server, *requests, said=said), strict=True):
        constant = apart(found, one)
        assert constant == pytest.approx([constant[0]] * len(constant), abs=1e-4)
        assert usage.tokens == 11 * usage.written
    generated = server.asked("/generate") or server.asked("/v1/chat/completions")
    limits = [body.get("max_tokens") or body["sampling_params"]["max_new_tokens"]
              for body in generated if form == "sglang" or "allowed_token_ids" in body]  # fmt: skip
    assert set(limits) == {1}
    if form == "sglang" and name == "letters":
        assert len(generated) == 2
        assert not server.asked("/v1/chat/completions")


def test_a_template_that_opens_an_answer_in_another_way_is_sent_as_tokens(tmp_path: Path) -> None:
    words = tiny.tokenizer(template=LEADING)
    local = load(str(tiny.save(tmp_path, tiny.llama(), words)), dtype="float32", device="cpu")
    request = Request("Which?", OPTIONS["in brackets"], chat=True)
    (expected,), _ = local.answer([request])
    server = SmallServer(words, model=MODEL)
    ((found, _),) = ask(server, request, said=VLLM)
    constant = apart(found, expected)
    assert constant == pytest.approx([constant[0]] * len(constant), abs=1e-4)
    asked = server.asked("/v1/completions")
    assert asked
    assert all(isinstance(body["prompt"], list) for body in asked)


@pytest.mark.parametrize("problem", ["ignores what is allowed", "lists what is left"])
def test_a_vllm_whose_numbers_are_others_is_read_as_before(problem: str) -> None:
    good = SmallServer(WORDS, "vllm, likeliest", model=MODEL)

    def changed(path: str, body: dict[str, Any]) -> Any:
        if "allowed_token_ids" not in body:
            return said_a() if path == "/v1/chat/completions" else good(path, body)
        if problem == "ignores what is allowed":
            everything = {"allowed_token_ids": list(range(len(WORDS)))}
            return good(path, body | everything)
        allowed = {"logprob_token_ids": body["allowed_token_ids"]}
        answer: Any = SmallServer(WORDS, model=MODEL)(path, body | allowed)
        first = answer["choices"][0]["logprobs"]["content"][0]
        tops = {one["token"]: one["logprob"] for one in first["top_logprobs"]}
        total = math.log(math.fsum(map(math.exp, tops.values())))
        left = [{"token": token, "logprob": value - total} for token, value in tops.items()]
        first.update(left[0], top_logprobs=left)
        return answer

    request = Request("Which?", (" A", " B"), chat=True)
    found = ask(changed, request, request._replace(prompt="Whose?"), said=VLLM)
    assert [one.loglikelihoods for one, _ in found] == [pytest.approx((-0.5, -1.5))] * 2


def said_a() -> Any:
    return SmallServer(WORDS, "")("/v1/chat/completions", {})


def test_a_model_that_is_to_reason_is_not_cut_off_by_one_token() -> None:
    server = SmallServer(WORDS, model=None)

    async def go(url: str) -> Answer:
        model = load_server("m", base_url=url, settings=ServerSettings(thinking="on"))
        try:
            answer, _ = await model.answer(Request("Which?", (" A", " B"), chat=True))
            return answer
        finally:
            await model.close()

    with ProtocolServer(server, tokenizes=True) as running:
        assert asyncio.run(go(running.url)).loglikelihoods == pytest.approx((-0.5, -1.5))
    (body,) = server.asked("/v1/chat/completions")
    assert body["max_tokens"] > 4096
