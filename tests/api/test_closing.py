"""The end of a reranker: closed while it works, forgotten, forked, interrupted."""

import asyncio
import gc
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage
from tests.fakes import FakeModel, FakeServer

LOAD = "rankprompt.pipeline.model_access.load_model"


class Slow(FakeModel):
    """Takes a moment for a batch."""

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        time.sleep(0.02)
        return super().answer(requests)


def wait_for(condition: object) -> None:
    until = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.005)


def named_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "rankprompt-model"]


def test_closing_during_calls_to_a_server_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(FakeServer):
        async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
            self.batches.append([request])
            await asyncio.sleep(60)
            raise AssertionError("nobody waits so long")

    server = Hanging()
    monkeypatch.setattr("rankprompt.pipeline.shared_models.connect", lambda _: server)
    reranker = Reranker("rerank:fake", base_url="http://localhost:1/v1")
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(reranker.rank, f"query {i}", ["a", "b"]) for i in range(2)]
        wait_for(lambda: len(server.batches) >= 2)
        reranker.close()
        for call in calls:
            with pytest.raises(InputError, match="was closed"):
                call.result(20)
    assert server.closed


def test_answers_that_were_given_are_stored_when_a_reranker_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = Slow(batch_size=4)
    monkeypatch.setattr(LOAD, lambda *_, **__: model)
    reranker = Reranker("cross-encoder:fake", journal=tmp_path / "answers.journal")
    texts = [f"passage {number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(reranker.rank, f"query {i}", texts) for i in range(4)]
        wait_for(lambda: len(model.batches) > 3)
        reranker.close()
        for call in calls:
            with pytest.raises(InputError, match="was closed"):
                call.result(20)
    assert 0 < len(model.prompts) < 160
    answers, prompts = Journal(tmp_path / "answers.journal").totals()
    assert answers == prompts == len(model.prompts)


def test_closing_while_a_model_loads_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def load(*_: object, **__: object) -> FakeModel:
        loading.set()
        assert go_on.wait(20)
        return FakeModel()

    monkeypatch.setattr(LOAD, load)
    monkeypatch.setattr("rankprompt.pipeline.shared_models.PATIENCE", 0.1)
    before = len(named_threads())
    reranker = Reranker("cross-encoder:fake")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(reranker.rank, "query", ["a", "b"])
        assert loading.wait(20)
        reranker.close()
        go_on.set()
        with pytest.raises(InputError, match="was closed"):
            call.result(20)
    assert len(named_threads()) == before


def test_a_failing_load_fails_for_all_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def load(*_: object, **__: object) -> FakeModel:
        loads.append(1)
        time.sleep(0.1)
        raise InputError("no such model")

    monkeypatch.setattr(LOAD, load)
    with Reranker("cross-encoder:fake") as reranker, ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(reranker.rank, "query", ["a", "b"]) for _ in range(6)]
        for call in calls:
            with pytest.raises(InputError, match="no such model"):
                call.result(20)
    assert len(loads) <= 2


def test_a_forgotten_reranker_frees_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOAD, lambda *_, **__: FakeModel())
    before = len(named_threads())
    for _ in range(5):
        Reranker("cross-encoder:fake").rank("query", ["a", "b"])
    gc.collect()
    until = time.monotonic() + 20
    while len(named_threads()) > before and time.monotonic() < until:
        time.sleep(0.005)
    assert len(named_threads()) <= before


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_is_told_to_make_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOAD, lambda *_, **__: FakeModel())
    with Reranker("cross-encoder:fake") as reranker:
        reranker.rank("query", ["a", "b"])
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe()

        def child() -> None:
            try:
                reranker.rank("query", ["a", "b"])
            except InputError as error:
                sender.send(str(error))

        process = context.Process(target=child)
        process.start()
        assert receiver.poll(20)
        assert "make a reranker there" in receiver.recv()
        process.join(20)


def test_many_queued_tasks_are_told_that_it_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Slow(batch_size=2)
    monkeypatch.setattr(LOAD, lambda *_, **__: model)

    async def main() -> list[object]:
        reranker = Reranker("cross-encoder:fake")
        tasks = [
            asyncio.create_task(reranker.arank(f"query {i}", ["a", "b", "c"])) for i in range(80)
        ]
        while not model.batches:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(reranker.close)
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())
    failures = [one for one in results if isinstance(one, BaseException)]
    assert failures
    assert all(isinstance(one, InputError) and "was closed" in str(one) for one in failures)


@pytest.mark.model
@pytest.mark.parametrize("interrupted", [True, False])
def test_the_interpreter_ends_in_order_while_a_model_answers(interrupted: bool) -> None:
    script = """
import threading
from rankprompt import Reranker
reranker = Reranker()
reranker.warm_up()
print("asks", flush=True)
call = lambda: reranker.rank("query", [f"a passage of some words, number {i}" for i in range(3000)])
if INTERRUPTED:
    call()
else:
    threading.Thread(target=call, daemon=True).start()
    threading.Event().wait(1)
""".replace("INTERRUPTED", str(interrupted))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asks\n"
    time.sleep(0.5)
    if interrupted:
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGINT if interrupted else 0), errors
    assert "terminate called" not in errors
