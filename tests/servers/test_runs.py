"""Whole runs over HTTP, against a server that behaves, fails, restarts or dies."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rankprompt.errors import ModelError
from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.base import Request
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template
from rankprompt.rankers import METHODS, PAIRWISE, RankerSettings
from rankprompt.rankers.reranking import Reranked, rerank, rerank_concurrently
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Document, Query
from tests.fakes import PROMPT, FakeModel, shows
from tests.servers.protocol import FAULTS, ProtocolServer, Reply, reply
from tests.servers.speaking import Speaker, heard

KEY = "sk-a-secret-of-the-user"
CHAT = Prompt("chat", "choice", PROMPT.text, PROMPT.target, PROMPT.options, chat=True)
LIKELIHOOD = Prompt(
    "l", "likelihood", parse_template("{passage} asks:"), parse_template(" {query}"), ()
)
WAYS = {
    "chat, scoring": (CHAT, "scoring"),
    "chat, generation": (CHAT, "generation"),
    "completions, scoring": (PROMPT, "scoring"),
    "completions, generation": (PROMPT, "generation"),
    "completions, likelihood": (LIKELIHOOD, "scoring"),
}
CANDIDATES = [
    Candidates(
        Query(f"q{q}", f"what about {q}"),
        tuple(Document(f"d{q}-{place}", f"words of {q} and {place}") for place in range(9)),
        tuple(float(-place) for place in range(9)),
    )
    for q in range(4)
]


def prefer(first: str, second: str) -> float | None:
    """A model of many opinions, which favours A, and sometimes has nothing to say."""
    if uniform(0, "mute", first, second) < 0.03:
        return None
    gap = uniform(0, "grade", first) - uniform(0, "grade", second)
    return min(0.99, max(0.01, 0.53 + gap))


class Done(NamedTuple):
    ranked: Reranked
    judge: PairwiseJudge
    costs: Costs


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKPROMPT_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "run.journal")) as opened:
        yield opened


def locally(
    way: str, method: str = "heapsort", candidates: Sequence[Candidates] = CANDIDATES
) -> Done:
    prompt, mode = WAYS[way]
    fake = FakeModel(heard if prompt is LIKELIHOOD else shows(prefer))
    with closing(Journal(None)) as journal:
        answering = CachedModel(fake, journal)
        judge = PairwiseJudge(answering, pairwise_adapter(prompt, mode), decide="soft")
        ranked = rerank(candidates, judge, METHODS[method].bind(RankerSettings(4, 3, False)))
    return Done(ranked, judge, answering.costs)


def served(
    url: str,
    journal: Journal,
    way: str = "chat, scoring",
    method: str = "heapsort",
    *,
    concurrency: int = 16,
    budget: Budget | None = None,
    on_judged: Callable[[int], None] = lambda _: None,
    **settings: Any,
) -> Done:
    async def go() -> Done:
        chosen = {"pause": lambda repeated: 0.001 * 2**repeated, "timeout": 5.0, **settings}
        model = OpenAIModel("m", base_url=url, **chosen)
        prompt, mode = WAYS[way]
        try:
            answering = ConcurrentCachedModel(
                model, journal, budget or Budget(), concurrency=concurrency
            )
            judge = PairwiseJudge(
                answering, pairwise_adapter(prompt, mode), decide="soft", on_judged=on_judged
            )
            ranked = await rerank_concurrently(
                CANDIDATES,
                judge.ask_concurrently,
                METHODS[method].bind(RankerSettings(4, 3, False)),
            )
        finally:
            await model.close()
        return Done(ranked, judge, answering.costs)

    return asyncio.run(go())


def agree(found: Done, expected: Done) -> None:
    assert found.ranked == expected.ranked
    assert found.costs.prompts == expected.costs.prompts
    assert (found.judge.asked, found.judge.unasked) == (expected.judge.asked, 0)
    ours, theirs = found.judge.diagnostics.summary(), expected.judge.diagnostics.summary()
    assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("way", WAYS)
def test_a_server_ranks_as_a_local_model_does(way: str, journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer)) as server:
        found = served(server.url, journal, way)
        agree(found, locally(way))
        assert (server.calls, server.repeated, found.costs.retries) == (found.costs.prompts, 0, 0)
        assert (found.judge.diagnostics.unreadable > 0) == (way != "completions, likelihood")
        again = served(server.url, journal, way)
        assert again.ranked == found.ranked
        assert (again.costs.prompts, server.calls) == (0, found.costs.prompts)


def test_a_server_that_thinks_first_ranks_alike(journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer, thinks=True)) as server:
        agree(served(server.url, journal), locally("chat, scoring"))


@pytest.mark.parametrize("method", PAIRWISE)
def test_every_method_ranks_alike(method: str, journal: Journal) -> None:
    with ProtocolServer(Speaker(prefer)) as server:
        agree(served(server.url, journal, method=method), locally("chat, scoring", method))


def test_a_fifth_of_all_calls_may_fail_in_every_way(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    way = "chat, scoring"
    with (
        caplog.at_level(logging.DEBUG),
        ProtocolServer(Speaker(prefer), rate=0.2, seed=1) as server,
    ):
        found = served(server.url, journal, way, "allpair", timeout=1.0)
        agree(found, locally(way, "allpair"))
        assert set(server.failed) == set(FAULTS)
        assert 0.15 < server.failed.total() / server.calls < 0.25
        # On a busy machine, a call may take too long by itself.
        assert server.failed.total() <= found.costs.retries < 1.2 * server.failed.total()
        assert max(server.came.values()) <= 1 + 6
        assert journal.totals() == (found.costs.prompts, found.costs.prompts)
    assert journal.path
    for part in journal.path.parent.iterdir():
        assert KEY.encode() not in part.read_bytes()
    assert KEY not in caplog.text
    assert KEY not in repr(vars(found.judge))


@pytest.mark.parametrize("way", ["chat, generation", "completions, likelihood"])
def test_other_ways_survive_failures_too(way: str, journal: Journal) -> None:
    faults = tuple(one for one in FAULTS if one != "no logprobs")
    with ProtocolServer(Speaker(prefer), rate=0.2, faults=faults) as server:
        found = served(server.url, journal, way, timeout=1.0)
        agree(found, locally(way))
        assert found.costs.retries >= server.failed.total() > 0


def test_a_server_that_restarts_half_way_goes_on(journal: Journal) -> None:
    restarted = threading.Event()

    def restart() -> None:
        server.stop()
        time.sleep(0.2)
        server.start()
        restarted.set()

    judged = 0

    def on_judged(count: int) -> None:
        nonlocal judged
        judged += count
        if judged == 30:
            threading.Thread(target=restart).start()

    with ProtocolServer(Speaker(prefer), latency=0.005) as server:
        found = served(
            server.url, journal, on_judged=on_judged, pause=lambda repeated: 0.05 * 2**repeated
        )
        assert restarted.wait(5)
        agree(found, locally("chat, scoring"))
        assert 0 < found.costs.retries <= 6 * 16
        assert journal.totals() == (found.costs.prompts, found.costs.prompts)


def test_a_dead_server_ends_the_run_and_the_next_goes_on_from_there(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    judged = 0

    def on_judged(count: int) -> None:
        nonlocal judged
        judged += count
        if judged == 30:
            server.stop()

    with ProtocolServer(Speaker(prefer)) as server:
        start = time.monotonic()
        with pytest.raises(ModelError, match=r"(reached|broke).*\(tried 7 times\)$") as caught:
            served(server.url, journal, on_judged=on_judged)
        assert time.monotonic() - start < 5
        assert KEY not in str(caught.value)
        gc.collect()
        assert not caplog.records  # such as asyncio's on errors that nobody took
        kept, asked = journal.totals()
        assert kept == asked
        assert kept >= 50
        first = server.calls
        server.start()
        found = served(server.url, journal)
        expected = locally("chat, scoring")
        assert found.ranked == expected.ranked
        assert found.costs.prompts == expected.costs.prompts - kept
        assert server.calls == first + found.costs.prompts
        assert max(server.came.values()) <= 2  # once, where a call was on its way


def test_a_refusal_ends_the_run_and_nothing_more_is_asked(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    def respond(path: str, body: dict[str, Any]) -> dict[str, Any] | Reply:
        if "what about 0" in body["messages"][0]["content"]:
            return reply({"error": "not this one"}, 400)
        return Speaker(prefer)(path, body)

    with ProtocolServer(respond, latency=0.01) as server:
        with pytest.raises(ModelError, match=r"a call is refused \(400: not this one\)"):
            served(server.url, journal, method="allpair", concurrency=4)
        gc.collect()
        assert not caplog.records
        # Those under way, and nothing of the 280 that wait.
        assert server.calls <= 5 * 4


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
            found = served(server.url, journal, way, "allpair")
            assert found.judge.diagnostics.unreadable == found.costs.prompts > 0
            for one in CANDIDATES:
                ids = [document.id for document in one.documents]
                assert found.ranked.rankings[one.query.id] == ids
