"""Trains a LoRA adapter by a teacher's preferences, with validation, early stop and resumption.

Chance plays a part in the weights that an adapter begins with and in the order of pairs alone, and
both depend on the seed and on nothing before: a training that goes on after a step comes to the
weights of one that was never interrupted.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from rankprompt.cascade.training.checkpoint import (
    TrainingState,
    read_checkpoint,
    write_checkpoint,
)
from rankprompt.distil.lora_batches import Batch, Step
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_lessons import PromptRow, log_odds
from rankprompt.distil.lora_schedule import LoraLessons, Schedule
from rankprompt.errors import ModelError
from rankprompt.llm.local.trainable import TrainableModel
from rankprompt.llm.model_folders import digest

__all__ = ["best_row", "make_optimizer", "train", "train_step"]

log = logging.getLogger("rankprompt")

# LoRA's rank, and what its product is multiplied by: alpha over rank (arXiv 2106.09685).
_RANK, _SCALE = 16, 2
_WEIGHT_DECAY, _LARGEST_GRADIENT = 0.01, 1.0
# So many validations without a gain end the training.
_PATIENCE = 8
# A checkpoint is written so often, in seconds, besides after each validation.
_OFTEN = 300.0


def make_optimizer(model: TrainableModel, seed: int) -> torch.optim.Optimizer:
    """Puts a new adapter on a model, and returns what trains it."""
    model.add_adapter(_RANK, _SCALE, seed)
    return torch.optim.AdamW(model.weights.parameters(), weight_decay=_WEIGHT_DECAY)


def train(
    model: TrainableModel,
    lessons: LoraLessons,
    config: LoraConfig,
    seed: int,
    path: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> TrainingState:
    """Trains a new adapter on a model, which then has the weights of the best validation.

    The best is the one with most pairs right, and among these with the lowest loss. The adapter is
    validated before the first step, too, when it changes nothing.

    Args:
        model: without an adapter.
        lessons: what it learns, and validates on.
        config: how.
        seed: of the weights that the adapter begins with, and of the order of pairs.
        path: the checkpoint's file; where it is there, the training goes on from it.
        advance: called with the tokens read since its last call, as ``Schedule.tokens`` counts.

    Returns:
        The state at the end. Its curve has a row for each step: ``step``, ``rate`` and ``loss``;
        and where the adapter was validated, ``held_out``, the share of pairs right by the mean of
        both orders, ``held_out_loss``, and for prompts that show both documents ``shown_first``,
        the share of answers that prefer the document shown first, and ``inconsistent``, that of the
        pairs with both answers for the same place.

    Raises:
        InputError: the checkpoint is damaged, of another training, or cannot be written.
        ModelError: the loss is not finite.
    """
    schedule = Schedule(lessons, config, seed)
    optimizer = make_optimizer(model, seed)
    weights = model.weights
    identity = _identity(model, lessons, config, seed)
    state = read_checkpoint(path, weights, optimizer, identity)
    started = time.monotonic() - state.seconds
    written = time.monotonic()

    def save() -> None:
        nonlocal written
        state.seconds = time.monotonic() - started
        write_checkpoint(path, state, weights, optimizer, identity)
        written = time.monotonic()

    if state.step:
        log.info("going on after step %d of %d, from %s", state.step, len(schedule.steps), path)
        validations = sum("held_out" in row for row in state.curve)
        done = sum(map(schedule.tokens_of, schedule.steps[: state.step]))
        advance(done + validations * schedule.validation_tokens)
    else:
        _validate(model, lessons, schedule, state, {"step": 0, "rate": 0.0, "loss": math.nan})
        advance(schedule.validation_tokens)
    for number, step in enumerate(schedule.steps, 1):
        if number <= state.step:
            continue
        if state.stopped:
            break
        rate = schedule.rate(number)
        loss = train_step(model, lessons.rows, optimizer, step, rate)
        if not math.isfinite(loss):
            raise ModelError(
                f"step {number}: the loss or its gradient is not a number; try a lower "
                f"`learning_rate` than {config.learning_rate:g}"
                + (f" (and remove {path}, which holds step {state.step})" if path.exists() else "")
            )
        state.step = number
        advance(schedule.tokens_of(step))
        row = {"step": number, "rate": rate, "loss": loss}
        if number % schedule.every == 0 or number == len(schedule.steps):
            _validate(model, lessons, schedule, state, row)
            advance(schedule.validation_tokens)
            state.stopped = state.stale >= _PATIENCE
            save()
        else:
            state.curve.append(row)
            if time.monotonic() - written > _OFTEN:
                save()
    weights.load_state_dict(state.best_model)
    return state


def train_step(
    model: TrainableModel,
    rows: Sequence[PromptRow],
    optimizer: torch.optim.Optimizer,
    step: Step,
    rate: float,
) -> float:
    """Makes a step, and returns the loss before it; not a number where the step was not made."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    terms = sum(len(batch.terms) for batch in step)
    total = 0.0
    for batch in step:
        loss = _loss(model, rows, batch) / terms
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    parameters = optimizer.param_groups[0]["params"]
    norm = torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
    if not (math.isfinite(total) and bool(norm.isfinite())):
        return math.nan
    optimizer.step()
    return total


def _loss(model: TrainableModel, rows: Sequence[PromptRow], batch: Batch) -> torch.Tensor:
    """The sum of a batch's terms."""
    odds = log_odds(model, [rows[one] for one in batch.prompts])
    first, second, preference = zip(*batch.terms, strict=True)
    difference = odds[list(first)]
    if None not in second:
        difference = difference - odds[list(second)]
    target = torch.tensor(preference, device=odds.device)
    return binary_cross_entropy_with_logits(difference, target, reduction="sum")


@torch.no_grad()
def _validate(
    model: TrainableModel,
    lessons: LoraLessons,
    schedule: Schedule,
    state: TrainingState,
    row: dict[str, float],
) -> None:
    """Validates, and keeps the weights where they are the best so far."""
    pairs = schedule.validated
    prompts = list(dict.fromkeys(one for pair in pairs for one in pair.prompts))
    odds = dict(zip(prompts, log_odds(model, [lessons.rows[n] for n in prompts]), strict=True))
    first, second = (torch.stack([odds[one.prompts[place]] for one in pairs]) for place in (0, 1))
    preference = torch.tensor([one.preference for one in pairs], device=first.device)
    if lessons.ordered:
        chances = (first.sigmoid() + (-second).sigmoid()) / 2 - 0.5
        # Of both orders; the second one's first document is the pair's second one.
        loss = (_entropy(first, preference) + _entropy(-second, preference)).mean() / 2
        row["shown_first"] = float(((first > 0).float() + (second > 0).float()).mean() / 2)
        row["inconsistent"] = float(((first > 0) == (second > 0)).float().mean())
    else:
        chances = first - second
        loss = _entropy(chances, preference).mean()
    gain = chances.sign() * (preference - 0.5).sign()
    row["held_out"], row["held_out_loss"] = float(((gain + 1) / 2).mean()), float(loss)
    state.curve.append(row)
    if best_row(state.curve) is row:  # of equal ones the first is the best
        state.best, state.stale = row["held_out"], 0
        state.best_model = {
            name: value.detach().clone() for name, value in model.weights.state_dict().items()
        }
    else:
        state.stale += 1
    log.info("%s", _told(row, state, len(schedule.steps)))


def best_row(curve: Sequence[dict[str, float]]) -> dict[str, float]:
    """The validated row with most pairs right, among these the first with the lowest loss."""
    validated = (row for row in curve if "held_out" in row)
    return max(validated, key=lambda row: (row["held_out"], -row["held_out_loss"]))


def _entropy(odds: torch.Tensor, preference: torch.Tensor) -> torch.Tensor:
    return -(preference * logsigmoid(odds) + (1 - preference) * logsigmoid(-odds))


def _told(row: dict[str, float], state: TrainingState, steps: int) -> str:
    since = list(_losses(state.curve))
    loss = f"loss {sum(since) / len(since):.3f}, " if since else ""
    bias = f", {row['inconsistent']:.2f} by their place" if "inconsistent" in row else ""
    return (
        f"step {row['step']:.0f} of {steps}: {loss}held out {row['held_out_loss']:.3f}, "
        f"{row['held_out']:.3f} of the pairs right{bias}"
    )


def _losses(curve: Sequence[dict[str, float]]) -> Iterator[float]:
    """The losses since the validation before the last one."""
    for place, row in enumerate(reversed(curve)):
        if place and "held_out" in row:
            return
        if math.isfinite(row["loss"]):
            yield row["loss"]


def _identity(model: TrainableModel, lessons: LoraLessons, config: LoraConfig, seed: int) -> str:
    """A digest of all that the weights depend on; a checkpoint of another one is refused."""
    settings = [
        asdict(config), seed, model.fingerprint, model.dtype, _RANK, _SCALE, lessons.ordered,
        len(lessons.learned),
    ]  # fmt: skip
    taught = digest(repr([*lessons.learned, *lessons.held_out]).encode("utf-8", "surrogatepass"))
    rows = digest(repr(list(lessons.rows)).encode())
    return digest(json.dumps([settings, taught, rows]).encode())
