"""The speed of a model is measured with few real prompts, and times come from it."""

import asyncio
from pathlib import Path

import pytest

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.pipeline.config import RerankConfig
from rankprompt.planning.calibration import Speed
from tests.fakes import FakeModel, by_hash
from tests.planning.plans import plan, planned, with_settings


def test_the_calibration_asks_real_prompts_and_few(
    english: RerankConfig, model: FakeModel, tmp_path: Path
) -> None:
    found = plan(with_settings(english, tmp_path, model="fake", prompt="prp"), calibrate=True)
    speed = found["calibration"]
    assert speed["tokens_per_second"] > 0
    # One pair twice, then all pairs of five passages of one query, and of the two others.
    assert [len(model.prompts), speed["prompts"]] == [2 + 2 + 20 + 40, 40]
    for row in found["methods"]:
        assert row["seconds"] >= row["tokens"] / speed["tokens_per_second"]
    assert not list(tmp_path.iterdir())


def test_a_round_takes_no_less_than_one_pair_does() -> None:
    speed = Speed(tokens_per_second=100, latency=0.5, prompts=1, seconds=1)
    assert speed.seconds_for(tokens=1000, rounds=4) == 10
    assert speed.seconds_for(tokens=1000, rounds=40) == 20


class Server(FakeModel):
    """Answers one request at a time, many at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.asked = self.closed = 0

    async def answer(self, request: Request) -> tuple[Answer, Usage]:  # type: ignore[override]
        self.now, self.asked = self.now + 1, self.asked + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        # Twice what was guessed, and two of them written.
        return by_hash(request), Usage(2 * self.length(request), 0, written=2)

    async def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("calibration", [True, False])
def test_a_server_is_calibrated_at_its_concurrency_and_left(
    english: RerankConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibration: bool
) -> None:
    server = Server()
    monkeypatch.setattr("rankprompt.planning.preparation.connect", lambda _: server)
    job = with_settings(
        english, tmp_path, model="openai:x", base_url="http://localhost:1", concurrency=4
    )
    found = plan(job, measure=lambda *_: 0.0, calibrate=calibration)
    assert server.closed
    assert (server.most, server.asked) == ((4, 2 + 2 + 20) if calibration else (0, 0))
    assert found["tokens_guessed"] != calibration
    guessed = planned(job, calibrate=False)
    for row in found["methods"]:
        assert row["tokens"] == (1 + calibration) * guessed[row["method"]]["tokens"]
        assert row["written_tokens"] == (2 * row["prompts"] if calibration else 0)
    assert all((row["seconds"] is not None) == calibration for row in found["methods"])
