"""A server process under load: no error but a full queue, and no journalled answer is lost."""

import os
import re
import signal
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from benchmarks.service_load import Requests, Server, measure
from tests.llm.rerankers.classifiers import save_classifier

DOCUMENTS = 8
CORES = os.sched_getaffinity(0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


def _ask(server: Server, bodies: Sequence[bytes]) -> list[Any]:
    """The answers to requests of eight clients; None where the server was gone."""

    def post(body: bytes) -> Any:
        try:
            answer = client.post(
                f"http://127.0.0.1:{server.port}/v1/rerank",
                content=body,
                headers={"Content-Type": "application/json"},
            )
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(8) as clients:
        return list(clients.map(post, bodies))


def _counted(server: Server, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
    return float(re.findall(rf"^rankprompt_{name}_total (\S+)", text, re.MULTILINE)[0])


def test_only_a_full_queue_refuses_requests(model: Path, tmp_path: Path) -> None:
    with Server(("--model", str(model), "--max-queue", "4"), CORES, tmp_path) as server:
        measured = measure(server, Requests(DOCUMENTS), 8, 3)
    assert measured.statuses.keys() == {200, 429}
    assert measured.prompts == DOCUMENTS * measured.statuses[200]
    assert measured.batches < measured.statuses[200]  # some were shared


def test_what_is_journalled_outlives_a_kill(model: Path, tmp_path: Path) -> None:
    requests = Requests(DOCUMENTS)
    bodies = [requests.next() for _ in range(100)]
    journal = tmp_path / "journal"
    options = ("--model", str(model), "--journal", str(journal))
    with Server(options, CORES, tmp_path) as server, ThreadPoolExecutor(1) as one:
        asking = one.submit(_ask, server, bodies)
        while _counted(server, "prompts") < 10 * DOCUMENTS:
            time.sleep(0.05)
        os.kill(server.process_id, signal.SIGKILL)
        before = asking.result()
    given = [index for index, answer in enumerate(before) if answer]
    assert 0 < len(given) < len(bodies)
    with sqlite3.connect(journal) as connection:
        (kept,) = connection.execute("select count(*) from answers").fetchone()
    assert kept >= DOCUMENTS * len(given)
    with Server(options, CORES, tmp_path) as server:
        after = _ask(server, bodies)
        asked, found = _counted(server, "prompts"), _counted(server, "prompts_from_journal")
    assert asked + found == DOCUMENTS * len(bodies)
    assert found >= DOCUMENTS * len(given)
    assert kept - found in (0, 2)  # two are those that load the model
    for index in given:
        assert after[index]["results"] == before[index]["results"]
        assert after[index]["usage"]["prompts"] == 0
    with sqlite3.connect(journal) as connection:
        (number,) = connection.execute("select count(*) from answers").fetchone()
    assert number == DOCUMENTS * len(bodies) + 2
