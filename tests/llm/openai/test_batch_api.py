"""A model that is asked through the batch API of a server that speaks the documented protocol."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError, ModelError, RankpromptError
from rankprompt.llm.base import Answer, Request
from rankprompt.llm.openai.batches.calls import BatchStatus
from rankprompt.llm.openai.batches.lines import Result, parse_result, request_line, split
from rankprompt.llm.openai.batches.model import BatchModel
from rankprompt.llm.openai.batches.waiting import polling_pause
from tests.servers.batch_server import BatchServer, Body

KEY = "sk-a-secret-of-the-user"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKPROMPT_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def requests(count: int, start: int = 0) -> list[Request]:
    return [
        Request(f"say {number}", max_tokens=4, chat=True) for number in range(start, start + count)
    ]


def echo(path: str, body: Body) -> Body:
    assert path == "/chat/completions"
    said = body["messages"][0]["content"].removeprefix("say ")
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": f"answer {said}"}}
    return {"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 1}}


def make(server: BatchServer, folder: Path) -> BatchModel:
    records = folder / "run.batches"
    return BatchModel("m", base_url=server.url, records=records, pause=lambda _: 0.01)


def ask(
    server: BatchServer, folder: Path, asked: Sequence[Request]
) -> list[Answer | RankpromptError]:
    """The answers, or the errors in their place."""

    async def go() -> list[Any]:
        model = make(server, folder)
        try:
            await model.open()
            answers = await asyncio.gather(
                *(model.answer(request) for request in asked), return_exceptions=True
            )
        finally:
            await model.close()
        return [one if isinstance(one, BaseException) else one[0] for one in answers]

    found = asyncio.run(go())
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, RankpromptError):
            raise one
    return found


def answers(count: int, start: int = 0) -> list[Answer]:
    return [Answer(text=f"answer {number}") for number in range(start, start + count)]


def test_what_is_asked_together_is_one_batch_after_a_request_at_once(tmp_path: Path) -> None:
    with BatchServer(echo).serve() as server:
        assert ask(server, tmp_path, requests(20)) == answers(20)
        assert (server.at_once, len(server.batches)) == (1, 1)
        assert server.asked.total() == 19
        assert server.authorizations == {f"Bearer {KEY}"}
    assert not (tmp_path / "run.batches").exists()


def test_a_field_that_the_server_refuses_is_left_out_before_any_batch(tmp_path: Path) -> None:
    def respond(path: str, body: Body) -> Body:
        if "max_tokens" in body:
            raise ValueError("use max_completion_tokens in place of max_tokens")
        return echo(path, body)

    with BatchServer(respond).serve() as server:
        assert ask(server, tmp_path, requests(5)) == answers(5)
        assert (server.at_once, len(server.batches)) == (2, 1)


def test_a_refused_key_is_told_at_once(tmp_path: Path) -> None:
    def respond(*_: object) -> Body:
        raise ValueError("no such model")

    with BatchServer(respond).serve() as server:
        found = ask(server, tmp_path, requests(1))
        assert "no such model" in str(found[0])
        assert not server.batches


def test_requests_that_expired_are_asked_again(tmp_path: Path) -> None:
    ends = {0: ("expired", 0.5)}
    server = BatchServer(echo, end=lambda number: ends.get(number, ("completed", 0.0)))
    with server.serve():
        assert ask(server, tmp_path, requests(30)) == answers(30)
        assert len(server.batches) == 2
        assert set(server.asked.values()) == {1}  # nothing is paid for twice


def test_a_request_without_a_result_three_times_is_told(tmp_path: Path) -> None:
    with BatchServer(echo, end=lambda _: ("completed", 1.0)).serve() as server:
        found = ask(server, tmp_path, requests(2))
        assert found[0] == answers(1)[0]
        assert isinstance(found[1], ModelError)
        assert "request_timeout: not executed (in 3 batches)" in str(found[1])


def test_a_cancelled_batch_keeps_its_answers_and_is_told(tmp_path: Path) -> None:
    with BatchServer(echo, end=lambda _: ("cancelled", 0.5)).serve() as server:
        found = ask(server, tmp_path, requests(30))
        told = [one for one in found if isinstance(one, ModelError)]
        assert 0 < len(told) < 29
        assert "batch-0 was cancelled at the server" in str(told[0])
        assert [one for one in found if isinstance(one, Answer)]
    assert not (tmp_path / "run.batches").exists()


def test_a_failed_batch_says_why(tmp_path: Path) -> None:
    with BatchServer(echo, end=lambda _: ("failed", 0.0)).serve() as server:
        found = ask(server, tmp_path, requests(3))
        assert str(found[2]) == "the batch batch-0 failed: line 2: not JSON"
    assert not (tmp_path / "run.batches").exists()


def test_a_full_queue_is_filled_with_smaller_batches_one_at_a_time(tmp_path: Path) -> None:
    with BatchServer(echo, queue=10, seconds=lambda _: 0.05).serve() as server:
        assert ask(server, tmp_path, requests(40)) == answers(40)
        done = [one for one in server.batches.values() if one["status"] == "completed"]
        assert max(one["request_counts"]["total"] for one in done) <= 10
        assert set(server.asked.values()) == {1}


def test_a_queue_that_others_fill_is_told(tmp_path: Path) -> None:
    with BatchServer(echo, queue=0).serve() as server:
        found = ask(server, tmp_path, requests(3))
        assert "Enqueued token limit reached" in str(found[1])


def test_a_server_without_a_batch_api_is_told(tmp_path: Path) -> None:
    server = BatchServer(echo)
    with server.serve():
        server.url += "/other"
        found = ask(server, tmp_path, requests(2))
    assert "/other" in str(found[1])


@pytest.mark.parametrize("lost", ["POST /files", "POST /batches", "GET /batches/ID"])
def test_a_lost_reply_creates_no_second_batch(tmp_path: Path, lost: str) -> None:
    with BatchServer(echo, lost_replies=(lost,)).serve() as server:
        assert ask(server, tmp_path, requests(6)) == answers(6)
        assert len(server.batches) == 1


def interrupt(server: BatchServer, folder: Path, asked: Sequence[Request]) -> None:
    """Asks, and goes away while the batch runs."""

    async def go() -> None:
        model = make(server, folder)
        await model.open()
        tasks = [asyncio.create_task(model.answer(request)) for request in asked]
        while not server.calls["GET /batches/ID"]:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await model.close()

    asyncio.run(go())


def test_a_batch_of_an_earlier_run_is_read_and_not_sent_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchServer(echo, seconds=lambda number: 0.5 * (number == 0)).serve() as server:
        interrupt(server, tmp_path, requests(10))
        assert "at the server, a batch goes on with 9 requests" in caplog.text
        kept = (tmp_path / "run.batches").read_text()
        assert "batch-0" in kept
        assert KEY not in kept
        assert "say" not in kept
        # The answer to the first was given at once, and is in a journal.
        assert ask(server, tmp_path, requests(9, 1)) == answers(9, 1)
        assert (server.at_once, len(server.batches)) == (1, 1)
        assert ask(server, tmp_path, requests(3, 20)) == answers(3, 20)
        assert (server.at_once, len(server.batches)) == (2, 2)
    assert not (tmp_path / "run.batches").exists()


def test_results_of_an_earlier_batch_wait_for_who_asks_later(tmp_path: Path) -> None:
    with BatchServer(echo, seconds=lambda _: 0.3).serve() as server:
        interrupt(server, tmp_path, requests(6))

        async def go() -> list[Answer]:
            model = make(server, tmp_path)
            await model.open()
            found = [(await model.answer(request))[0] for request in requests(5, 1)]
            await model.close()
            return found

        assert asyncio.run(go()) == answers(5, 1)
        assert len(server.batches) == 1


@pytest.mark.parametrize("lists", [True, False])
def test_a_run_that_ended_while_its_batch_was_created_finds_it(tmp_path: Path, lists: bool) -> None:
    with BatchServer(echo, seconds=lambda _: 0.3, lists=lists).serve() as server:
        interrupt(server, tmp_path, requests(4))
        path = tmp_path / "run.batches"
        content = json.loads(path.read_text())
        content["batches"][0]["batch"] = None  # as it was before the reply came
        path.write_text(json.dumps(content))
        assert ask(server, tmp_path, requests(3, 1)) == answers(3, 1)
        # A server that lists nothing has to be told again.
        assert len(server.batches) == (1 if lists else 2)
        assert len(server.files) == 2  # nothing is uploaded again


@pytest.mark.parametrize("gone", ["batch", "results"])
def test_a_batch_that_the_server_has_no_more_is_asked_again(tmp_path: Path, gone: str) -> None:
    with BatchServer(echo, seconds=lambda number: 0.2 * (number == 0)).serve() as server:
        interrupt(server, tmp_path, requests(4))
        if gone == "batch":
            server.batches["batch-5"] = server.batches.pop("batch-0")
        else:
            server.batches["batch-0"] |= {"status": "completed", "output_file_id": "file-99"}
        assert ask(server, tmp_path, requests(3, 1)) == answers(3, 1)


def test_another_models_batches_are_left_alone(tmp_path: Path) -> None:
    with BatchServer(echo, seconds=lambda number: 0.2 * (number == 0)).serve() as server:
        interrupt(server, tmp_path, requests(4))
        path = tmp_path / "run.batches"
        path.write_text(path.read_text().replace(" m auto", " n auto"))
        before = path.read_text()
        assert ask(server, tmp_path, requests(3, 1)) == answers(3, 1)
        assert len(server.batches) == 2
        assert path.read_text() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:50],
        lambda text: text.replace("batch-0", "../models"),
        lambda text: text.replace("rankprompt batches 1", "rankprompt batches 9"),
        lambda _: '{"form": "rankprompt batches 1"}',
        lambda _: "[]",
    ],
)
def test_a_damaged_file_of_batches_is_refused_before_anything_is_asked(
    tmp_path: Path, damage: Any
) -> None:
    with BatchServer(echo, seconds=lambda _: 0.2).serve() as server:
        interrupt(server, tmp_path, requests(3))
        path = tmp_path / "run.batches"
        path.write_text(damage(path.read_text()))
        calls = server.at_once
        with pytest.raises(InputError, match="move it away"):
            ask(server, tmp_path, requests(2, 1))
        assert (server.at_once, len(server.batches)) == (calls, 1)


def test_records_older_than_the_servers_files_are_forgotten(tmp_path: Path) -> None:
    with BatchServer(echo, seconds=lambda number: 0.2 * (number == 0)).serve() as server:
        interrupt(server, tmp_path, requests(3))
        path = tmp_path / "run.batches"
        content = json.loads(path.read_text())
        content["batches"][0]["at"] = "2020-01-01T00:00:00+00:00"
        path.write_text(json.dumps(content))
        assert ask(server, tmp_path, requests(2, 1)) == answers(2, 1)
        assert len(server.batches) == 2


def test_thinking_that_leaves_no_answer_is_switched_off_in_the_first_request(
    tmp_path: Path,
) -> None:
    def respond(path: str, body: Body) -> Body:
        reply = echo(path, body)
        if "chat_template_kwargs" not in body:
            reply["choices"][0]["message"] = {"content": "", "reasoning_content": "hm"}
        return reply

    with BatchServer(respond).serve() as server:
        assert ask(server, tmp_path, requests(5)) == answers(5)
        assert (server.at_once, len(server.batches)) == (2, 1)


def test_polls_become_rare() -> None:
    pauses = [polling_pause(number) for number in range(30)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 60.0)


@given(
    sizes=st.lists(st.integers(1, 50), max_size=40),
    most_requests=st.integers(1, 10),
    most_bytes=st.integers(1, 120),
)
def test_a_split_keeps_to_both_limits_and_loses_nothing(
    sizes: list[int], most_requests: int, most_bytes: int
) -> None:
    lines = [(str(number), b"x" * size) for number, size in enumerate(sizes)]
    parts = list(split(lines, most_requests, most_bytes))
    assert [pair for part in parts for pair in part.items()] == lines
    for part in parts:
        assert len(part) <= most_requests
        assert len(part) == 1 or sum(map(len, part.values())) <= most_bytes
    for part, after in pairwise(parts):  # no batch could hold one more
        first = next(iter(after.values()))
        size = sum(map(len, part.values()))
        assert len(part) == most_requests or size + len(first) > most_bytes


@given(st.binary(max_size=200))
def test_any_line_is_a_result_or_none(line: bytes) -> None:
    parsed = parse_result(line)
    assert parsed is None or isinstance(parsed[1], Result)


@given(st.text(max_size=30))
def test_a_request_is_one_line_of_ascii(text: str) -> None:
    line = request_line("a" * 32, "/v1/chat/completions", {"prompt": text})
    assert line.count(b"\n") == 1
    assert json.loads(line)["body"] == {"prompt": text}


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ("queue is gone", "queue is gone"),
        ({"data": [{"code": "x", "message": "y", "line": 3}, {"code": "z"}]}, "line 3: y; z"),
        ({"data": "?"}, "no reason is given"),
        (None, "no reason is given"),
    ],
)
def test_compatible_servers_say_why_in_their_way(errors: object, told: str) -> None:
    described = {"id": "b", "status": "FAILED", "errors": errors, "output_file_id": ""}
    status = BatchStatus.model_validate({**described, "request_counts": "none"})
    assert (status.has_ended, status.reasons, status.answered) == (True, told, 0)


def test_an_id_that_leads_elsewhere_is_none() -> None:
    with pytest.raises(ValueError, match="pattern"):
        BatchStatus.model_validate({"id": "../models", "status": "completed"})


def test_results_are_read_as_documented() -> None:
    reply = {"id": "1", "custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}}
    assert parse_result(json.dumps(reply).encode()) == ("a", Result(200, {"x": 1}))
    expired = {"custom_id": "b", "response": None, "error": {"code": "batch_expired"}}
    assert parse_result(json.dumps(expired).encode()) == ("b", Result(problem="batch_expired"))
    assert parse_result(b"[]") is None
