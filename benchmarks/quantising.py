"""Eight-bit integers in place of a model's linear layers, for benchmarks/formats.py to measure.

Of what torch offers on a processor without more packages this was the best in a trial: quicker than
weights alone in int8, and, unlike torch's own dynamic quantisation, with a scale for each token, so
that an answer does not depend on the largest number in its batch.
"""

import math
from typing import Any

import torch

__all__ = ["Int8Linear", "quantise"]

# The largest integer of eight bits that has a negative twin.
_LARGEST = 127


class Int8Linear(torch.nn.Module):
    """A linear layer that multiplies integers: weights scaled by output, inputs by token.

    Args:
        layer: the layer to do the work of, in float32 and without a bias.
    """

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        scale = _scale(weight)
        self.register_buffer("weight", _round(weight, scale))  # [outputs, inputs]
        self.register_buffer("scale", scale.flatten())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The outputs, [..., outputs], of inputs [..., inputs]; both float32."""
        tokens = inputs.flatten(0, -2)
        scale = _scale(tokens)
        products = torch._int_mm(_round(tokens, scale), self.weight.t())
        outputs = products.float().mul_(scale).mul_(self.scale)
        return outputs.view(*inputs.shape[:-1], -1)


def quantise(model: Any) -> None:
    """Replaces all linear layers of a model but the last projection, onto the words."""
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is torch.nn.Linear and layer is not head:
                setattr(parent, name, Int8Linear(layer))


def _scale(rows: torch.Tensor) -> torch.Tensor:
    """What a step of a row's integers is worth, [rows, 1]; above zero, for rows of zeros."""
    largest: torch.Tensor = torch.linalg.vector_norm(rows, math.inf, dim=-1, keepdim=True)
    return largest.clamp_(min=1e-30).div_(_LARGEST)


def _round(rows: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return rows.div(scale).round_().to(torch.int8)
