"""Requests that arrive together share the batches of a model on this machine."""

import asyncio
from pathlib import Path

import httpx2 as httpx
import pytest

from rankprompt.api.reranker import Reranker
from rankprompt.service.app import make_app
from tests.servers.classifier import TEXTS, save_classifier

CALLERS = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier"))


def test_requests_that_arrive_together_share_batches(folder: Path) -> None:
    bodies = [
        {"query": f"boats {number}", "documents": TEXTS[: 4 + number % 3]}
        for number in range(CALLERS)
    ]

    async def ask() -> tuple[list[httpx.Response], list[httpx.Response], int, int]:
        app = make_app(reranker)
        await app.state.service.load()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            before = reranker.batches[0]
            alone = [await client.post("/v1/rerank", json=body) for body in bodies]
            between = reranker.batches[0]
            together = await asyncio.gather(
                *(client.post("/v1/rerank", json=body) for body in bodies)
            )
            after = reranker.batches[0]
            page = (await client.get("/metrics")).text
        assert f"rankprompt_batches {after}.0" in page
        assert "rankprompt_batch_prompts" in page
        return alone, together, between - before, after - between

    with Reranker(str(folder), threads=1) as reranker:
        alone, together, single, shared = asyncio.run(ask())
    assert single == CALLERS
    assert shared <= CALLERS / 2
    for one, other in zip(alone, together, strict=True):
        assert (one.status_code, other.status_code) == (200, 200)
        mine, shared_ones = one.json()["results"], other.json()["results"]
        assert [document["index"] for document in mine] == [o["index"] for o in shared_ones]
        assert [document["relevance_score"] for document in mine] == pytest.approx(
            [document["relevance_score"] for document in shared_ones], abs=1e-5
        )
    assert str(folder) not in together[0].text
