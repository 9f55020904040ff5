"""The state of a training after a validation, in a safetensors file (no pickle).

The tensors are the model's, the best model's so far, and Adam's moments. Everything else (the step,
the curve) is JSON in the file's metadata. No random state is stored, because ``loop`` needs none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from rankprompt.errors import InputError
from rankprompt.files import write_atomically
from rankprompt.files.json_schema import parse_as

__all__ = ["TrainingState", "read_checkpoint", "write_checkpoint"]


@dataclass
class TrainingState:
    """How far a training has come. The fields are the checkpoint's keys.

    Attributes:
        step: Steps done.
        best: The best value of the validation measure so far; None before the first validation.
        stale: Validations since the best one.
        curve: A row for each validation: step, loss and measures.
        seconds: Seconds spent so far.
        stopped: Whether training has stopped early.
        best_model: The model's tensors at the best validation.
    """

    step: int = 0
    best: float | None = None
    stale: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False
    best_model: dict[str, torch.Tensor] = field(default_factory=dict)

    def best_row(self, measure: str) -> dict[str, float]:
        """Returns the first row of the curve with the highest value of a measure."""
        return max(self.curve, key=lambda row: row[measure])


@dataclass(frozen=True)
class _Fields:
    step: int
    best: float | None
    stale: int
    curve: list[dict[str, int | float]]
    seconds: float
    stopped: bool

    def __post_init__(self) -> None:
        if min(self.step, self.stale, self.seconds) < 0:
            raise ValueError("a number is below 0")


def write_checkpoint(
    path: Path,
    state: TrainingState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: str,
) -> None:
    """Writes a checkpoint; ``identity`` is a digest of the training's settings and data.

    Raises:
        InputError: The file cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best_model.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": value for name, value in moments.items()}
    fields = {name: value for name, value in vars(state).items() if name != "best_model"}
    # Copies: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    text = json.dumps(fields)
    metadata = {"identity": identity, "state": text, "digest": _digest(tensors, text)}
    write_atomically(path, save(tensors, metadata))


def read_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: str
) -> TrainingState:
    """Restores a model and its optimizer from a checkpoint, if there is one.

    Returns:
        The stored state, or the state of a new training.

    Raises:
        InputError: The checkpoint belongs to another training, or is damaged.
    """
    if not path.exists():
        return TrainingState()
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["identity"] == identity:
            stored = parse_as(_Fields, metadata["state"])
            if metadata["digest"] != _digest(tensors, metadata["state"]):
                raise ValueError("the tensors do not match their digest")
            _restore(tensors, model, optimizer)
            return TrainingState(**vars(stored), best_model=_with_prefix(tensors, "best."))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: the checkpoint is damaged ({reason}); remove it to begin anew"
        ) from error
    raise InputError(
        f"{path}: a checkpoint of a training with other settings or data; choose another `output`, "
        "or remove it to begin anew"
    )


def _restore(
    tensors: Mapping[str, torch.Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    model.load_state_dict(_with_prefix(tensors, "model."))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _with_prefix(tensors, "adam.").items():
        number, moment = name.split(".")
        moments.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _digest(tensors: Mapping[str, torch.Tensor], state: str) -> str:
    digest = blake2b(state.encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
