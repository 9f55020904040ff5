"""Calls that share servers, students, teachers and journals rank as each alone."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankprompt import Ranking, Reranker
from rankprompt.errors import InputError, ModelError
from rankprompt.llm.base import Answer, Request, Usage
from tests.api.conftest import TEXTS
from tests.fakes import FakeServer, by_hash

CHOICE = (
    'kind = "choice"\noptions = [" Passage A", " Passage B"]\n'
    'text = "Query: {query}\\nA: {first}\\nB: {second}\\nWhich is better?"\n'
)
PASSAGES = [f"passage {number}" for number in range(12)]
QUERIES = [f"query {number}" for number in range(6)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server that every job connects to."""
    server = FakeServer()
    monkeypatch.setattr("rankprompt.pipeline.shared_models.connect", lambda _: server)
    return server


@pytest.fixture
def served(server: FakeServer, tmp_path: Path) -> Iterator[Reranker]:
    del server
    (tmp_path / "choice.toml").write_text(CHOICE)
    with Reranker(
        "openai:fake",
        base_url="http://localhost:1/v1",
        method="heapsort",
        k=3,
        prompt=str(tmp_path / "choice.toml"),
        concurrency=5,
    ) as reranker:
        yield reranker


def test_calls_share_a_server_and_its_limit(server: FakeServer, served: Reranker) -> None:
    alone = [served.rank(query, PASSAGES) for query in QUERIES]
    server.busiest = 0
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda query: served.rank(query, PASSAGES), QUERIES))
    assert [one.as_run() for one in together] == [one.as_run() for one in alone]
    assert [one.usage.prompts for one in together] == [one.usage.prompts for one in alone]
    assert 1 < server.busiest <= 5
    served.close()
    assert server.closed


def test_tasks_share_a_server_and_a_cancelled_one_stops(
    server: FakeServer, served: Reranker
) -> None:
    async def cancel_one() -> Ranking:
        stays = asyncio.create_task(served.arank(QUERIES[0], PASSAGES))
        leaves = asyncio.create_task(served.arank(QUERIES[1], PASSAGES * 1 + ["a"] * 50))
        while not any(QUERIES[1] in request.prompt for request in list(server.prompts)):
            await asyncio.sleep(0.001)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        return await stays

    ranking = asyncio.run(cancel_one())
    assert ranking.as_run() == served.rank(QUERIES[0], PASSAGES).as_run()
    asked = sum(QUERIES[1] in request.prompt for request in server.prompts)
    assert 0 < asked < 200


def test_a_server_that_fails_fails_for_its_own_caller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Failing(FakeServer):
        async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
            if "query 1" in request.prompt:
                raise ModelError("the server refused")
            return await super().answer(request)

    monkeypatch.setattr("rankprompt.pipeline.shared_models.connect", lambda _: Failing())
    (tmp_path / "choice.toml").write_text(CHOICE)
    with (
        Reranker(
            "openai:fake", base_url="http://localhost:1/v1", prompt=str(tmp_path / "choice.toml")
        ) as reranker,
        ThreadPoolExecutor(3) as pool,
    ):
        good, bad = (pool.submit(reranker.rank, query, PASSAGES) for query in QUERIES[:2])
        assert len(good.result()) == len(PASSAGES)
        with pytest.raises(ModelError, match="refused"):
            bad.result()


def test_what_was_answered_before_a_failure_is_in_the_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Dying(FakeServer):
        dead = False

        async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
            if len(self.prompts) >= 10 and not self.dead:
                raise ModelError("connection lost")
            return await super().answer(request)

    server = Dying()
    monkeypatch.setattr("rankprompt.pipeline.shared_models.connect", lambda _: server)
    (tmp_path / "choice.toml").write_text(CHOICE)
    with Reranker(
        "openai:fake", base_url="http://localhost:1/v1", prompt=str(tmp_path / "choice.toml"),
        method="allpair", journal=tmp_path / "answers.journal", concurrency=1,
    ) as reranker:  # fmt: skip
        with pytest.raises(ModelError, match="connection lost"):
            reranker.rank(QUERIES[0], PASSAGES[:4])
        server.dead = True
        ranking = reranker.rank(QUERIES[0], PASSAGES[:4])
    assert ranking.usage.prompts_from_journal == 10
    assert ranking.usage.prompts == 2
    assert len(server.prompts) == 12


def test_long_documents_go_through_a_cascade_of_each_call(folder: Path) -> None:
    texts = [" ".join([text] * 12) for text in TEXTS]
    options = {"window": 12, "overlap": 2, "keep": 2}
    for chosen in ({"cascade": "bm25"}, {"method": "cascade", "teacher": str(folder)}):
        model = {} if "teacher" in chosen else {"model": str(folder)}
        with Reranker(**model, **chosen, **options) as reranker:  # type: ignore[arg-type]
            alone = [reranker.rank(text, texts) for text in TEXTS]
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(lambda text: reranker.rank(text, texts), TEXTS))
            for found, expected in zip(together, alone, strict=True):
                assert found.as_run() == pytest.approx(expected.as_run(), abs=1e-5)
                assert found.usage.prompts == expected.usage.prompts
            tokens = [sum(one.usage.tokens for one in each) for each in (together, alone)]
            assert tokens[0] == tokens[1] > 0


def test_a_model_that_cannot_be_loaded_is_tried_again_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = []

    def load(*_: object, **__: object) -> object:
        attempts.append(threading.get_ident())
        raise ModelError("no weights yet")

    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", load)
    with Reranker("cross-encoder:fake") as reranker:
        for _ in range(2):
            with pytest.raises(ModelError, match="no weights yet"):
                reranker.rank("query", ["text"])
    assert len(attempts) == 2


def test_the_models_of_two_stages_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fakes import FakeModel

    loaded: list[FakeModel] = []

    def load(*_: object, **__: object) -> FakeModel:
        loaded.append(FakeModel(by_hash))
        return loaded[-1]

    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", load)
    stages = ["pointwise:cross-encoder:fake@6", "allpair:cross-encoder:fake@3"]
    with Reranker(stages=stages) as reranker:
        reranker.rank("query", PASSAGES)
        reranker.rank("query", PASSAGES)
    assert len(loaded) == 1


def test_a_query_in_other_writing_is_refused_before_the_model_is_loaded() -> None:
    with Reranker() as reranker, pytest.raises(InputError, match="not written in Latin letters"):
        reranker.rank("为什么天空是蓝色的", ["天空"])
