"""Loads a local model: a folder, a GGUF file or a hub id, decoder-only or encoder-decoder."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.llm.local.hub_folders import hub_options
from rankprompt.llm.local.model_files import (
    check_config,
    check_counts,
    first_line,
    locate,
    quieten_transformers,
)
from rankprompt.llm.local.processor import quicker_format

__all__ = ["DTYPES", "load_pair", "resolve_device", "resolve_dtype"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """Returns the device of this name; "auto" prefers an accelerator to the CPU.

    Raises:
        InputError: torch does not know the device, or this machine does not have it.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """Returns the number format of this name; "auto" means the one that the device is fast at.

    A CPU is measured once (``rankprompt.llm.local.processor``); an accelerator computes in bfloat16
    if it says that it can, or else in float16.

    Raises:
        UnknownNameError: no number format has this name.
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
        dtype: number format of the weights.
        device: where the weights go.
        trust_remote_code: run code that comes with the model; never the default.

    Raises:
        ModelError: no such model, not a language model, or weights are missing.
    """
    source, gguf = locate(name)
    where: dict[str, Any] = {"trust_remote_code": trust_remote_code, **gguf}
    if not Path(source).is_dir():
        try:
            where |= hub_options(source)
        except ModelError as error:
            raise ModelError(
                f"{error}. A reranker (a classifier) of the hub is written cross-encoder:{name}"
            ) from None
    quieten_transformers()
    try:
        if not gguf:  # whose metadata are slow to read
            check_config(source, **where)
        config = AutoConfig.from_pretrained(source, **where)
        check_counts(config.to_dict())
        if any(
            str(one).endswith("ForSequenceClassification") for one in config.architectures or ()
        ):
            raise ValueError(
                f"it is a classifier; as a reranker it is written cross-encoder:{name}"
            )
        auto = _auto_class(config)
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        model, report = auto.from_pretrained(
            source, config=config, dtype=dtype, output_loading_info=True, **where
        )
    except Exception as error:  # a damaged file makes transformers raise all kinds of exceptions
        if not trust_remote_code and "trust_remote_code" in str(error):
            raise ModelError(
                f"the model {name!r} comes with code of its own; read that code, and if you "
                "trust it, allow it with `trust_remote_code`"
            ) from error
        raise ModelError(f"cannot load the model {name!r}: {first_line(error)}") from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"the model {name!r} lacks weights of a language model ({missing[0]}"
            f"{f' and {len(missing) - 1} more' if missing[1:] else ''}): is it one? "
            "It would answer at random."
        )
    model = model.to(device).eval()
    try:
        is_causal = config.is_encoder_decoder or _is_causal(model)
    except Exception as error:  # a setting that cannot work may show only where the model computes
        raise ModelError(f"cannot load the model {name!r}: {first_line(error)}") from error
    if not is_causal:
        raise ModelError(
            f"the model {name!r} is an encoder: its tokens attend to the tokens after them, "
            "so it cannot continue a text"
        )
    return model, tokenizer


def _auto_class(config: PretrainedConfig) -> Any:
    """Chooses what to load: a model that also sees images is used for its text alone."""
    if config.is_encoder_decoder:
        return AutoModelForSeq2SeqLM
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    return AutoModelForCausalLM


@torch.inference_mode()
def _is_causal(model: PreTrainedModel) -> bool:
    """Tests whether the first token's logits are the same whatever the second token is.

    transformers loads an encoder's masked-language-model head as a causal model without complaint.
    """
    pairs = torch.tensor([[0, 1], [0, 2]], device=model.device)
    logits = model(input_ids=pairs, attention_mask=torch.ones_like(pairs)).logits[:, 0].float()
    return not bool((logits[0] - logits[1]).abs().max() > 0.1 * logits[0].std())
