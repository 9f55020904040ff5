"""Tries at load how a model may be run, since a wrong way would change its answers unnoticed.

transformers takes padding, position ids and cached states for every architecture without complaint,
but not every architecture heeds them: RWKV reads left padding as text, and MPT counts the distance
to a cached token wrongly. So two short rows are run in each way, and compared with each row alone.
"""

import logging
import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError
from rankprompt.llm.local.batches import pad_rows

__all__ = ["Trial", "agrees", "changing_length", "heeds_padding", "trial", "writes_space"]

log = logging.getLogger("rankprompt")

# How far logits may differ, as the root mean square of the differences over the logits' standard
# deviation. Correct ways differ by rounding, about 1e-6 in float32 and up to .08 in bfloat16 where
# a deep model reads no proper text; wrong ways (RWKV, MPT) by .4 and more.
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_TOLERANCE_HALF = 0.25
_LENGTHS = (40, 24)
_ALIKE = 12
_TOKEN_NAME = re.compile(r"token_(?:id|index)$")


class Trial(NamedTuple):
    """Two rows of ordinary tokens that begin alike, and each one's logits, [tokens, vocabulary].

    The logits are those of each row alone, run as plainly as transformers allows.
    """

    rows: list[list[int]]
    logits: list[torch.Tensor]


@torch.inference_mode()
def trial(model: PreTrainedModel) -> Trial:
    """Runs the two rows, 64 tokens in all."""
    rows = _rows(model)
    return Trial(rows, [_row_logits(model, row) for row in rows])


def _rows(model: PreTrainedModel) -> list[list[int]]:
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
    row = [usable[(7 * place + place * place) % len(usable)] for place in range(_LENGTHS[0])]
    return [row, [*row[:_ALIKE], *row[: _LENGTHS[1] - _ALIKE]]]


def agrees(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether logits of a model in this number format are equal but for rounding."""
    change = (found.float() - expected.float()).square().mean().sqrt()
    tolerance = _TOLERANCE.get(dtype, _TOLERANCE_HALF)
    return bool(change <= tolerance * expected.float().std())


def _row_logits(model: PreTrainedModel, row: Sequence[int]) -> torch.Tensor:
    """Runs a row; an encoder-decoder reads it, and has written its first tokens."""
    ids = torch.tensor([row], device=model.device)
    if model.config.is_encoder_decoder:
        logits = model(input_ids=ids, decoder_input_ids=ids[:, :8]).logits
    else:
        logits = model(input_ids=ids, use_cache=False).logits
    return torch.as_tensor(logits[0])


@torch.inference_mode()
def heeds_padding(model: PreTrainedModel, tried: Trial, pad: int, name: str) -> bool:
    """Tries whether rows of different lengths can be run together, as ``Runner`` runs them.

    Raises:
        ModelError: not even a single row is answered as transformers alone answers it.
    """
    rows, expected = tried
    if not all(bool(logits.isfinite().all()) for logits in expected):
        raise ModelError(
            f"the logits of {name} are not numbers in {str(model.dtype).removeprefix('torch.')}; "
            "load it with another `dtype`"
        )
    try:
        if _agree(_run_together(model, rows, pad), expected, model.dtype):
            return True
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        log.debug("this model cannot run rows of different lengths: %s", error)
    if not _agree(_run_together(model, rows[:1], pad), expected[:1], model.dtype):
        raise ModelError(
            f"{name} cannot be run here: with a mask and position ids, which change nothing for a "
            "single row, it answers otherwise than without them"
        )
    return False


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


@torch.inference_mode()
def writes_space(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether a word that the model writes after a text more likely begins with a space."""
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    logits = model(input_ids=ids.to(model.device), use_cache=False).logits[0, -1].float()
    likely = logits.softmax(-1).tolist()
    sums = {True: 0.0, False: 0.0}
    for token, index in tokenizer.get_vocab().items():
        # How byte-level and SentencePiece vocabularies write a space.
        word = token.lstrip("Ġ▁")
        if word[:1].isalnum() and index < len(likely):
            sums[word != token] += likely[index]
    return sums[True] > sums[False]


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
