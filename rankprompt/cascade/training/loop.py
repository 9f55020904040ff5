"""The training loop of all three stages: Adam, validation, early stopping and exact resumption."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import nn

from rankprompt.cascade.training.checkpoint import (
    TrainingState,
    read_checkpoint,
    write_checkpoint,
)
from rankprompt.cascade.training.config import TrainingConfig
from rankprompt.cascade.training.curves import write_curves
from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.llm.model_folders import digest, make_folder

__all__ = ["ParameterGroup", "Stage", "fit"]

log = logging.getLogger("rankprompt")

Example = TypeVar("Example")


class ParameterGroup(NamedTuple):
    """Parameters that Adam trains at the same learning rate."""

    parameters: list[nn.Parameter]
    rate: float


class Stage(Protocol[Example]):
    """A model in training, with its examples and its validation."""

    @property
    def model(self) -> nn.Module:
        """The model to train."""

    @property
    def examples(self) -> Sequence[Example]:
        """The examples to learn from."""

    @property
    def identity(self) -> Mapping[str, object]:
        """What the training depends on besides its config and examples; JSON values."""

    def groups(self) -> list[ParameterGroup]:
        """Returns the parameters to train, with their learning rates."""

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """Returns the loss of a batch, a scalar; lower is better."""

    def validate(self) -> dict[str, float]:
        """Returns measures of the model, ``ndcg@10`` among them; higher is better."""


def fit(
    stage: Stage[Example],
    config: TrainingConfig,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> TrainingState:
    """Trains a stage, and restores its model of the best validation at the end.

    The model is also validated before the first step, so training can only improve it. After each
    validation the folder holds a checkpoint. Called again, the training resumes from there and ends
    with the same weights, bit for bit, as one that was never interrupted: the order of an epoch and
    the dropout of a step depend only on the seed and the step's number.

    IDCM trains with Adam too (section 3.4); validation and early stopping are ours.

    Args:
        stage: The model and its examples.
        config: How to train.
        folder: Folder for ``checkpoint.safetensors``, ``curves.csv`` and ``curves.svg``.
        progress: Called with the number of steps done since its last call.

    Raises:
        InputError: There are no examples, or the folder holds a checkpoint of another training.
        ModelError: The loss is not finite.
    """
    if not stage.examples:
        raise InputError("there is nothing to learn from")
    make_folder(folder)
    path = folder / "checkpoint.safetensors"
    identity = _identity(stage, config)
    optimizer = torch.optim.Adam(
        [{"params": group.parameters, "lr": group.rate} for group in stage.groups()]
    )
    state = read_checkpoint(path, stage.model, optimizer, identity)
    if state.step:
        log.info("going on after step %d of %s", state.step, path)
    progress(state.step)
    started = time.perf_counter() - state.seconds
    epoch_steps = math.ceil(len(stage.examples) / config.batch)
    every = config.validate_every or epoch_steps
    losses: list[float] = []
    if not state.curve:
        _validate(stage, state, losses, config.measure)
    for step, batch in _batches(stage.examples, config, state.step):
        if state.stopped:
            break
        losses.append(_train_step(stage, optimizer, batch, config.seed, step))
        state.step = step
        progress(1)
        if step % every == 0 or step == epoch_steps * config.epochs:
            _validate(stage, state, losses, config.measure)
            state.stopped = state.stale >= config.patience
            state.seconds = time.perf_counter() - started
            write_checkpoint(path, state, stage.model, optimizer, identity)
            write_curves(folder, state.curve)
    stage.model.load_state_dict(state.best_model)
    stage.model.eval()
    return state


def _train_step(
    stage: Stage[Example],
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Example],
    seed: int,
    step: int,
) -> float:
    stage.model.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed * 1_000_003 + step)
        loss = stage.loss(batch)
    if not torch.isfinite(loss):
        raise ModelError(f"step {step}: the loss is {loss.item()}; lower the learning rate")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()


def _validate(
    stage: Stage[Example], state: TrainingState, losses: list[float], measure: str
) -> None:
    stage.model.eval()
    with torch.inference_mode():
        values = stage.validate()
    if measure not in values:
        raise UnknownNameError("measure to validate by", measure, values)
    loss = sum(losses) / len(losses) if losses else math.nan
    state.curve.append({"step": state.step, "loss": loss, **values})
    losses.clear()
    if state.best is None or values[measure] > state.best:
        state.best, state.stale = values[measure], 0
        state.best_model = {
            name: value.detach().clone() for name, value in stage.model.state_dict().items()
        }
    else:
        state.stale += 1


def _batches(
    examples: Sequence[Example], config: TrainingConfig, after: int
) -> Iterator[tuple[int, list[Example]]]:
    """The steps after the first ``after``, each with its number (from 1) and its batch."""
    step = 0
    for epoch in range(config.epochs):
        order = list(range(len(examples)))
        Random(f"{config.seed} {epoch}").shuffle(order)
        for start in range(0, len(order), config.batch):
            step += 1
            if step > after:
                yield step, [examples[i] for i in order[start : start + config.batch]]


def _identity(stage: Stage[Example], config: TrainingConfig) -> str:
    """A digest of the config, the stage and the examples; a checkpoint of another is refused."""
    content = json.dumps([asdict(config), stage.identity], sort_keys=True)
    examples = digest("\n".join(map(repr, stage.examples)).encode("utf-8", "surrogatepass"))
    return digest((content + examples).encode())
