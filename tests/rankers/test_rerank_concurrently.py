"""Queries that run independently are ranked as in lock-step, with the same prompts."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rankprompt.errors import ModelError
from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel, Reply
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.rankers import METHODS, PAIRWISE, RankerSettings, allpair
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.rankers.driver import drive_async
from rankprompt.rankers.reranking import Reranked, rerank, rerank_concurrently
from rankprompt.types import Candidates, Document, PairwiseQuestion, Preference, Query
from tests.fakes import PROMPT, FakeModel, FakeServer

CANDIDATES = [
    Candidates(
        Query(f"q{q}", f"about {q}"),
        tuple(Document(f"d{q}-{rank}", f"words of {q} and {rank}") for rank in range(9)),
        tuple(float(-rank) for rank in range(9)),
    )
    for q in range(5)
]
ADAPTER = pairwise_adapter(PROMPT, "scoring")


def rerank_by_server(
    model: FakeServer, journal: Journal, method: str = "heapsort", **settings: object
) -> tuple[Reranked, PairwiseJudge, ConcurrentCachedModel]:
    async def go() -> tuple[Reranked, PairwiseJudge, ConcurrentCachedModel]:
        cached = ConcurrentCachedModel(model, journal, **settings)  # type: ignore[arg-type]
        judge = PairwiseJudge(cached, ADAPTER, decide="soft")
        ranked = await rerank_concurrently(
            CANDIDATES,
            judge.ask_concurrently,
            METHODS[method].bind(RankerSettings(4, 3, False)),
            adjust=FirstStagePrior(CANDIDATES, 0.3).adjust,
        )
        return ranked, judge, cached

    return asyncio.run(go())


@pytest.mark.parametrize("method", PAIRWISE)
def test_rankings_and_prompts_are_those_of_lock_step(method: str) -> None:
    with closing(Journal(None)) as journal, closing(Journal(None)) as other:
        cached = CachedModel(FakeModel(), journal)
        judge = PairwiseJudge(cached, ADAPTER, decide="soft")
        expected = rerank(
            CANDIDATES,
            judge,
            adjust=FirstStagePrior(CANDIDATES, 0.3).adjust,
            ranker=METHODS[method].bind(RankerSettings(4, 3, False)),
        )
        reranked, async_judge, async_cached = rerank_by_server(FakeServer(), other, method)
    assert reranked.rankings == expected.rankings
    assert list(reranked.rankings) == list(expected.rankings)
    assert reranked.rounds == expected.rounds
    assert async_judge.asked == judge.asked
    assert async_cached.costs.prompts == cached.costs.prompts
    assert async_judge.diagnostics.summary() == judge.diagnostics.summary()


def test_calls_under_way_keep_to_the_limit_and_reach_it() -> None:
    model = FakeServer()
    with closing(Journal(None)) as journal:
        rerank_by_server(model, journal, "allpair", concurrency=7)
    assert model.busiest == 7


def test_what_the_journal_holds_is_not_asked_again(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "j.journal")) as journal:
        first, _, before = rerank_by_server(FakeServer(), journal)
        again, judge, after = rerank_by_server(FakeServer(), journal)
        assert journal.totals() == (before.costs.prompts, before.costs.prompts)
    assert again == first
    assert (after.costs.prompts, judge.asked) == (0, 0)
    assert judge.cache_hits > 0


def test_the_same_request_twice_at_a_time_is_asked_once() -> None:
    model = FakeServer()

    async def go(journal: Journal) -> list[list[Reply]]:
        cached = ConcurrentCachedModel(model, journal)
        request = Request("the same", (" A", " B"))
        return await asyncio.gather(*(cached.answer([request]) for _ in range(5)))

    with closing(Journal(None)) as journal:
        answers = asyncio.run(go(journal))
    assert len(model.prompts) == 1
    assert len({reply.answer for (reply,) in answers}) == 1


def test_a_slow_query_does_not_delay_the_others() -> None:
    finished: list[str] = []

    class Timed(FakeServer):
        async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
            answer = await super().answer(request)
            finished.append(request.prompt.split("about ")[1][0])
            return answer

    model = Timed(slow=lambda request: "about 0" in request.prompt)
    with closing(Journal(None)) as journal:
        rerank_by_server(model, journal)
    last_of_others = max(index for index, query in enumerate(finished) if query != "0")
    assert finished[: last_of_others + 1].count("0") < finished.count("0") / 3


@pytest.mark.parametrize("method", PAIRWISE)
@pytest.mark.parametrize(
    "budget", [Budget(prompts=20), Budget(tokens=300), Budget(cost=0.0005, price_in=1.0)]
)
def test_a_spent_budget_ends_with_a_ranking(method: str, budget: Budget) -> None:
    with closing(Journal(None)) as journal:
        reranked, judge, cached = rerank_by_server(FakeServer(), journal, method, budget=budget)
    assert judge.unasked > 0
    for query in CANDIDATES:
        ids = sorted(document.id for document in query.documents)
        assert sorted(reranked.rankings[query.query.id]) == ids
    costs = cached.costs
    assert budget.prompts is None or costs.prompts == budget.prompts
    assert budget.tokens is None or budget.tokens <= costs.tokens < 2 * budget.tokens
    assert budget.cost is None or budget.cost <= budget.price(costs) < 2 * budget.cost


def test_a_budget_of_nothing_leaves_the_first_stages_order() -> None:
    model = FakeServer()
    with closing(Journal(None)) as journal:
        reranked, judge, _ = rerank_by_server(model, journal, budget=Budget(prompts=0))
    assert model.prompts == []
    assert judge.asked == 0
    assert reranked.rankings["q1"] == [document.id for document in CANDIDATES[1].documents]


def test_a_budget_holds_for_a_local_model_too() -> None:
    model = FakeModel(batch_size=4)
    with closing(Journal(None)) as journal:
        cached = CachedModel(model, journal, Budget(prompts=10))
        judge = PairwiseJudge(cached, ADAPTER)
        reranked = rerank(CANDIDATES, judge, allpair)
    assert cached.costs.prompts == len(model.prompts) == 10
    assert judge.unasked > 0
    assert sorted(reranked.rankings["q0"]) == sorted(
        document.id for document in CANDIDATES[0].documents
    )


def test_a_journal_answers_beyond_the_budget(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "j.journal")) as journal:
        first, _, _ = rerank_by_server(FakeServer(), journal)
        again, judge, _ = rerank_by_server(FakeServer(), journal, budget=Budget(prompts=0))
    assert again == first
    assert judge.unasked == 0


def test_prices_are_of_a_million_tokens_read_and_written() -> None:
    with closing(Journal(None)) as journal:
        _, _, cached = rerank_by_server(FakeServer(), journal)
    costs = cached.costs
    assert costs.written == costs.prompts
    budget = Budget(price_in=2.0, price_out=10.0)
    read = costs.tokens - costs.written
    assert budget.price(costs) == pytest.approx((2 * read + 10 * costs.written) / 1e6)


def test_a_broken_server_ends_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    class Dying(FakeServer):
        async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
            if len(self.prompts) >= 30:
                raise ModelError("the server has gone")
            return await super().answer(request)

    model = Dying()
    with closing(Journal(tmp_path / "j.journal")) as journal:
        with pytest.raises(ModelError, match="has gone"):
            rerank_by_server(model, journal)
        prompts = len(model.prompts)
        assert prompts >= 30
        assert journal.totals() == (prompts, prompts)
        reranked, _, cached = rerank_by_server(FakeServer(), journal)
        expected, _, whole = rerank_by_server(FakeServer(), Journal(None))
        assert reranked == expected
        assert cached.costs.prompts == whole.costs.prompts - prompts


def test_a_generator_is_closed_and_checked_as_in_lock_step() -> None:
    closed = []

    def generator() -> QuestionGenerator[int, int, str]:
        try:
            yield [1, 2]
            yield []
            return "never"
        finally:
            closed.append(True)

    async def answer(questions: Sequence[int]) -> list[int]:
        return list(questions)

    async def short(_: Sequence[int]) -> list[int]:
        return [1]

    with pytest.raises(RuntimeError, match="empty round"):
        asyncio.run(drive_async(generator(), answer))
    with pytest.raises(RuntimeError, match="2 questions got 1"):
        asyncio.run(drive_async(generator(), short))
    assert closed == [True, True]


def test_queries_under_way_keep_to_their_limit() -> None:
    busy = most = 0

    async def judge(questions: Sequence[PairwiseQuestion]) -> list[Preference]:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return [0.5] * len(questions)

    ranked = asyncio.run(
        rerank_concurrently(
            CANDIDATES, judge, METHODS["sliding"].bind(RankerSettings(4, 2, False)), concurrency=2
        )
    )
    assert most == 2
    assert ranked.rankings["q2"] == [document.id for document in CANDIDATES[2].documents]


def test_where_one_call_fails_the_others_do_not_go_on_spending() -> None:
    class Failing(FakeServer):
        async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
            if len(self.prompts) >= 5:
                raise ModelError("the server has gone")
            await asyncio.sleep(0.01)
            return await super().answer(request)

    model = Failing()

    async def go(journal: Journal) -> int:
        cached = ConcurrentCachedModel(model, journal, concurrency=2)
        judge = PairwiseJudge(cached, ADAPTER)
        with pytest.raises(ModelError):
            await rerank_concurrently(CANDIDATES, judge.ask_concurrently, allpair)
        prompts = len(model.prompts)
        await asyncio.sleep(0.1)
        return len(model.prompts) - prompts

    with closing(Journal(None)) as journal:
        assert asyncio.run(go(journal)) == 0
