"""The loop on a stage of one weight: early stopping, and what a checkpoint belongs to."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open

from rankprompt.cascade.training.config import TrainingConfig
from rankprompt.cascade.training.examples import Pair, WindowList
from rankprompt.cascade.training.loop import ParameterGroup, fit

EXAMPLES: Sequence[Pair | WindowList] = [
    Pair("q", "d1", "d2", ("text", "one", "two")),
    WindowList("q", "d1", "text", ("one", "two"), (0.5, -1.0)),
]


class Fixed:
    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)
        self.examples = EXAMPLES
        self.identity = {"stage": "fixed"}
        self.values = iter([0.1, 0.5, 0.3, 0.2, 0.9])
        self.seen: list[float] = []

    def groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(list(self.model.parameters()), 0.1)]

    def loss(self, batch: Sequence[Pair | WindowList]) -> torch.Tensor:
        found: torch.Tensor = self.model(torch.ones(len(batch), 1)).sum()
        return found

    def validate(self) -> dict[str, float]:
        self.seen.append(self.model.bias.item())
        return {"ndcg@10": next(self.values)}


def test_training_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    stage = Fixed()
    done = fit(stage, TrainingConfig(epochs=9, batch=2, patience=2), tmp_path)
    assert (done.step, done.best, done.stopped) == (3, 0.5, True)
    assert stage.model.bias.item() == stage.seen[1]


def test_checkpoints_of_earlier_versions_are_recognised(tmp_path: Path) -> None:
    # The identity that the first version wrote for these examples and settings.
    fit(Fixed(), TrainingConfig(epochs=1, batch=2), tmp_path)
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as file:
        assert file.metadata()["identity"] == "9f0bece784034775eab60808577e7c06"
