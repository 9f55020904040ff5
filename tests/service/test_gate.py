"""Keys, the queue, the time limit, and what is told while the model is not there."""

import asyncio
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError, JournalError, ModelError
from rankprompt.service.app import make_app
from rankprompt.service.settings import ServiceSettings
from tests.limits import full_disk
from tests.servers.protocol import ProtocolServer
from tests.servers.reranker import Reranker as Answers
from tests.service.conftest import Start

BODY = {"query": "boats", "documents": ["mill", "harbour"]}


class HeldServer:
    """A reranker behind a server, which answers no call while it is held."""

    def __init__(self) -> None:
        self.held = False
        self.server = ProtocolServer(Answers(), latency=lambda _: self._wait())

    async def _wait(self) -> None:
        while self.held:
            await asyncio.sleep(0.005)


@contextmanager
def held_server() -> Iterator[HeldServer]:
    held = HeldServer()
    with held.server:
        yield held


def wait_for(condition: object, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)


def test_probes_are_no_lines_of_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rankprompt"):
        for path in ("/health", "/ready", "/metrics"):
            assert client.get(path).status_code == 200
            if path != "/metrics":
                answer = client.head(path)
                assert (answer.status_code, answer.content) == (200, b"")
        assert client.head("/").status_code == 200
    assert [one.getMessage().split()[1] for one in caplog.records] == ["endpoint=/"]


def test_only_what_needs_a_key_is_described_with_one(started: Start, reranker: Reranker) -> None:
    description = started(reranker, keys=("k",)).get("/openapi.json").json()
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == (path not in ("/health", "/ready"))
            assert {"401", "4XX"} & set(operation["responses"]) or "security" not in operation
    assert "503" in description["paths"]["/ready"]["get"]["responses"]


def test_a_key_is_needed_but_for_the_probes(started: Start, reranker: Reranker) -> None:
    client = started(reranker, keys=("first", "second-key"))
    for path in ("/health", "/ready", "/", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    for given in ("", "Bearer", "Bearer firs", "Bearer first2", "Basic first", "Bearer clé"):
        answer = client.post("/v2/rerank", json=BODY, headers=[(b"authorization", given.encode())])
        assert answer.status_code == 401
        assert answer.json() == {
            "message": "this server needs a key; send the header Authorization: Bearer KEY"
        }
        assert answer.headers["www-authenticate"] == "Bearer"
    for key in ("first", "second-key"):
        headers = {"Authorization": f"Bearer {key}"}
        assert client.post("/v2/rerank", json=BODY, headers=headers).status_code == 200
    for path in ("/metrics", "/v1/models", "/info", "/nothing"):
        assert client.get(path).status_code == 401, path


def test_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKPROMPT_SERVE_KEYS", "a, b,,c")
    assert ServiceSettings.from_environment().keys == ("a", "b", "c")
    for value, problem in ((" , ", "holds no key"), ("clé", "characters that no header can")):
        monkeypatch.setenv("RANKPROMPT_SERVE_KEYS", value)
        with pytest.raises(InputError, match=problem):
            ServiceSettings.from_environment()
    with pytest.raises(InputError, match="`max_queue` must be at least 1, not 0"):
        ServiceSettings(max_queue=0)
    with pytest.raises(InputError, match="`timeout` must be above 0"):
        ServiceSettings(timeout=0)


def test_a_full_queue_says_when_to_come_again(started: Start) -> None:
    with held_server() as held, Reranker("rerank:m", base_url=held.server.url) as reranker:
        client = started(reranker, max_queue=2)
        held.held = True
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(client.post, "/v1/rerank", json=BODY) for _ in range(2)]
            wait_for(lambda: "rankprompt_queue_length 2.0" in client.get("/metrics").text)
            answer = client.post("/rerank", json={"query": "a", "texts": ["b"]})
            held.held = False
            assert [one.result().status_code for one in waiting] == [200, 200]
        assert answer.status_code == 429
        assert answer.json()["error_type"] == "Overloaded"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.post("/v1/rerank", json=BODY).status_code == 200
        assert "rankprompt_queue_length 0.0" in client.get("/metrics").text


def test_a_request_that_takes_too_long_is_given_up(started: Start) -> None:
    with held_server() as held, Reranker("rerank:m", base_url=held.server.url) as reranker:
        client = started(reranker, timeout=0.3)
        held.held = True
        answer = client.post("/v2/rerank", json=BODY)
        held.held = False
        assert answer.status_code == 504
        assert answer.json() == {"message": "no answer within the 0.3 s of this server"}
        assert client.post("/v2/rerank", json=BODY).status_code == 200


def test_what_a_failed_request_has_cost_is_counted(
    started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    calls, held, answers = 0, True, Answers()

    async def wait() -> None:
        nonlocal calls
        calls += 1
        while held and calls > 2:  # one for the model's start, and one of the request's
            await asyncio.sleep(0.005)

    body = {"query": "boats", "documents": [f"text {number}" for number in range(3000)]}
    with (
        ProtocolServer(answers, latency=lambda _: wait()) as server,
        Reranker("rerank:m", base_url=server.url, concurrency=1) as reranker,
        caplog.at_level(logging.INFO, "rankprompt"),
    ):
        client = started(reranker, timeout=1)
        assert client.post("/v2/rerank", json=body).status_code == 504
        # It is in a line of its own where it is known only after the answer.
        wait_for(lambda: any(_prompts(504, caplog)))
        held, first = False, sum(_prompts(504, caplog))
        assert 0 < first < 3000
        assert f"rankprompt_prompts_total {first}.0" in client.get("/metrics").text
        assert reranker.usage.prompts == first + 2
        calls, answers.most = 0, 0
        assert client.post("/v2/rerank", json=body).status_code == 502
        assert _prompts(502, caplog) == [0]


def _prompts(status: int, caplog: pytest.LogCaptureFixture) -> list[int]:
    return [int(one) for one in re.findall(rf"={status} .*prompts=(\d+)", caplog.text)]


def test_a_server_whose_model_is_not_there_yet_says_so() -> None:
    with held_server() as held, Reranker("rerank:m", base_url=held.server.url) as reranker:
        held.held = True
        with TestClient(make_app(reranker)) as client:
            assert client.get("/health").status_code == 200
            ready, asked = client.get("/ready"), client.post("/v1/rerank", json=BODY)
            assert (ready.status_code, asked.status_code) == (503, 503)
            assert ready.json()["detail"] == "the model is being loaded"
            assert asked.headers["retry-after"] == "2"
            held.held = False
            wait_for(lambda: client.get("/ready").status_code == 200)
            client.app.state.service.stopping = True  # type: ignore[attr-defined]
            assert client.get("/ready").json()["detail"] == "the server is shutting down"
            assert client.post("/v1/rerank", json=BODY).status_code == 200


def test_a_model_that_refuses_is_a_bad_gateway(started: Start) -> None:
    answers = Answers()
    with ProtocolServer(answers) as server, Reranker("rerank:m", base_url=server.url) as reranker:
        client = started(reranker)
        answers.most = 0
        answer = client.post("/v1/rerank", json=BODY)
        assert answer.status_code == 502
        assert "mill" not in answer.text
        assert "the model's server" in answer.json()["detail"]
        assert "http" not in answer.text
        assert "maximum allowed batch size 0" in answer.json()["detail"]


def test_clients_are_not_told_what_the_owner_can_do(
    started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    words = (
        "all answers are equal. No run is written, and the journal is kept; `keep_going` goes on"
    )

    class Failing(Reranker):
        async def arank(self, query: str, *_: object, **__: object) -> object:  # type: ignore[override]
            raise JournalError("/srv/a.journal: full") if query == "j" else ModelError(words)

    with held_server() as held, Failing("rerank:m", base_url=held.server.url) as reranker:
        client = started(reranker)
        answer = client.post("/v2/rerank", json=BODY)
        assert answer.json() == {"message": "all answers are equal"}
        with caplog.at_level(logging.INFO, "rankprompt"):
            answer = client.post("/v2/rerank", json={**BODY, "query": "j"})
        assert "/srv" not in answer.text
        assert "/srv/a.journal: full" in caplog.text


def test_a_journal_that_cannot_be_written_is_no_fault_of_the_request(
    started: Start, served: ProtocolServer, tmp_path: Path
) -> None:
    journal = tmp_path / "answers.journal"
    with Reranker("rerank:m", base_url=served.url, journal=journal) as reranker:
        client = started(reranker)
        with full_disk(journal.stat().st_size):
            texts = [f"text {number}" for number in range(300)]
            answer = client.post("/v2/rerank", json={"query": "a", "documents": texts})
    assert answer.status_code == 503
    assert answer.json()["message"] == "the journal failed; the server's log says why"


def test_an_unexpected_error_shows_no_text(
    started: Start, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Reranker):
        async def arank(self, query: str, *_: object, **__: object) -> object:  # type: ignore[override]
            raise KeyError(query)

    with held_server() as held, Broken("rerank:m", base_url=held.server.url) as reranker:
        client = started(reranker)
        with caplog.at_level(logging.INFO, "rankprompt"):
            answer = client.post("/v2/rerank", json=BODY)
    assert answer.status_code == 500
    assert answer.json() == {"message": "the server failed; its log says how"}
    assert "failed: KeyError at test_gate.py:" in caplog.text
    assert "boats" not in caplog.text
