"""Whole runs over HTTP, against a server that behaves."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.guard import AnswerGuard
from rankprompt.llm.base import Request
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.rankers import PAIRWISE
from tests.fakes import PROMPT
from tests.servers.protocol import ProtocolServer
from tests.servers.runs import CANDIDATES, WAYS, agree, locally, prefer, served
from tests.servers.speaker import Speaker


@pytest.mark.parametrize("way", WAYS)
def test_a_server_ranks_as_a_local_model_does(way: str, journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer)) as server:
        found = served(server.url, journal, way)
        agree(found, locally(way))
        assert (server.calls, server.repeated, found.costs.retries) == (found.costs.prompts, 0, 0)
        assert (found.judge.diagnostics.unreadable > 0) == (way != "completions, likelihood")
        again = served(server.url, journal, way)
        assert again.ranked == found.ranked
        # Answers that cannot be read are not kept.
        assert again.costs.prompts == found.costs.prompts - journal.totals()[0]
        assert server.calls == found.costs.prompts + again.costs.prompts


def test_a_server_that_thinks_first_ranks_alike(journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer, thinks=True)) as server:
        agree(served(server.url, journal), locally("chat, scoring"))


@pytest.mark.parametrize("method", PAIRWISE)
def test_every_method_ranks_alike(method: str, journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer)) as server:
        agree(served(server.url, journal, method=method), locally("chat, scoring", method))


def test_no_more_calls_at_a_time_than_was_said(journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer), latency=0.003) as server:
        served(server.url, journal, method="allpair", concurrency=5)
        assert server.most == 5


def test_the_same_request_at_a_time_is_one_call(journal: Journal) -> None:
    request = Request("Query: x\nA: y\nB: z\nWhich is better?", PROMPT.options, chat=True)

    async def go(url: str) -> None:
        model = OpenAIModel("m", base_url=url)
        answering = ConcurrentCachedModel(model, journal)
        found = await asyncio.gather(*(answering.answer([request]) for _ in range(5)))
        await model.close()
        assert len({reply.answer for (reply,) in found}) == 1

    with ProtocolServer(Speaker(prefer), latency=0.01) as server:
        asyncio.run(go(server.url))
        assert server.calls == 1


@pytest.mark.parametrize(
    "budget", [Budget(prompts=40), Budget(tokens=900), Budget(cost=0.9, price_in=1e3)]
)
def test_a_spent_budget_ends_with_a_ranking(budget: Budget, journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer), rate=0.1, seed=2) as server:
        found = served(server.url, journal, budget=budget, timeout=1.0)
    assert found.judge.unasked > 0
    for one in CANDIDATES:
        ids = [document.id for document in one.documents]
        assert sorted(found.ranked.rankings[one.query.id]) == sorted(ids)
    if budget.prompts:
        assert found.costs.prompts == budget.prompts
    if budget.tokens:
        assert budget.tokens <= found.costs.tokens < 3 * budget.tokens
    if budget.cost:
        assert budget.cost <= budget.price(found.costs) < 3 * budget.cost


def test_a_slow_query_holds_nobody_up(journal: Journal) -> None:
    others = locally("chat, scoring", candidates=CANDIDATES[1:]).costs.prompts
    answered = 0

    def slow(body: dict[str, Any]) -> bool:
        return "what about 0" in body["messages"][0]["content"]

    def respond(path: str, body: dict[str, Any]) -> dict[str, Any]:
        nonlocal answered
        answered += not slow(body)
        return Speaker(prefer)(path, body)

    async def others_have_ended() -> None:
        while answered < others:
            await asyncio.sleep(0.005)

    def latency(body: dict[str, Any]) -> float | Awaitable[None]:
        return others_have_ended() if slow(body) else 0.0

    with ProtocolServer(respond, latency=latency) as server:
        found = served(server.url, journal, timeout=20.0, retries=0)
    agree(found, locally("chat, scoring"))


def test_a_server_that_thinks_too_long_is_counted_unreadable(journal: Journal) -> None:
    def respond(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = Speaker(prefer, thinks=True)(path, {**body, "max_tokens": 3})
        assert "Passage B" in answer["choices"][0]["message"]["content"]
        return answer

    with ProtocolServer(respond) as server:
        for way in ("chat, scoring", "chat, generation"):
            guard = AnswerGuard(keep_going=True)
            found = served(server.url, journal, way, "allpair", guard=guard)
            assert found.judge.diagnostics.unreadable == found.costs.prompts > 0
            for one in CANDIDATES:
                ids = [document.id for document in one.documents]
                assert found.ranked.rankings[one.query.id] == ids
