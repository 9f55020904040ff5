"""A model's linear layers, as an x86 processor multiplies them quickest.

torch multiplies float32 with MKL, which leaves AMD processors' wider instructions unused, and in
bfloat16 it looks up anew at each call how a weight is to lie. oneDNN is at hand in the same torch:
its kernels take what the processor has, and a weight can be laid out for them once. The two
operators are those that torch's own compiler writes for frozen weights; torch promises nothing of
them to others, so each use is tried first, and without them the layers stay as they were.
"""

import logging
import platform
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["few_outputs", "lay_out"]

log = logging.getLogger("rankprompt")

# The layout is chosen for a number of rows; from 36 on the same serves all (and 1 costs a tenth).
_ROWS = 256
_FORMATS = (torch.float32, torch.bfloat16)
_PROCESSORS = ("x86_64", "AMD64")


class _Laid(torch.nn.Linear):
    """A linear layer whose weight lies as oneDNN takes it; for inference alone."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002, torch's own name
        return _product(input, self.weight, self.bias)


def lay_out(model: Any, trial: Callable[[Any], torch.Tensor] | None = None) -> bool:
    """Lays out the weights of a model's linear layers, in place, where that is possible.

    Some models reach for a layer's weight past the layer, which then fails: so they are tried, and
    left as they were if they do.

    Takes no more memory than before, but for a head that shares its weight with the input
    embeddings: it gets one of its own. The answers differ in the last bits of float32, and in
    bfloat16 not at all. The layers can no longer be trained or copied.

    Args:
        model: in float32 or bfloat16 (or both); one on an accelerator is left as it is.
        trial: has the model answer something (``few_outputs``), and gives what must stay the same.

    Returns:
        Whether it did.
    """
    layers = [one for one in model.modules() if type(one) is torch.nn.Linear]
    kinds = {(one.weight.device.type, one.weight.dtype) for one in layers}
    if not layers or not all(where == "cpu" and _works(dtype) for where, dtype in kinds):
        return False
    before = _answer(model, trial) if trial else None
    for one in layers:
        one.weight = torch.nn.Parameter(_reordered(one.weight.detach()), requires_grad=False)
        one.__class__ = _Laid
    if trial is None or before is None:
        return True
    try:
        if float((_answer(model, trial) - before).abs().max()) <= 0.05 * float(before.abs().max()):
            return True
        log.debug("with weights laid out this model answers otherwise")
    except (NotImplementedError, RuntimeError, TypeError) as error:
        log.debug("this model's weights cannot be laid out: %s", str(error).splitlines()[0])
    for one in layers:
        one.__class__ = torch.nn.Linear
        one.weight = torch.nn.Parameter(one.weight.detach().to_dense(), requires_grad=False)
    return False


def few_outputs(model: Any) -> torch.Tensor:
    """What a transformers model answers to two rows of three tokens: its first output."""
    ids = torch.tensor([[0, 1, 2], [2, 1, 0]], device=model.device)
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    found: torch.Tensor = model(input_ids=ids, **more)[0]
    return found


@torch.inference_mode()
def _answer(model: Any, trial: Callable[[Any], torch.Tensor]) -> torch.Tensor:
    return trial(model).float()


def _reordered(weight: torch.Tensor) -> torch.Tensor:
    """A weight, [out, in], for ``_product``."""
    found: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
    return found


def _product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Rows, [..., in], times a weight that ``_reordered`` gave: [..., out]."""
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return found


@torch.inference_mode()
def _works(dtype: torch.dtype) -> bool:
    """Whether the two operators are there and right, by a small product."""
    if dtype not in _FORMATS or platform.machine() not in _PROCESSORS:
        return False
    rows, weight, bias = (
        (torch.arange(size, dtype=torch.float32) % 7 - 3).view(*shape).to(dtype)
        for size, shape in ((10 * 32, (2, 5, 32)), (48 * 32, (48, 32)), (48, (48,)))
    )
    try:
        found = _product(rows, _reordered(weight), bias)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        log.debug("no products by oneDNN in %s: %s", dtype, str(error).splitlines()[0])
        return False
    # Small whole numbers: exact in either format, whatever the order of summing.
    return torch.equal(found.float(), torch.nn.functional.linear(rows, weight, bias).float())
