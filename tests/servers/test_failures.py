"""Whole runs over HTTP, against a server that fails, restarts or dies."""

import gc
import logging
import threading
import time
from typing import Any

import pytest

from rankprompt.errors import ModelError
from rankprompt.journal.store import Journal
from tests.servers.protocol import FAULTS, ProtocolServer, Reply, reply
from tests.servers.runs import KEY, agree, locally, prefer, served
from tests.servers.speaker import Speaker


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
        assert journal.totals() == (
            found.costs.prompts - found.judge.diagnostics.unreadable,
            found.costs.prompts,
        )
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
        assert journal.totals() == (
            found.costs.prompts - found.judge.diagnostics.unreadable,
            found.costs.prompts,
        )


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
