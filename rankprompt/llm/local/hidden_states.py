"""The hidden states of a causal language model at the last token of a prompt."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from rankprompt.errors import ModelError
from rankprompt.llm.base import Usage
from rankprompt.llm.local.batches import pad_rows

__all__ = ["last_states", "layers_of"]


class _ReachedError(Exception):
    """The last layer that is read has been run."""


def last_states(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], pad: int, layers: Sequence[int]
) -> tuple[list[npt.NDArray[np.float32]], Usage]:
    """Reads the hidden states of some layers at the last token of each row of one batch.

    Rows are padded on the right, where no token of a causal model sees it. Layers after the last
    one that is read are not run.

    Args:
        model: in evaluation mode.
        rows: the tokens of each row.
        pad: the padding token.
        layers: numbers of layers, from 1; a layer's state is its output, before any final norm.

    Returns:
        An array for each row, shape (layers, hidden size); and the usage.

    Raises:
        ModelError: the model has no such layer; or as ``layers_of``.
    """
    stack = layers_of(model)
    if not all(1 <= layer <= len(stack) for layer in layers):
        raise ModelError(f"no such layer: {max(layers)} of a model of {len(stack)} layers")
    ids, mask, usage = pad_rows(rows, pad, model.device, right=True)
    last = torch.tensor([len(row) - 1 for row in rows], device=model.device)
    at = torch.arange(len(rows), device=model.device)
    found: dict[int, torch.Tensor] = {}
    deepest = max(layers)

    def keep(layer: int, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        found[layer] = states[at, last].float()
        if layer == deepest:
            raise _ReachedError

    with ExitStack() as hooks:
        for layer in set(layers):
            handle = stack[layer - 1].register_forward_hook(
                lambda _, __, output, layer=layer: keep(layer, output)
            )
            hooks.callback(handle.remove)
        with suppress(_ReachedError):
            model(input_ids=ids, attention_mask=mask, use_cache=False)
    states = torch.stack([found[layer] for layer in layers], dim=1).cpu().numpy()
    return list(states), usage


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The layers of a model: the list of as many modules as its configuration says.

    Raises:
        ModelError: the model is an encoder-decoder, or its layers cannot be told.
    """
    if model.config.is_encoder_decoder:
        raise ModelError("no head can be put on an encoder-decoder; name a causal language model")
    number = model.config.get_text_config().num_hidden_layers
    for module in model.get_decoder().modules():
        if isinstance(module, nn.ModuleList) and len(module) == number:
            return module
    raise ModelError("the layers of this model cannot be told: no head can be put on one")
