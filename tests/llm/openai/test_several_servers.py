"""Calls that several servers with the same model share."""

import asyncio
import logging
from functools import partial
from typing import Any

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.llm.openai.retrying_client import RetryingClient
from rankprompt.llm.openai.same_model import require_same_model
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.openai.weights import weights_digest
from rankprompt.llm.rerankers.server import RerankServer
from tests.llm.openai.calls import Body, said
from tests.servers.protocol import ProtocolServer, Reply, reply

GOOD = said("Passage A")


async def ask(*urls: str, calls: int = 40, in_flight: int = 8, **settings: Any) -> int:
    """Posts different bodies; returns the retries of all."""
    client = RetryingClient(
        urls, **{"timeout": 5.0, "retries": 2, "pause": lambda _: 0.01, **settings}
    )
    slots = asyncio.Semaphore(in_flight)

    async def post(number: int) -> int:
        async with slots:
            _, _, retries = await client.post("/x", {"number": number}, lambda one: one)
            return retries

    try:
        return sum(await asyncio.gather(*map(post, range(calls))))
    finally:
        await client.close()


def nobody() -> str:
    with ProtocolServer(lambda *_: GOOD) as server:
        return server.url


def test_calls_are_shared_out_by_load() -> None:
    with (
        ProtocolServer(lambda *_: GOOD, latency=0.01) as one,
        ProtocolServer(lambda *_: GOOD, latency=0.01) as two,
        ProtocolServer(lambda *_: GOOD, latency=0.1) as slow,
    ):
        asyncio.run(ask(one.url, two.url, slow.url, calls=200, in_flight=9))
    assert one.calls + two.calls + slow.calls == 200
    assert 0 < slow.calls < min(one.calls, two.calls) / 2
    assert abs(one.calls - two.calls) < 60


def test_calls_that_come_one_by_one_go_to_each_in_turn() -> None:
    with ProtocolServer(lambda *_: GOOD) as one, ProtocolServer(lambda *_: GOOD) as two:
        asyncio.run(ask(one.url, two.url, calls=10, in_flight=1))
    assert (one.calls, two.calls) == (5, 5)


def test_a_server_that_cannot_be_reached_is_left_out_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = nobody()
    with ProtocolServer(lambda *_: GOOD) as server:
        # A retry elsewhere waits for nothing.
        retries = asyncio.run(ask(url, server.url, retries=0, pause=lambda _: 60.0))
    assert server.calls == 40
    assert 1 <= retries <= 8
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{url}: cannot be reached: ")
    assert record.getMessage().endswith("; it is left out until it answers again")


async def post(client: RetryingClient, calls: int) -> None:
    for number in range(calls):
        await client.post("/x", {"number": number}, lambda reply: reply)


def test_a_server_that_comes_back_gets_calls_again() -> None:
    async def go(one: ProtocolServer, two: ProtocolServer) -> None:
        client = RetryingClient(
            [one.url, two.url], timeout=5.0, retries=2, pause=lambda _: 0.01, left_out=0.3
        )

        try:
            await post(client, 4)
            await asyncio.to_thread(one.stop)
            await post(client, 8)
            assert (one.calls, two.calls) == (2, 10)
            await asyncio.to_thread(one.start)
            await asyncio.sleep(0.35)
            await post(client, 8)
            assert one.calls >= 6
        finally:
            await client.close()

    with ProtocolServer(lambda *_: GOOD) as one, ProtocolServer(lambda *_: GOOD) as two:
        asyncio.run(go(one, two))


def test_a_server_whose_calls_fail_at_once_does_not_draw_them_all() -> None:
    with (
        ProtocolServer(lambda *_: reply({"error": "gone"}, 502)) as broken,
        ProtocolServer(lambda *_: GOOD, latency=0.01) as good,
    ):
        asyncio.run(ask(broken.url, good.url, calls=60, in_flight=4, retries=6))
    assert good.calls == 60
    assert broken.calls <= 8


def test_where_none_can_be_reached_the_run_ends_with_a_message() -> None:
    with pytest.raises(ModelError, match=r"cannot be reached: .* \(tried 3 times\)$"):
        asyncio.run(ask(nobody(), nobody(), calls=1))


def test_a_busy_server_slows_down_alone() -> None:
    refused = 0

    def busy(_: str, __: Body) -> Body | Reply:
        nonlocal refused
        refused += 1
        return reply({}, 429, retry_after="30") if refused <= 4 else GOOD

    with (
        ProtocolServer(busy) as one,
        ProtocolServer(lambda *_: GOOD, latency=0.005) as two,
    ):
        # The calls that were refused go on at the other.
        asyncio.run(asyncio.wait_for(ask(one.url, two.url, calls=60), 10))
    assert one.calls <= 8
    assert two.calls == 60


def test_the_fingerprint_names_all_in_any_order_or_the_models_own_name() -> None:
    urls = ["http://b:1/v1", "http://a:1/v1"]
    models = [OpenAIModel("m", base_url=some) for some in (urls, urls[::-1], "http://a:1/v1/")]
    assert models[0].fingerprint == models[1].fingerprint
    assert "http://a:1/v1 http://b:1/v1 m" in models[0].fingerprint
    assert models[2].fingerprint == "openai 3 http://a:1/v1 m auto"
    named = OpenAIModel("m", base_url=urls, settings=ServerSettings(model_id="mine"))
    assert named.fingerprint == "openai 3 mine m auto"
    rerankers = [RerankServer("m", base_url=[f"{url}/rerank" for url in some]) for some in
                 (urls, urls[::-1])]  # fmt: skip
    assert rerankers[0].fingerprint == rerankers[1].fingerprint


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        (["http://a/v1", "http://a/v1/"], "a base URL is given twice"),
        (["https://api.jina.ai/v1", "http://a/v1"], "belong to several providers"),
        (["http://a/v1", "b"], "not a base URL: 'b'"),
    ],
)
def test_addresses_that_do_not_go_together_are_told(urls: list[str], told: str) -> None:
    for make in (OpenAIModel, RerankServer):
        with pytest.raises(ModelError, match=told):
            make("m", base_url=urls)
    with pytest.raises(ModelError, match="of a reranker must name one form"):
        RerankServer("m", base_url=["http://a/v1", "http://b/v2"])


# The same model


def serving(root: str, **settings: Any) -> ProtocolServer:
    models = {"data": [{"id": "m", "root": root}]}
    return ProtocolServer(lambda *_: GOOD, models=models, **settings)


async def answer(model: OpenAIModel, calls: int) -> None:
    for number in range(calls):
        await model.answer(Request(f"Which of {number}?", max_tokens=7, chat=True))


@pytest.mark.parametrize("name", [None, "mine"])
def test_servers_with_other_weights_are_refused_unless_they_have_a_name(name: str | None) -> None:
    async def go(*urls: str) -> None:
        model = OpenAIModel("m", base_url=urls, settings=ServerSettings(model_id=name))
        try:
            await model.open()
            await answer(model, 2)
        finally:
            await model.close()

    with serving("org/a") as one, serving("org/a") as two, serving("org/b") as other:
        asyncio.run(go(one.url, two.url))
        if name:
            asyncio.run(go(one.url, other.url))
        else:
            with pytest.raises(ModelError, match=f"{one.url} and {other.url} tell of different"):
                asyncio.run(go(one.url, other.url))
            assert other.calls == 0


@pytest.mark.parametrize("root", ["org/a", "org/b"])
def test_a_server_that_comes_later_is_checked_before_it_is_asked(
    root: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def go(one: ProtocolServer, late: ProtocolServer) -> None:
        client = RetryingClient(
            [one.url, late.url], timeout=5.0, retries=2, pause=lambda _: 0.01, left_out=0.2
        )

        try:
            await require_same_model(client, "/models", partial(weights_digest, name="m"))
            await post(client, 3)
            await asyncio.to_thread(late.start)
            await asyncio.sleep(0.25)
            await post(client, 8)
        finally:
            await client.close()

    with serving("org/a") as one, serving(root) as late:
        late.stop()
        if root == "org/a":
            asyncio.run(go(one, late))
            assert late.calls >= 3
        else:
            with pytest.raises(ModelError, match="tell of different weights"):
                asyncio.run(go(one, late))
            assert late.calls == 0
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert "it is left out until it answers" in caplog.text
