"""Tries at load how a model may be run, since a wrong way would change its answers unnoticed.

transformers takes padding, position ids and cached states for every architecture without complaint,
but not every architecture heeds them: RWKV reads left padding as text, and MPT counts the distance
to a cached token wrongly. So two short rows are run in each way, and compared with each row alone.
"""

import logging
import re
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from rankprompt.errors import ModelError
from rankprompt.llm.local.batches import pad_rows

__all__ = ["agrees", "changing_length", "heeds_padding", "row_logits", "trial_rows"]

log = logging.getLogger("rankprompt")

# How far logits may differ, as the root mean square of the differences over the logits' standard
# deviation. Correct ways differ by rounding: about 1e-6 in float32, and .02 in bfloat16.
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_TOLERANCE_HALF = 0.1
_LENGTHS = (64, 41)
_TOKEN_NAME = re.compile(r"token_(?:id|index)$")


def trial_rows(model: PreTrainedModel) -> list[list[int]]:
    """Returns two rows of ordinary tokens, 64 and 41, that begin alike."""
    config = model.config.get_text_config()
    special = {
        value
        for one in (model.config, config)
        for name, value in one.to_dict().items()
        if _TOKEN_NAME.search(name)
        if isinstance(value, int)
    }
    # The first tokens of a large vocabulary are often placeholders, of images too.
    first = 1000 if config.vocab_size > 10_000 else 3
    usable = [token for token in range(first, first + 500) if token not in special]
    usable = [token for token in usable if token < config.vocab_size] or [0]
    longest = [usable[(7 * place + place * place) % len(usable)] for place in range(_LENGTHS[0])]
    return [longest[: _LENGTHS[0]], [*longest[:20], *longest[: _LENGTHS[1] - 20]]]


def agrees(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether logits of a model in this number format are equal but for rounding."""
    change = (found.float() - expected.float()).square().mean().sqrt()
    tolerance = _TOLERANCE.get(dtype, _TOLERANCE_HALF)
    return bool(change <= tolerance * expected.float().std())


def row_logits(model: PreTrainedModel, row: Sequence[int]) -> torch.Tensor:
    """Runs one row as plainly as transformers allows: [tokens, vocabulary].

    An encoder-decoder gets the row as its input, and its first tokens as what it has written.
    """
    ids = torch.tensor([row], device=model.device)
    if model.config.is_encoder_decoder:
        logits = model(input_ids=ids, decoder_input_ids=ids[:, :8]).logits
    else:
        logits = model(input_ids=ids, use_cache=False).logits
    return torch.as_tensor(logits[0])


@torch.inference_mode()
def heeds_padding(model: PreTrainedModel, pad: int, name: str) -> bool:
    """Tries whether rows of different lengths can be run together, as ``Runner`` runs them.

    Raises:
        ModelError: not even a single row is answered as transformers alone answers it.
    """
    rows = trial_rows(model)
    expected = [row_logits(model, row) for row in rows]
    if not all(bool(logits.isfinite().all()) for logits in expected):
        raise ModelError(
            f"the logits of {name} are not numbers in {str(model.dtype).removeprefix('torch.')}; "
            "load it with another `dtype`"
        )
    if not _agree(_run_together(model, rows[:1], pad), expected[:1], model.dtype):
        raise ModelError(
            f"{name} cannot be run here: with a mask and position ids, which change nothing for a "
            "single row, it answers otherwise than without them"
        )
    try:
        found = _run_together(model, rows, pad)
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("this model cannot run rows of different lengths: %s", error)
        return False
    return _agree(found, expected, model.dtype)


def _agree(
    found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], dtype: torch.dtype
) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(agrees(one[-len(other) :], other, dtype) for one, other in pairs)


def _run_together(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], pad: int
) -> list[torch.Tensor]:
    if model.config.is_encoder_decoder:
        ids, mask, _ = pad_rows(rows, pad, model.device, right=True)
        decoded = torch.tensor([row[:8] for row in rows], device=model.device)
        logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=decoded).logits
    else:
        ids, mask, _ = pad_rows(rows, pad, model.device)
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
        ).logits
    return list(logits)


def changing_length(model: PreTrainedModel) -> int | None:
    """Returns the length past which a model encodes all positions otherwise; None for none.

    In rotary embeddings of the types "longrope" and "dynamic", the frequencies depend on the
    longest row of a batch, so that a row past this length must be run whole, and alone.
    """
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    lengths = []
    for one in (rope, *rope.values()):
        kind = str(one.get("rope_type", "")) if isinstance(one, dict) else ""
        if kind == "longrope":
            lengths.append(one.get("original_max_position_embeddings"))
        elif "dynamic" in kind:
            lengths.append(config.max_position_embeddings)
    return min((length for length in lengths if isinstance(length, int)), default=None)
