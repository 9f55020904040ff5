"""Several workers behind the service, on a real Ray cluster of this machine."""

import asyncio
import os
import re
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest

from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError, RankpromptError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.service.settings import ServiceSettings
from tests.llm.rerankers.classifiers import save_classifier
from tests.service.test_gate import wait_for
from tests.service.test_process import HEADERS, Running

_PATIENCE = 200  # seconds for what takes 10 on a machine that does nothing else
QUERY = "boats in the harbour"
TEXTS = ["a mill", "boats in the harbour", "the harbour", "a boat by the mill", "the mill"]
LONG = [f"boats {number} in the harbour by the mill " * 8 for number in range(300)]


def descendants(process: int) -> dict[int, str]:
    """The processes below a process, with their titles."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            titles[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {process}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: titles[one] for one in found - {process}}


def journalled(journal: Path) -> int:
    """The number of answers in a journal."""
    with closing(sqlite3.connect(journal)) as database:
        [(count,)] = database.execute("select count(*) from answers")
    return int(count)


class Cluster(Running):
    """A process of ``rankprompt serve --ray local`` with two workers."""

    def workers(self) -> list[int]:
        below = descendants(self.process.pid)
        return [one for one, title in below.items() if title.startswith("ray::ServeReplica")]

    def answered(self) -> dict[str, float]:
        """The number of answers of each worker."""
        page = self.metrics()
        counts = re.findall(r'worker_requests_total\{worker="(\w+)"\} ([\d.]+)', page)
        return {worker: float(count) for worker, count in counts}

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics", headers=HEADERS).text

    def rank(self, documents: Sequence[str] = TEXTS, **more: object) -> dict[str, Any]:
        body = {"query": QUERY, "documents": documents, **more}
        answer = self.post("/v1/rerank", body)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray") / "model"
    save_classifier(folder)
    return folder


@pytest.fixture(scope="module")
def journal(model: Path) -> Path:
    return model.parent / "j.journal"


@pytest.fixture(scope="module")
def cluster(model: Path) -> Iterator[Cluster]:
    pytest.importorskip("ray.serve", reason="pip install 'rankprompt[ray-serve]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(model.parent)
        words = ("--model", "cross-encoder:model", "--device", "cpu", "--journal", "j.journal")
        started = Cluster(
            model.parent / "log", *words, "--ray", "local", "--workers", 2, seconds=_PATIENCE
        )
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def test_two_workers_rank_as_one_reranker_and_share_its_journal(
    cluster: Cluster, model: Path
) -> None:
    first = cluster.rank()
    with Reranker(f"cross-encoder:{model}", device="cpu") as alone:
        expected = alone.rank(QUERY, TEXTS)
    assert first["usage"]["prompts"] == len(TEXTS)
    wait_for(lambda: cluster.rank() and len(cluster.answered()) == 2, _PATIENCE)
    last = cluster.rank()
    assert last["usage"]["prompts"] == 0
    assert last["usage"]["prompts_from_journal"] == len(TEXTS)
    for answer in (first, last):
        assert [one["index"] for one in answer["results"]] == [one.index for one in expected]
        scores = [one["relevance_score"] for one in answer["results"]]
        assert scores == pytest.approx([one.score for one in expected], abs=1e-4)


def test_options_and_errors_are_those_of_one_process(cluster: Cluster) -> None:
    texts = [f"{text} again" for text in TEXTS]
    assert cluster.rank(texts, max_prompts=2)["usage"]["prompts"] == 2
    answer = cluster.post("/v1/rerank", {"query": QUERY, "documents": TEXTS, "method": "none"})
    assert answer.status_code == 400
    answer = cluster.post("/v2/rerank", {"query": " ", "documents": TEXTS})
    assert (answer.status_code, answer.json()) == (400, {"message": "query must not be blank"})
    answer = httpx.post(f"{cluster.url}/v2/rerank", json={"query": QUERY, "documents": TEXTS})
    assert answer.status_code == 401


def test_a_worker_that_dies_is_replaced_and_no_request_is_lost(
    cluster: Cluster, journal: Path
) -> None:
    before, held = cluster.answered(), journalled(journal)
    wait_for(lambda: len(cluster.workers()) == 2, _PATIENCE)
    with ThreadPoolExecutor(8) as clients:
        asked = [
            clients.submit(cluster.rank, [f"{number} {text}" for text in LONG])
            for number in range(8)
        ]
        wait_for(lambda: journalled(journal) > held + len(LONG) // 10, _PATIENCE)
        killed = cluster.workers()[0]
        os.kill(killed, signal.SIGKILL)
        answers = [one.result() for one in asked]
    assert all(len(answer["results"]) == len(LONG) for answer in answers)
    assert "a worker died; another answers in its place" in cluster.log
    wait_for(lambda: len(set(cluster.workers()) - {killed}) == 2, _PATIENCE)
    wait_for(lambda: cluster.rank() and len(cluster.answered()) > len(before), _PATIENCE)


def test_it_ends_when_the_requests_under_way_are_answered(cluster: Cluster, journal: Path) -> None:
    below, held = descendants(cluster.process.pid), journalled(journal)
    assert below
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(cluster.rank, [f"last {text}" for text in LONG])
        wait_for(lambda: journalled(journal) > held, _PATIENCE)
        cluster.process.send_signal(signal.SIGTERM)
        assert len(asked.result()["results"]) == len(LONG)
    assert cluster.process.wait(60) == 0
    assert cluster.log.splitlines()[-1] == "rankprompt: ended; what was under way is finished"
    assert "Traceback" not in cluster.log
    wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in below), 20)


def test_a_worker_without_a_model_is_unhealthy_once_that_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve = pytest.importorskip("ray.serve")
    from rankprompt.service.ray_worker import Worker

    monkeypatch.chdir(tmp_path)  # which the worker changes
    context = SimpleNamespace(replica_id=SimpleNamespace(unique_id="w"))
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    config = config_from_options(RerankConfig(), {"model": "cross-encoder:/no/folder"})
    worker = Worker(config, str(tmp_path), 1)
    worker.check_health()
    answer = asyncio.run(worker.rank((), ["a"], [["b"]], {}))
    assert not answer.loaded
    with pytest.raises(RankpromptError, match="/no/folder"):
        worker.check_health()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"journal": "a.journal", "ray": "auto"}, "^`journal`: goes with `ray` local"),
        ({"model": "rerank:m", "base_url": "http://x", "ray": "local"}, "that each worker loads$"),
    ],
)
def test_what_does_not_go_with_workers(options: dict[str, Any], problem: str) -> None:
    pytest.importorskip("ray.serve")
    from rankprompt.service.ray_serve import reranker_on_ray

    config = config_from_options(RerankConfig(), options)
    with pytest.raises(InputError, match=problem):
        reranker_on_ray(config, ServiceSettings()).__enter__()
