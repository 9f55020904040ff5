"""Linear layers by oneDNN with prepacked weights, the quickest that torch has for x86 processors.

torch multiplies float32 with MKL, which does not use the wider instructions of AMD processors, and
in bfloat16 it decides anew at each call how to arrange the weight. oneDNN, in the same torch, uses
what the processor has, and takes weights that were arranged for it once. Its two operators are
those that torch's compiler writes for frozen weights. torch promises nothing about them, so each
use is tested first, and if the test fails the layers stay as they were.
"""

import logging
import platform
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["prepack", "product", "reorder", "trial_outputs"]

log = logging.getLogger("rankprompt")

M = TypeVar("M", bound=torch.nn.Module)

# The arrangement is chosen for a number of rows; from 36 on it is the same (1 row costs 10% more).
_ROWS = 256
_FORMATS = (torch.float32, torch.bfloat16)
_PROCESSORS = ("x86_64", "AMD64")


class _PrepackedLinear(torch.nn.Linear):
    """A linear layer whose weight ``reorder`` has arranged; for inference only."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002, torch's own name
        return product(input, self.weight, self.bias)


def prepack(model: M, trial: Callable[[M], torch.Tensor] | None = None) -> bool:
    """Prepacks the weights of a model's linear layers, in place, if this processor can use that.

    Takes no more memory than before, except for a head that shares its weight with the input
    embeddings and now gets its own. Outputs differ in the last bits of float32, and in bfloat16 not
    at all. The layers can no longer be trained or copied.

    Args:
        model: in float32 or bfloat16 (or both); a model on an accelerator is left as it is.
        trial: runs the model (``trial_outputs``) and returns what must stay the same. Some models
            read a layer's weight without calling the layer, which then fails; they are restored.

    Returns:
        Whether the weights are prepacked now.
    """
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    kinds = {(layer.weight.device.type, layer.weight.dtype) for layer in layers}
    if not layers or not all(device == "cpu" and _works(dtype) for device, dtype in kinds):
        return False
    with torch.inference_mode():
        before = trial(model).float() if trial else None
    for layer in layers:
        layer.weight = torch.nn.Parameter(reorder(layer.weight.detach()), requires_grad=False)
        layer.__class__ = _PrepackedLinear
    if trial is None or before is None:
        return True
    try:
        with torch.inference_mode():
            change = (trial(model).float() - before).abs().max()
        if float(change) <= 0.05 * float(before.abs().max()):
            return True
        log.debug("with prepacked weights this model answers otherwise")
    except (NotImplementedError, RuntimeError, TypeError) as error:
        log.debug("this model's weights cannot be prepacked: %s", str(error).splitlines()[0])
    for layer in layers:
        layer.__class__ = torch.nn.Linear
        layer.weight = torch.nn.Parameter(layer.weight.detach().to_dense(), requires_grad=False)
    return False


def trial_outputs(model: "PreTrainedModel") -> torch.Tensor:
    """Runs a transformers model on two rows of three tokens, and returns its first output."""
    ids = torch.tensor([[0, 1, 2], [2, 1, 0]], device=model.device)
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    outputs: torch.Tensor = model(input_ids=ids, **more)[0]
    return outputs


def reorder(weight: torch.Tensor) -> torch.Tensor:
    """Arranges a weight, [out, in], for ``product``."""
    reordered: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
    return reordered


def product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiplies rows, [..., in], by a weight from ``reorder``: [..., out]."""
    outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return outputs


@torch.inference_mode()
def _works(dtype: torch.dtype) -> bool:
    """Tests with a small product whether both operators exist and are right."""
    if dtype not in _FORMATS or platform.machine() not in _PROCESSORS:
        return False
    rows, weight, bias = (
        (torch.arange(size, dtype=torch.float32) % 7 - 3).view(*shape).to(dtype)
        for size, shape in ((10 * 32, (2, 5, 32)), (48 * 32, (48, 32)), (48, (48,)))
    )
    try:
        outputs = product(rows, reorder(weight), bias)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        log.debug("no products by oneDNN in %s: %s", dtype, str(error).splitlines()[0])
        return False
    # Small whole numbers: exact in either format, whatever the order of summing.
    return torch.equal(outputs.float(), torch.nn.functional.linear(rows, weight, bias).float())
