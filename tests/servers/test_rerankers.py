"""Whole runs by a reranker behind HTTP: they rank as the model does in this process."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError, ModelError
from rankprompt.files import read_run
from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm import load_server
from rankprompt.llm.base import Request
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.pipeline.validation import validate
from tests.configs import change
from tests.servers.classifier import small_config
from tests.servers.protocol import ProtocolServer, reply
from tests.servers.reranker import Reranker
from tests.servers.runs import CANDIDATES, KEY
from tests.servers.served_classifier import folder as folder  # fixtures
from tests.servers.served_classifier import reranker as reranker
from tests.servers.served_classifier import server as server

PATHS = ("/v1", "/v2", "/score", "")


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> RerankConfig:
    return small_config(tmp_path, folder)


def at(server: ProtocolServer, path: str = "/v1") -> str:
    return server.url.removesuffix("/v1") + path


def order(config: RerankConfig, output: Path, **options: Any) -> dict[str, list[str]]:
    run_rerank(change(config, output=output, **options))
    return {query: list(scores) for query, scores in read_run(output).items()}


def manifest(output: Path) -> Any:
    return json.loads(output.with_suffix(".json").read_text())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["pointwise", "heapsort"])
def test_a_served_reranker_ranks_as_the_local_one(
    server: ProtocolServer,
    config: RerankConfig,
    folder: Path,
    tmp_path: Path,
    path: str,
    method: str,
) -> None:
    config = change(config, method=method, k=5)
    local = order(config, tmp_path / "local.trec")
    served = change(config, model="rerank:m", base_url=at(server, path), tokenizer=str(folder))
    assert order(served, tmp_path / "served.trec") == local
    assert local["q1"] != [f"d{n}" for n in range(12)]
    first, other = manifest(tmp_path / "local.trec"), manifest(tmp_path / "served.trec")
    assert other["passages_cut"] == first["passages_cut"] > 0
    assert other["costs"]["prompts"] == first["costs"]["prompts"]
    assert other["costs"]["model_batches"] == server.calls
    if method == "pointwise":
        # One call for each query.
        assert (server.calls, other["costs"]["largest_batch"]) == (3, 12)
    assert other["model"]["choices_read_from"].endswith((f"of {path}/rerank", "of /score"))
    assert KEY not in (tmp_path / "served.json").read_text()
    again = change(served, journal=tmp_path / "served.journal")
    calls = server.calls
    assert order(again, tmp_path / "again.trec") == local
    assert server.calls == calls
    assert manifest(tmp_path / "again.trec")["costs"]["prompts"] == 0


def test_texts_are_whole_unless_they_are_to_be_cut(
    server: ProtocolServer, config: RerankConfig, tmp_path: Path, reranker: Reranker
) -> None:
    served = change(config, model="rerank:m", base_url=at(server))
    order(served, tmp_path / "whole.trec")
    assert manifest(tmp_path / "whole.trec")["passages_cut"] == 0
    assert max(map(len, reranker.calls[0][1]["documents"])) > 400
    order(served, tmp_path / "cut.trec", passage_tokens=10)
    assert manifest(tmp_path / "cut.trec")["passages_cut"] == 36
    assert max(map(len, reranker.calls[-1][1]["documents"])) <= 30


def test_a_budget_of_prompts_holds_to_the_passage(journal: Journal) -> None:
    async def ask(url: str) -> list[bool]:
        model = load_server("rerank:m", base_url=url)
        cached = ConcurrentCachedModel(model, journal, Budget(prompts=20), concurrency=3)
        rounds = [
            [Request(query.query.text, passage=document.text) for document in query.documents]
            for query in CANDIDATES
        ]
        replies = await asyncio.gather(*map(cached.answer, rounds))
        await model.close()
        assert cached.costs.prompts == 20
        return [one.answer is not None for query in replies for one in query]

    reranker = Reranker()
    with ProtocolServer(reranker, latency=0.01) as server:
        assert sum(asyncio.run(ask(server.url))) == 20
        assert sum(reranker.sizes) == 20
        assert server.most <= 3


def test_no_more_calls_at_a_time_than_was_said() -> None:
    async def ask(url: str) -> None:
        model = load_server("rerank:m", base_url=url)
        with closing(Journal(None)) as journal:
            cached = ConcurrentCachedModel(model, journal, concurrency=2)
            requests = [
                [Request(f"q{query}", passage=str(text)) for text in range(250)]
                for query in range(3)
            ]
            replies = await asyncio.gather(*map(cached.answer, requests))
        await model.close()
        assert all(one.answer for query in replies for one in query)
        assert (cached.costs.batches, cached.costs.largest_batch) == (9, 100)

    with ProtocolServer(Reranker(), latency=0.02) as server:
        asyncio.run(ask(server.url))
        assert (server.calls, server.most) == (9, 2)


def test_failures_change_nothing(
    server: ProtocolServer, config: RerankConfig, tmp_path: Path, reranker: Reranker
) -> None:
    served = change(config, model="rerank:m", method="heapsort", k=3, order="single")
    expected = order(served, tmp_path / "good.trec", base_url=at(server))
    faults = ("429", "500", "503", "dropped", "broken", "error")
    with ProtocolServer(reranker, rate=0.2, faults=faults, seed=3) as failing:
        assert order(served, tmp_path / "bad.trec", base_url=at(failing)) == expected
        assert failing.failed.total() > 0
    assert manifest(tmp_path / "bad.trec")["costs"]["retries"] == failing.failed.total()


def test_what_is_no_number_throughout_stops_at_the_guard(
    config: RerankConfig, tmp_path: Path
) -> None:
    def respond(_: str, body: dict[str, Any]) -> Any:
        return {
            "results": [
                {"index": index, "relevance_score": None} for index in range(len(body["documents"]))
            ]
        }

    with (
        ProtocolServer(respond) as server,
        pytest.raises(
            ModelError,
            match=r"answers cannot be read.*the server gives are not numbers.*float32 there",
        ),
    ):
        order(config, tmp_path / "better.trec", model="rerank:m", base_url=at(server))
    assert not (tmp_path / "better.trec").exists()


def test_a_wrong_path_names_the_forms(config: RerankConfig, tmp_path: Path) -> None:
    with (
        ProtocolServer(lambda _, __: reply({"detail": "Not Found"}, 404)) as server,
        pytest.raises(ModelError, match=r"/api/rerank: no model 'm', or no such path; .*/v2.*TEI"),
    ):
        order(config, tmp_path / "better.trec", model="rerank:m", base_url=at(server, "/api"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"base_url": None}, "`model` rerank:m needs `base_url`: the base URL ends in /v1"),
        ({"model": "rerank:"}, "`model` rerank:MODEL needs the model's name"),
        ({"thinking": "off"}, "`thinking` and `reasoning_effort` play no part in `model` rerank:m"),
        (
            {"reasoning_effort": "low"},
            "`thinking` and `reasoning_effort` play no part in `model` rerank:m",
        ),
        ({"mode": "generation"}, "`mode` generation needs a prompt whose answer is written"),
        (
            {"prompt": "prp"},
            "`prompt` prp is for language models, and `model` rerank:m",
        ),
        ({"method": "listwise"}, "`method` listwise asks"),
        ({"method": "setwise-heapsort"}, "`method` setwise-heapsort asks"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    config: RerankConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    problem: str,
) -> None:
    # OpenAI's base URL is no reranker's.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    chosen = {"model": "rerank:m", "base_url": "http://localhost:1/v1", **options}
    with pytest.raises(InputError) as caught:
        validate(change(config, output=tmp_path / "run.trec", **chosen))
    assert problem in str(caught.value)
