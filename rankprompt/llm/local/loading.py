"""Loads a local model: a folder, a GGUF file or a hub id, decoder-only or encoder-decoder."""

import logging
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.llm.local.model_files import first_line, locate, quieten_transformers
from rankprompt.llm.local.processor import quicker_format

__all__ = ["DTYPES", "load_pair", "resolve_device", "resolve_dtype"]

log = logging.getLogger("rankprompt")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """The device of this name; "auto" takes an accelerator where there is one.

    Raises:
        InputError: torch knows no such device, or it is not here.
    """
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format of this name; "auto" takes the one that the device is fast at.

    A processor is tried, once (``rankprompt.llm.local.processor``); an accelerator is taken to have
    bfloat16 where it says so.

    Raises:
        UnknownNameError: none of this name.
    """
    if name != "auto":
        if name not in DTYPES:
            raise UnknownNameError("dtype", name, ["auto", *DTYPES])
        return DTYPES[name]
    if device.type == "cpu":
        return quicker_format()
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


def load_pair(
    name: str, *, dtype: torch.dtype, device: torch.device, trust_remote_code: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a model and its tokenizer.

    Args:
        name: a folder, a ``.gguf`` file, or a hub id such as ``org/model``.
        dtype: the number format of the weights.
        device: where they go.
        trust_remote_code: run code that comes with the model; never on by default.

    Raises:
        ModelError: not found, not a language model, or weights are missing.
    """
    source, found = locate(name)
    where: dict[str, Any] = {"trust_remote_code": trust_remote_code, **found}
    quieten_transformers()
    try:
        config = AutoConfig.from_pretrained(source, **where)
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        model, report = auto.from_pretrained(
            source, config=config, dtype=dtype, output_loading_info=True, **where
        )
    except Exception as error:  # whatever a broken file makes transformers raise
        if not trust_remote_code and "trust_remote_code" in str(error):
            raise ModelError(
                f"the model {name!r} comes with code of its own; read that code, and if you "
                "trust it, allow it with --trust-remote-code"
            ) from error
        raise ModelError(f"cannot load the model {name!r}: {first_line(error)}") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"the model {name!r} lacks weights of a language model ({missing[0]}"
            f"{f' and {len(missing) - 1} more' if missing[1:] else ''}): is it one? "
            "It would answer at random."
        )
    model = model.to(device).eval()
    if not config.is_encoder_decoder and not _reads_forward(model):
        raise ModelError(
            f"the model {name!r} is an encoder: its words look at the words after them, "
            "so it cannot continue a text"
        )
    return model, tokenizer


@torch.inference_mode()
def _reads_forward(model: Any) -> bool:
    """Whether the first token's logits are the same whatever the second token is.

    An encoder's masked-word head loads as a causal model without a complaint, and answers nonsense.
    """
    pairs = torch.tensor([[0, 1], [0, 2]], device=model.device)
    one, other = model(input_ids=pairs, attention_mask=torch.ones_like(pairs)).logits[:, 0].float()
    return not bool((one - other).abs().max() > 0.1 * one.std())
