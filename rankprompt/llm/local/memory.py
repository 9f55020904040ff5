"""What a model's weights take, told by their headers, and what is free."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rankprompt.llm.local.machine import available_memory

__all__ = ["StoredTensor", "free_bytes", "gib", "loaded_bytes", "stored_tensors"]

_FLOATS = ("F64", "F32", "F16", "BF16")
_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2,
          "I16": 2, "U16": 2}  # fmt: skip
# Bytes of a number: bitsandbytes keeps a float32 scale for each 64 numbers of 4 bits.
_QUANTIZED = {"4bit": 0.5 + 4 / 64, "8bit": 1.0}
# Their tokens are looked up, or their outputs are what is read: bitsandbytes leaves them alone.
_UNQUANTIZED = ("embed", "lm_head", "wte")
_LONGEST_HEADER = 100 << 20


class StoredTensor(NamedTuple):
    """A tensor of a safetensors file: its name, the file's name of its format, and its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def stored_tensors(folder: Path) -> list[StoredTensor] | None:
    """Lists the tensors of a model's safetensors files by their headers alone.

    Returns:
        None where the folder has no such weights, or they cannot be read so.
    """
    try:
        index = folder / "model.safetensors.index.json"
        names = {"model.safetensors"}
        if index.is_file():
            names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return [tensor for name in sorted(names) for tensor in _tensors(folder / name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # transformers says what is wrong


def _tensors(path: Path) -> Iterator[StoredTensor]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _LONGEST_HEADER:
            raise ValueError("no header of safetensors")
        header: Mapping[str, Any] = json.loads(file.read(size))
    for name, entry in header.items():
        if name != "__metadata__":
            yield StoredTensor(name, entry["dtype"], tuple(map(int, entry["shape"])))


def loaded_bytes(
    tensors: Sequence[StoredTensor], dtype: torch.dtype, quantize: str | None = None
) -> int:
    """Counts the bytes of weights once they are loaded in a number format.

    Args:
        tensors: as they are stored.
        dtype: of all numbers with a fraction; others keep their size. In a shorter format than
            float32, the head is in float32 as well, since logits are computed in that.
        quantize: as in ``Variant``.
    """
    total = 0.0
    heads = {tensor.name: 0 for tensor in tensors if len(tensor.shape) == 2}
    for name, stored, shape in tensors:
        count = math.prod(shape)
        floating = stored in _FLOATS
        size: float = dtype.itemsize if floating else _BYTES.get(stored, 1)
        kept = any(part in name for part in _UNQUANTIZED)
        if quantize and floating and len(shape) == 2 and not kept:
            size = _QUANTIZED[quantize]
        total += count * size
        if floating and kept and name in heads:
            heads[name] = count
    if dtype != torch.float32:
        total += 4 * max(heads.values(), default=0)
    return math.ceil(total)


def free_bytes(device: torch.device) -> list[int]:
    """Returns the free memory of a device in bytes; of each card where no card is named.

    Empty where it is not known.
    """
    if device.type == "cpu":
        free = available_memory()
        return [] if free is None else [free]
    try:
        torch.accelerator.empty_cache()  # what torch keeps for later counts as free
        cards = range(torch.accelerator.device_count()) if device.index is None else [device]
        return [torch.accelerator.get_memory_info(card)[0] for card in cards]
    except (RuntimeError, AttributeError, ValueError):
        return []


def gib(size: int) -> str:
    """Returns a size for people."""
    return f"{size / (1 << 30):.1f} GiB"
