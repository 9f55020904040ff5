"""The server as a process: signals, large bodies, clients that go away, and its log."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from rankprompt.journal.store import Journal
from tests.service.test_gate import HeldServer, held_server, wait_for

QUERY = "where are the boats"
KEY = "a-secret-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}


class Running:
    """A process of ``rankprompt serve``, whose model is loaded."""

    def __init__(self, log: Path, *words: object, seconds: float = 20) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rankprompt", "serve", "--port", "0", *map(str, words)],
                stderr=output,
                env={**os.environ, "RANKPROMPT_SERVE_KEYS": KEY},
            )
        loaded = re.compile(r"serving \S+ at (http://[\d.]+:(\d+))")
        try:
            wait_for(lambda: loaded.search(self.log) or self.process.poll() is not None, seconds)
            found = loaded.search(self.log)
            assert found, self.log
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.url, self.port = found[1], int(found[2])

    @property
    def log(self) -> str:
        return self._log.read_text()

    def post(self, path: str, body: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, headers=HEADERS, timeout=60)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(folder: Path, held: HeldServer, *words: object) -> Iterator[Running]:
    model = ("--model", "rerank:m", "--base-url", held.server.url)
    started = Running(folder / "log", *model, *words)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


@pytest.fixture(scope="module")
def held() -> Iterator[HeldServer]:
    with held_server() as started:
        yield started


@pytest.fixture(scope="module")
def server(held: HeldServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    words = ("--log-format", "json", "--max-body", 2_000_000, "--concurrency", 1)
    with running(tmp_path_factory.mktemp("server"), held, *words) as started:
        yield started


def test_the_log_has_a_json_line_a_request_without_texts_and_keys(server: Running) -> None:
    answer = server.post("/v2/rerank", {"query": QUERY, "documents": ["a mill", "the harbour"]})
    refused = server.post("/v2/rerank", {"query": QUERY, "documents": ["a mill", 3]})
    assert (answer.status_code, refused.status_code) == (200, 400)
    wait_for(lambda: refused.headers["x-request-id"] in server.log)
    lines = [json.loads(line) for line in server.log.splitlines()]
    (line,) = (one for one in lines if one.get("id") == answer.json()["id"])
    assert sorted(line) == [
        "documents", "endpoint", "id", "ms", "prompts", "questions", "status", "time", "tokens",
    ]  # fmt: skip
    assert (line["endpoint"], line["status"], line["documents"]) == ("/v2/rerank", 200, 2)
    assert not any(text in server.log for text in (QUERY, "mill", "harbour", KEY))


def test_what_is_no_http_is_a_line_of_the_log_too(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"nothing that is HTTP\r\n\r\n")
        assert b" 400 " in connection.recv(1000)
    wait_for(lambda: "Invalid HTTP request" in server.log)
    assert all(json.loads(line)["time"] for line in server.log.splitlines())


def test_a_large_body_is_not_read_to_its_end(server: Running) -> None:
    head = (
        f"POST /rerank HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
    # What the two systems buffer between them comes on top.
    assert 2_000_000 <= sent < 20_000_000
    wait_for(lambda: '"status": 413' in server.log)


def test_half_a_body_takes_no_place_in_the_queue(server: Running) -> None:
    head = (
        f"POST /rerank HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 90\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        time.sleep(0.2)
        page = httpx.get(f"{server.url}/metrics", headers=HEADERS).text
        assert "rankprompt_queue_length 0.0" in page
    wait_for(lambda: '"status": 499, "documents": 0' in server.log)


def test_long_headers_are_refused(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX: " + b"a" * 100_000)
        assert b" 400 " in connection.recv(1000)


def test_the_work_of_a_client_that_goes_away_is_dropped(server: Running, held: HeldServer) -> None:
    texts = [f"text {number}" for number in range(3000)]
    held.held = True
    before = held.server.calls
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.url}/v2/rerank",
            json={"query": QUERY, "documents": texts},
            headers=HEADERS,
            timeout=0.5,
        )
    wait_for(lambda: '"status": 499' in server.log)
    held.held = False
    time.sleep(0.3)
    assert held.server.calls - before <= 1
    assert server.post("/v1/rerank", {"query": QUERY, "documents": ["a"]}).status_code == 200


def test_sigterm_lets_what_is_under_way_finish(tmp_path: Path, held: HeldServer) -> None:
    with running(tmp_path, held) as server, ThreadPoolExecutor() as pool:
        held.held = True
        before = held.server.calls
        asked = pool.submit(server.post, "/v1/rerank", {"query": QUERY, "documents": ["a", "b"]})
        wait_for(lambda: held.server.calls > before)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: _refuses(server.port))
        held.held = False
        assert asked.result().status_code == 200
        assert server.process.wait(30) == 0
        assert server.log.splitlines()[-1] == ("rankprompt: ended; what was under way is finished")


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def test_answers_outlive_a_model_server_that_dies(tmp_path: Path) -> None:
    # Slow, because a call to a server that has answered before is tried again for a while.
    texts = [f"text {number}" for number in range(900)]
    body = {"query": QUERY, "documents": texts}
    journal = tmp_path / "answers.journal"
    with held_server() as held, ThreadPoolExecutor() as pool:
        with running(tmp_path, held, "--journal", journal, "--concurrency", 1) as server:
            before = held.server.calls
            asked = pool.submit(server.post, "/v1/rerank", body)
            wait_for(lambda: held.server.calls > before + 1)
            held.held = True
            held.server.stop()
            answer = asked.result()
            assert answer.status_code == 502
            assert "cannot be reached" in answer.json()["detail"]
            assert server.end() == 0
        kept = Journal(journal)
        answered = kept.totals()[0]
        kept.close()
        assert 0 < answered < len(texts)
        held.held = False
        held.server.start()
        with running(tmp_path, held, "--journal", journal) as server:
            usage = server.post("/v1/rerank", body).json()["usage"]
            assert usage["prompts_from_journal"] > 0
            assert usage["prompts_from_journal"] + usage["prompts"] == len(texts)
