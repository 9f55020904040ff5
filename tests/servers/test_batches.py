"""Whole reranking runs through the batch API of a server that speaks the documented protocol."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.llm.base import Request
from rankprompt.llm.openai.batches.model import BatchModel
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from tests.configs import configure
from tests.servers.batch_server import BatchServer
from tests.servers.runs import KEY, prefer
from tests.servers.speaker import Speaker

QUERIES, DEPTH = 3, 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a first stage's run, its queries and its documents."""
    names = {
        f"q{query}": [f"d{query}-{place}" for place in range(DEPTH)] for query in range(QUERIES)
    }
    (tmp_path / "first.trec").write_text(
        "".join(
            f"{query} Q0 {document} {place} {100 - place} first\n"
            for query, documents in names.items()
            for place, document in enumerate(documents, 1)
        )
    )
    (tmp_path / "queries.tsv").write_text("".join(f"{query}\tabout {query}\n" for query in names))
    (tmp_path / "docs.tsv").write_text(
        "".join(
            f"{document}\twords of {document.replace('-', ' and ')}\n"
            for documents in names.values()
            for document in documents
        )
    )
    return tmp_path


def options(folder: Path, server: BatchServer, name: str, **more: Any) -> dict[str, Any]:
    return {
        "run": folder / "first.trec",
        "queries": folder / "queries.tsv",
        "docs": folder / "docs.tsv",
        "output": folder / f"{name}.trec",
        "model": "openai:m",
        "base_url": (server.url,),
        "prompt": "prp",
        "method": "allpair",
        **more,
    }


def rerank(folder: Path, server: BatchServer, name: str, **more: Any) -> dict[str, Any]:
    return run_rerank(configure(**options(folder, server, name, **more)))


def start(folder: Path, server: BatchServer, name: str, *words: str) -> subprocess.Popen[str]:
    pairs = {**options(folder, server, name), "base_url": server.url}.items()
    given = [word for key, value in pairs for word in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "rankprompt", "rerank", "--batch-api", *given, *words]
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores SIGINT, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("it did not happen within a minute")


@pytest.mark.parametrize("method", ["allpair", "heapsort"])
def test_batches_rank_as_single_calls_do_with_a_batch_a_round(folder: Path, method: str) -> None:
    prices = {"price_in": 1000.0, "price_out": 2000.0}
    with BatchServer(Speaker(prefer)).serve() as server:
        plain = rerank(folder, server, "plain", method=method, **prices)
        calls = server.at_once
        found = rerank(folder, server, "found", method=method, batch_api=True, **prices)
        assert (folder / "found.trec").read_bytes() == (folder / "plain.trec").read_bytes()
        # One prompt at once, to see that the server takes it.
        assert server.at_once - calls == 1
        assert server.asked.total() == found["costs"]["prompts"] - 1
        assert set(server.asked.values()) == {1}
        rounds = found["costs"]["rounds"]
        assert rounds == plain["costs"]["rounds"]
        assert len(server.batches) == rounds if method == "allpair" else rounds > 1
        assert len(server.batches) <= rounds
        assert found["costs"]["cost"] == pytest.approx(plain["costs"]["cost"] / 2, abs=1e-6)
        again = rerank(folder, server, "found", method=method, batch_api=True)
        assert again["costs"]["prompts"] < found["costs"]["prompts"] / 10  # unreadable answers
    assert not list(folder.glob("*.batches"))


def test_a_round_of_more_questions_than_are_rendered_at_a_time_is_one_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankprompt.judges.base.CHUNK", 5)
    with BatchServer(Speaker(prefer)).serve() as server:
        rerank(folder, server, "found", batch_api=True)
        assert len(server.batches) <= 2  # the prompt at once ends a moment before the others


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_killed_goes_on_with_its_batch(folder: Path, how: signal.Signals) -> None:
    with BatchServer(Speaker(prefer), seconds=lambda _: 600.0).serve() as server:
        plain = rerank(folder, server, "plain")
        process = start(folder, server, "found", "--json")
        wait_until(lambda: server.calls["GET /batches/ID"], process)
        process.send_signal(how)
        _, told = process.communicate(timeout=60)
        kept = (folder / "found.batches").read_text()
        assert "batch-0" in kept
        assert KEY not in kept
        assert not (folder / "found.trec").exists()
        if how == signal.SIGINT:
            assert process.returncode == 130
            assert "at the server, a batch goes on with" in told
            assert "the same command, started again, continues from there" in told
            assert "Traceback" not in told
        server.end_all()
        rerank(folder, server, "found", batch_api=True)
        assert len(server.batches) == 1
        assert set(server.asked.values()) == {1}
        assert (folder / "found.trec").read_bytes() == (folder / "plain.trec").read_bytes()
        manifest = json.loads((folder / "found.json").read_text())
        assert manifest["costs"]["rounds"] == plain["costs"]["rounds"]
        assert KEY not in (folder / "found.json").read_text()
    assert not (folder / "found.batches").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"model": "smollm2-135m", "base_url": ()}, "`batch_api` goes with"),
        ({"model": "rerank:m", "prompt": None, "method": None}, "rerankers have no batch API"),
        ({"concurrency": 4}, "`concurrency` plays no part with `batch_api`"),
        ({"max_cost": 1.0, "price_in": 1.0}, "`max_cost` cannot be kept to"),
        ({"max_tokens": 100}, "`max_tokens` cannot be kept to"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    folder: Path, more: dict[str, Any], told: str
) -> None:
    with BatchServer(Speaker(prefer)).serve() as server:
        with pytest.raises(InputError, match=told):
            rerank(folder, server, "found", **{"batch_api": True, **more})
        assert not server.calls


def test_a_budget_of_prompts_is_kept_to(folder: Path) -> None:
    with BatchServer(Speaker(prefer)).serve() as server:
        manifest = rerank(folder, server, "found", batch_api=True, max_prompts=30)
        assert manifest["costs"]["prompts"] == 30
        assert server.asked.total() == 29


def test_calls_that_wait_for_an_answer_have_no_batch_api() -> None:
    with pytest.raises(InputError, match="rerank a run with it"):
        Reranker("openai:m", base_url=("http://127.0.0.1:1/v1",), batch_api=True)


def test_stages_share_the_file_of_batches(folder: Path) -> None:
    with BatchServer(Speaker(prefer)).serve() as server:
        given = options(folder, server, "found", batch_api=True)
        given |= {"method": None, "prompt": None, "model": RerankConfig().model.name}
        stages = ("allpair:openai:m@5 prompt=prp", "allpair:openai:n@3 prompt=prp")
        manifest = run_rerank(configure(**given, stage=stages))
        assert len(manifest["stages"]) == 2
        assert set(server.asked.values()) == {1}
        assert server.at_once == 2
    assert not list(folder.glob("*.batches"))


def test_a_whole_run_forgets_batches_of_which_it_asked_nothing(folder: Path) -> None:
    path = folder / "found.batches"

    async def send(url: str) -> None:
        model = BatchModel("m", base_url=url, records=path, pause=lambda _: 0.01)
        await model.open()
        asked = [Request(f"Passage A: {n}\nPassage B: b", max_tokens=3, chat=True) for n in "xyz"]
        task = asyncio.gather(*map(model.answer, asked))
        while not server.calls["GET /batches/ID"]:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await model.close()

    with BatchServer(
        Speaker(prefer), seconds=lambda number: 600.0 * (number == 0)
    ).serve() as server:
        asyncio.run(send(server.url))
        assert path.exists()
        rerank(folder, server, "found", batch_api=True, max_prompts=5)
        assert path.exists()  # a run of a larger budget may ask for more
        rerank(folder, server, "found", batch_api=True)
        assert not path.exists()
