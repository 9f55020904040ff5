"""A training as it stands after a validation: one safetensors file, no pickle.

Tensors are the model's, the best model's so far, and Adam's moments; all else (the step, the curve)
is JSON in the file's metadata. No random state is kept, because there is none: see ``loop``.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from rankprompt.cascade.model_folders import write_bytes
from rankprompt.errors import InputError

__all__ = ["Progress", "read_checkpoint", "write_checkpoint"]


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        best: the best value of the validation's measure so far; None before the first.
        stale: validations since then.
        curve: a row a validation.
        seconds: spent so far.
        stopped: it has ended early.
        best_model: the model's tensors at the best validation.
    """

    step: int = 0
    best: float | None = None
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False
    best_model: dict[str, torch.Tensor] = field(default_factory=dict)


def write_checkpoint(
    path: Path, progress: Progress, model: Any, optimizer: torch.optim.Optimizer, identity: str
) -> None:
    """Writes a checkpoint.

    Args:
        path: the file.
        progress: how far the training is.
        model: its state is kept.
        optimizer: so is its.
        identity: of the training: settings and data.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best_model.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": value for name, value in moments.items()}
    state = {name: value for name, value in vars(progress).items() if name != "best_model"}
    # Copies: safetensors refuses tensors that share their memory, as tied weights do.
    content = save(
        {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()},
        {"identity": identity, "state": json.dumps(state)},
    )
    write_bytes(path, content)


def read_checkpoint(
    path: Path, model: Any, optimizer: torch.optim.Optimizer, identity: str
) -> Progress:
    """Brings a model and its optimizer to where a checkpoint left them; a new training, if none is.

    Raises:
        InputError: the checkpoint is of another training, or damaged.
    """
    if not path.exists():
        return Progress()
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        same, state = metadata["identity"] == identity, json.loads(metadata["state"])
        if same:
            _restore(tensors, model, optimizer)
            return Progress(**state, best_model=_part(tensors, "best."))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: the checkpoint is damaged ({reason}); remove it to begin anew"
        ) from error
    raise InputError(
        f"{path}: a checkpoint of a training with other settings or data; name another --output, "
        "or remove it to begin anew"
    )


def _restore(
    tensors: dict[str, torch.Tensor], model: Any, optimizer: torch.optim.Optimizer
) -> None:
    model.load_state_dict(_part(tensors, "model."))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _part(tensors, "adam.").items():
        number, moment = name.split(".")
        state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: it for name, it in tensors.items() if name.startswith(prefix)}
