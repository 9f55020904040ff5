"""The loop that all three stages share: Adam, validation, early stop, exact resume."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import torch

from rankprompt.cascade.model_folders import digest, make_folder
from rankprompt.cascade.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from rankprompt.cascade.training.curves import write_curves
from rankprompt.errors import InputError, ModelError, UnknownNameError

__all__ = ["Stage", "TrainingSettings", "fit"]

log = logging.getLogger("rankprompt")


@dataclass(frozen=True)
class TrainingSettings:
    """How a stage is trained.

    Attributes:
        epochs: passes over the examples, at the most.
        batch: examples a step (IDCM: 32).
        patience: validations without a better value before it stops.
        validate_every: steps between validations, and checkpoints; 0 for once an epoch.
        seed: of the order of examples, and of dropout.
        measure: of those that the stage validates by, the one that says which model is the best.
    """

    epochs: int = 5
    batch: int = 32
    patience: int = 3
    validate_every: int = 0
    seed: int = 0
    measure: str = "ndcg@10"


class Stage(Protocol):
    """What is trained, and on what.

    Attributes:
        model: whose state is kept.
        examples: to learn from.
        identity: what the training depends on beside its settings and examples, JSON.
    """

    model: Any
    examples: Sequence[Any]
    identity: dict[str, Any]

    def groups(self) -> list[dict[str, Any]]:
        """Adam's groups of parameters, each with its learning rate ``lr``."""
        ...

    def loss(self, batch: Sequence[Any]) -> torch.Tensor:
        """The loss of a batch, a scalar."""
        ...

    def validate(self) -> dict[str, float]:
        """Measures of the model as it stands, ``ndcg@10`` among them; higher is better."""
        ...


def fit(
    stage: Stage,
    settings: TrainingSettings,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Progress:
    """Trains a stage, and leaves its model as it was at the best validation.

    The model is validated before the first step, too, so that training can only improve it. After
    each validation the folder holds a checkpoint; called again, the training goes on from there
    and ends with the same weights, bit for bit, as one that was never interrupted. For that, the
    order of an epoch and a step's dropout depend on the seed and the step's number alone.

    Args:
        stage: what is trained.
        settings: how.
        folder: for ``checkpoint.safetensors``, ``curves.csv`` and ``curves.svg``.
        progress: called with the number of steps done since the last call.

    Raises:
        InputError: there are no examples, a setting is out of range, or the folder holds a
            checkpoint of another training.
        ModelError: the loss is not finite.
    """
    _check(stage, settings)
    make_folder(folder)
    path = folder / "checkpoint.safetensors"
    identity = _identify(stage, settings)
    optimizer = torch.optim.Adam(stage.groups())
    done = read_checkpoint(path, stage.model, optimizer, identity)
    if done.step:
        log.info("going on after step %d of %s", done.step, path)
    progress(done.step)
    started = time.perf_counter() - done.seconds
    a_pass = math.ceil(len(stage.examples) / settings.batch)
    every = settings.validate_every or a_pass
    losses: list[float] = []
    if not done.curve:
        _validate(stage, done, losses, settings.measure)
    for step, batch in _batches(stage.examples, settings, done.step):
        if done.stopped:
            break
        losses.append(_step(stage, optimizer, batch, settings.seed, step))
        done.step = step
        progress(1)
        if step % every == 0 or step == a_pass * settings.epochs:
            _validate(stage, done, losses, settings.measure)
            done.stopped = done.stale >= settings.patience
            done.seconds = time.perf_counter() - started
            write_checkpoint(path, done, stage.model, optimizer, identity)
            write_curves(folder, done.curve)
    stage.model.load_state_dict(done.best_model)
    stage.model.eval()
    return done


def _step(
    stage: Stage, optimizer: torch.optim.Optimizer, batch: Sequence[Any], seed: int, step: int
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


def _validate(stage: Stage, done: Progress, losses: list[float], measure: str) -> None:
    stage.model.eval()
    with torch.inference_mode():
        found = stage.validate()
    if measure not in found:
        raise UnknownNameError("measure to validate by", measure, found)
    loss = sum(losses) / len(losses) if losses else math.nan
    done.curve.append({"step": done.step, "loss": loss, **found})
    losses.clear()
    if done.best is None or found[measure] > done.best:
        done.best, done.stale = found[measure], 0
        done.best_model = {
            name: value.detach().clone() for name, value in stage.model.state_dict().items()
        }
    else:
        done.stale += 1


def _batches(
    examples: Sequence[Any], settings: TrainingSettings, after: int
) -> Iterator[tuple[int, list[Any]]]:
    """The steps after the first ``after``, each with its number (from 1) and its batch."""
    step = 0
    for epoch in range(settings.epochs):
        order = list(range(len(examples)))
        Random(f"{settings.seed} {epoch}").shuffle(order)
        for start in range(0, len(order), settings.batch):
            step += 1
            if step > after:
                yield step, [examples[i] for i in order[start : start + settings.batch]]


def _check(stage: Stage, settings: TrainingSettings) -> None:
    if not stage.examples:
        raise InputError("there is nothing to learn from")
    for name in ("epochs", "batch", "patience"):
        if getattr(settings, name) < 1:
            raise InputError(f"{name} must be 1 or more, not {getattr(settings, name)}")
    if settings.validate_every < 0:
        raise InputError(f"validate_every must be 0 or more, not {settings.validate_every}")


def _identify(stage: Stage, settings: TrainingSettings) -> str:
    content = json.dumps([asdict(settings), stage.identity], sort_keys=True)
    examples = digest("\n".join(map(repr, stage.examples)).encode("utf-8", "surrogatepass"))
    return digest((content + examples).encode())
