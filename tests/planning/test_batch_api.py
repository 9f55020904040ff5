"""Plans of runs through a batch API: their price, and the batches that they wait for."""

from pathlib import Path
from typing import Any

import pytest

from rankprompt.pipeline.batch_rounds import count_rounds
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.validation import validate
from tests.configs import change
from tests.planning.plans import plan, planned


@pytest.fixture
def served(english: RerankConfig, monkeypatch: pytest.MonkeyPatch) -> RerankConfig:
    """A run by a model behind a server, which nobody asks."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return change(
        english, model="openai:m", base_url=("http://127.0.0.1:1/v1",), depth=10, limit=2,
        price_in=10.0, price_out=30.0,
    )  # fmt: skip


def test_batches_cost_half_and_wait_for_their_rounds(served: RerankConfig) -> None:
    at_once = planned(served, seeds=1)
    in_batches = planned(change(served, batch_api=True), seeds=1)
    assert in_batches.keys() == at_once.keys()
    for method, row in in_batches.items():
        assert row["cost"] == pytest.approx(at_once[method]["cost"] / 2)
        assert (row["tokens"], row["rounds"]) == (
            at_once[method]["tokens"],
            at_once[method]["rounds"],
        )
        assert (at_once[method]["waits"], row["seconds"]) == (None, None)
        assert 1 <= row["waits"] <= row["rounds"]
    assert in_batches["allpair"]["waits"] == in_batches["pointwise"]["waits"] == 1
    assert in_batches["heapsort"]["waits"] > 5


def test_stages_add_up_their_waits(served: RerankConfig, tmp_path: Path) -> None:
    stages = ("pointwise:openai:m@8", "allpair:openai:m@4 prompt=prp")
    given: dict[str, Any] = {"model": RerankConfig().model.name, "stage": stages}
    rows = plan(change(served, **given, batch_api=True, output=tmp_path / "o.trec"), seeds=1)
    assert [row["waits"] for row in rows["methods"]] == [1, 1, 2]


@pytest.mark.parametrize(("method", "least", "most"), [("allpair", 1, 1), ("heapsort", 20, 120)])
def test_rounds_are_counted_before_a_run(
    served: RerankConfig, method: str, least: int, most: int
) -> None:
    job = validate(change(served, method=method, batch_api=True, depth=30))
    assert least <= count_rounds(job) <= most
