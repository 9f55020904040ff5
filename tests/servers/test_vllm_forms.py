"""What a real vLLM is told as, asked and spared: `make test-vllm`; no other target runs this."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from rankprompt.llm import load_model, load_server
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.openai.model import OpenAIModel
from tests.servers.protocol import ProtocolServer, Reply, reply
from tests.servers.vllm_process import running_vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]

PROMPT = "Which passage says more about harbours?\nA: Boats lie in it.\nB: Bread is baked."
BLOCK = 32


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("vllm")
    # Room for four prompts: what was asked before is soon forgotten.
    options = ("--max-model-len", "512", "--block-size", str(BLOCK), "--num-gpu-blocks-override",
               "24")  # fmt: skip
    with running_vllm(folder, converted_folder(), "smol", *options) as address:
        yield address


def forward(url: str, seen: list[tuple[str, Any]], without: str = "") -> ProtocolServer:
    """A server that hands calls on, and knows nothing of a field, or refuses it (``echo``)."""
    root = url.removesuffix("/v1")

    def respond(path: str, body: dict[str, Any]) -> Reply:
        seen.append((path, body))
        if without == "echo" and without in body:
            return reply({"error": {"message": "echo is not supported"}}, 400)
        kept = {name: value for name, value in body.items() if name != without}
        answer = httpx.post(root + path, json=kept, timeout=600)
        return Reply(answer.status_code, answer.content)

    models, version = (
        httpx.get(one, timeout=60).json() for one in (f"{url}/models", f"{root}/version")
    )
    return ProtocolServer(respond, models=models, pages={"/version": version}, tokenizes=True)


def ask(url: str, *requests: Request) -> tuple[list[tuple[Answer, Usage]], OpenAIModel]:
    async def go(model: OpenAIModel) -> list[tuple[Answer, Usage]]:
        try:
            await model.open()
            return [await model.answer(request) for request in requests]
        finally:
            await model.close()

    model: Any = load_server("smol", base_url=url)
    return asyncio.run(go(model)), model


OPTIONS = [(" Passage A", " Passage B"), ("[A]", "[B]", "[C]"), (" perhaps", " never")]


@pytest.mark.parametrize("without", ["", "logprob_token_ids"], ids=["asked", "allowed"])
def test_options_cost_one_token_a_call_and_equal_the_local_ones(url: str, without: str) -> None:
    local = load_model(str(converted_folder()), dtype="float32", threads=1)
    requests = [Request(PROMPT, options, chat=True) for options in OPTIONS]
    expected, _ = local.answer(requests)
    seen: list[tuple[str, Any]] = []
    with forward(url, seen, without) as proxy:
        answers, model = ask(proxy.url, *requests)
    assert (
        model.served_by
        == "vLLM " + httpx.get(url.removesuffix("/v1") + "/version").json()["version"]
    )
    assert model.choices_read_from == "the tokens asked for"
    for (found, _), one in zip(answers, expected, strict=True):
        apart = [a - b for a, b in zip(found.loglikelihoods, one.loglikelihoods, strict=True)]
        assert apart == pytest.approx([apart[0]] * len(apart), abs=1e-3)
    calls = [body for path, body in seen if path.endswith("completions")]
    assert all(body["max_tokens"] == 1 for body in calls)
    # The turn is opened with what the options share.
    assert calls[bool(without)]["messages"][-1] == {"role": "assistant", "content": "Passage"}
    print(f"{without or 'asked'}: {len(calls)} calls, {[usage for _, usage in answers]}")  # noqa: T201
    # One token tells passages and letters apart; brackets are closed after each letter.
    written = [usage.written for _, usage in answers]
    assert sum(written) == len(calls) - bool(without)  # the first call finds out
    assert without or written[0] == 1


def test_a_query_is_scored_without_an_echo_as_with_one(url: str) -> None:
    request = Request("Passage: Boats lie in the harbour.\nQuestion:", (" where are the boats",))
    seen: list[tuple[str, Any]] = []
    ((echoed, _),), _ = ask(url, request)
    with forward(url, seen, "echo") as proxy:
        ((listed, _),), _ = ask(proxy.url, request)
    asked = [body for path, body in seen if path.endswith("completions")]
    assert ["echo" in body for body in asked] == [True, False]
    assert listed.tokens == echoed.tokens
    assert listed.loglikelihoods == pytest.approx(echoed.loglikelihoods, abs=1e-4)


def test_prompts_in_order_find_more_of_their_prefix_in_the_cache(url: str) -> None:
    def prompt(first: int, second: int) -> Request:
        passages = [
            f"Number {one}: " + f"boat {one} lies at anchor {one}. " * 9 for one in (first, second)
        ]
        return Request("\n".join(["Which is about boats?", *passages]), (" A", " B"), chat=True)

    # As given, a passage comes first again when it has been forgotten.
    given = [(first, second) for second in range(3) for first in range(6) if first != second]
    rates: list[float] = []
    for order in (given, sorted(given)):
        before = _cache(url)
        # Other passages each time: nothing is left of the time before.
        moved = [
            prompt(first + 10 * len(rates), second + 10 * len(rates)) for first, second in order
        ]
        ask(url, *moved)
        hits, asked = (b - a for a, b in zip(before, _cache(url), strict=True))
        rates.append(hits / asked)
    print(f"share of tokens found in the cache: {rates[0]:.2f} as given, {rates[1]:.2f} in order")  # noqa: T201
    assert rates[1] > rates[0] + 0.1


def _cache(url: str) -> tuple[float, float]:
    """Tokens found in the prefix cache so far, and tokens looked for."""
    text = httpx.get(url.removesuffix("/v1") + "/metrics", timeout=60).text
    names = ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    hits, asked = (
        sum(map(float, re.findall(rf"^{name}{{.*}} (\S+)$", text, re.M))) for name in names
    )
    return hits, asked
