"""Options in chat are scored as by a local model, where the server lists what it is asked for."""

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from rankprompt.llm import load_server
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.model import load
from tests.llm import tiny
from tests.llm.openai.small_vllm import CHATML, SmallServer
from tests.servers.protocol import ProtocolServer

MODEL = tiny.llama()
WORDS = tiny.tokenizer(template=CHATML)
OPTIONS = {
    "what differs is the last token": (" Passage A", " Passage B"),
    "letters": (" A", " B", " C", " D"),
    "in brackets": ("[A]", "[B]", "[C]"),
    "words of several tokens": (" perhaps", " never", " nothing"),
}


def ask(server: Any, *requests: Request) -> list[tuple[Answer, Usage]]:
    async def go(url: str) -> list[tuple[Answer, Usage]]:
        model = load_server("m", base_url=url)
        try:
            return [await model.answer(request) for request in requests]
        finally:
            await model.close()

    with ProtocolServer(server, tokenizes=True) as running:
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
