"""Where a model's weights go, which is decided before they are read."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rankprompt.errors import ModelError
from rankprompt.llm.local.hub_folders import cached_folder, hub_tensors
from rankprompt.llm.local.memory import (
    StoredTensor,
    free_bytes,
    gib,
    loaded_bytes,
    stored_tensors,
)
from rankprompt.llm.local.variant import Variant

__all__ = ["place", "placement"]

log = logging.getLogger("rankprompt")


def placement(
    name: str, source: str, *, dtype: torch.dtype, device: torch.device, variant: Variant
) -> dict[str, Any]:
    """Returns further arguments of ``from_pretrained``: where the weights go.

    Args:
        name: the model's, for messages.
        source: a folder or a hub id.
        dtype: number format of the weights.
        device: as in ``load_pair``.
        variant: the model's.

    Raises:
        ModelError: there is too little room for them.
    """
    folder: Path | None = Path(source)
    if not Path(source).is_dir():
        folder = cached_folder(source, revision=variant.revision)
    tensors = folder and stored_tensors(folder)
    if not tensors and not Path(source).is_dir():
        tensors = [StoredTensor(*one) for one in hub_tensors(source, variant.revision)]
    chosen: str | torch.device = device
    if tensors:
        need, free = loaded_bytes(tensors, dtype, variant.quantize), free_bytes(device)
        advice = _advice(tensors, dtype, device, variant)
        chosen = place(name, need, device, free, advice=advice)
        if chosen == "auto":
            log.info("%s is spread over %d cards", name, len(free))
            return {"device_map": "auto", "max_memory": dict(enumerate(free))}
    return {} if device.type == "cpu" else {"device_map": chosen}


def place(
    name: str, need: int, device: torch.device, free: Sequence[int], *, advice: str = ""
) -> str | torch.device:
    """Chooses where weights go: on one device, or where no card was named, over all cards.

    Args:
        name: the model's, for messages.
        need: the bytes of its weights.
        device: the device that was asked for.
        free: as ``free_bytes`` returns it.
        advice: what else would help, for messages.

    Returns:
        The device, or "auto" for all cards.

    Raises:
        ModelError: there is too little room; the message has both sizes.

    Examples:
        >>> import torch
        >>> from rankprompt.llm.local.placement import place
        >>> place("org/large", 60 << 30, torch.device("cuda"), [40 << 30, 40 << 30])
        'auto'
    """
    if not free or need <= free[0]:
        return device
    if device.index is None and len(free) > 1 and need <= sum(free):
        return "auto"
    cards = f"{len(free)} cards have together" if len(free) > 1 else f"{device} has"
    raise ModelError(
        f"{name} takes {gib(need)} and {cards} {gib(sum(free))} free: take a smaller model{advice}"
    )


def _advice(
    tensors: Sequence[StoredTensor], dtype: torch.dtype, device: torch.device, variant: Variant
) -> str:
    if device.type == "cuda" and not variant.quantize:
        return f", or `quantize` 4bit, which takes {gib(loaded_bytes(tensors, dtype, '4bit'))}"
    if dtype.itemsize > 2:
        return ", or `dtype` bfloat16, which takes about half"
    return ""
