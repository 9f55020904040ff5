"""The options of the client of servers: several addresses, calls in flight, time and retries."""

import json

import pytest

from tests.cli.conftest import Collection, Command
from tests.cli.refusals import refused
from tests.cli.test_server_options import respond
from tests.servers.protocol import ProtocolServer


def test_servers_share_a_run_and_its_journal_is_theirs_in_any_order(
    command: Command, collection: Collection
) -> None:
    with ProtocolServer(respond) as one, ProtocolServer(respond) as two:
        alone = command(*collection.rerank(model="openai:m", base_url=one.url))
        assert alone.code == 0, alone.err
        ranking, alone_calls = collection.output.read_bytes(), one.calls
        for path in collection.folder.glob(f"{collection.output.stem}.*"):
            path.unlink()
        urls = ("--base-url", one.url, "--base-url", two.url)
        ran = command(*collection.rerank(*urls, model="openai:m", concurrency="auto"))
        assert ran.code == 0, ran.err
        assert two.calls > 0
        assert one.calls - alone_calls + two.calls == alone_calls
        assert collection.output.read_bytes() == ranking
        manifest = json.loads(collection.output.with_suffix(".json").read_text())
        assert manifest["config"]["model"]["base_url"] == [one.url, two.url]
        assert manifest["config"]["model"]["concurrency"] == "auto"
        assert manifest["model"]["calls_in_flight"] == 16
        calls = one.calls + two.calls
        turned = ("--base-url", two.url, "--base-url", one.url)
        assert command(*collection.rerank(*turned, model="openai:m")).code == 0
        again = command("rerank", "--from", collection.output.with_suffix(".json"))
        assert again.code == 0, again.err
        assert one.calls + two.calls == calls


def test_the_time_and_the_retries_of_a_call_are_options(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, _: low)
    with ProtocolServer(respond, latency=2.0) as server:
        words = {"model": "openai:m", "base_url": server.url, "timeout": "0.2", "retries": "1"}
        refused(
            command(*collection.rerank(**words)), r"no answer within 0.2 seconds \(tried 2 times"
        )
        stage = f"heapsort:openai:m@2 base_url={server.url} timeout=0.2 retries=0"
        at = collection.rerank().index("--model")
        staged = collection.rerank("--stage", stage)
        refused(
            command(*staged[:at], *staged[at + 2 :]), r"no answer within 0.2 seconds \(tried once"
        )
