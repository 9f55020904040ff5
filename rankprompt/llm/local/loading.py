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
    BitsAndBytesConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rankprompt.errors import InputError, ModelError, UnknownNameError, require
from rankprompt.files.home import expand
from rankprompt.llm.local.adapters import check_no_adapter, find_adapter, with_adapter
from rankprompt.llm.local.hub_folders import hub_options
from rankprompt.llm.local.model_files import (
    check_config,
    check_counts,
    first_line,
    locate,
    quieten_transformers,
)
from rankprompt.llm.local.placement import placement
from rankprompt.llm.local.processor import quicker_format
from rankprompt.llm.local.variant import ATTENTION, PLAIN, QUANTIZE, Variant

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
    name: str,
    *,
    dtype: torch.dtype,
    device: torch.device,
    trust_remote_code: bool = False,
    variant: Variant = PLAIN,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a model and its tokenizer.

    Args:
        name: a folder, a ``.gguf`` file, or a hub id such as ``org/model``.
        dtype: number format of the weights.
        device: where the weights go, without a copy in this machine's memory; over all cards where
            its index is None and one card has no room.
        trust_remote_code: run code that comes with the model; never the default.
        variant: which variant of it.

    Raises:
        ModelError: no such model, not a language model, weights are missing, or there is no room.
        InputError: a variant that the model or the device cannot have.
        MissingPackageError: what the variant needs is not installed.
    """
    source, gguf = locate(name)
    where: dict[str, Any] = {"trust_remote_code": trust_remote_code, **gguf}
    how = _how(variant, dtype, device)
    check_no_adapter(name)
    if not Path(source).is_dir():
        try:
            where |= hub_options(source, variant.revision)
        except ModelError as error:
            raise ModelError(
                f"{error}. A reranker (a classifier) of the hub is written cross-encoder:{name}"
            ) from None
        if "local_files_only" in where:  # also where transformers looks for an adapter
            how["adapter_kwargs"] = {"local_files_only": True}
    elif variant.revision:
        raise InputError(f"`revision` goes with a model of the hub, and {name} is not of it")
    adapter = find_adapter(variant.adapter) if variant.adapter else None
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
        quantized = getattr(config, "quantization_config", None)
        if variant.quantize and (gguf or quantized):
            raise ValueError("its weights are quantized already; leave `quantize` out")
        if not gguf:
            how |= placement(name, source, dtype=dtype, device=device, variant=variant)
        auto = _auto_class(config)
        tokenizer = _tokenizer(source, variant.tokenizer, where)
        model, report = auto.from_pretrained(
            source, config=config, dtype=dtype, output_loading_info=True, **where, **how
        )
    except ModelError:
        raise
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
    model = model.eval()
    if adapter and variant.adapter:
        model = with_adapter(
            model, variant.adapter, adapter, merge=not (quantized or variant.quantize)
        )
    _check_model(name, model, tokenizer if variant.tokenizer else None)
    return model, tokenizer


def _how(variant: Variant, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Further arguments of ``from_pretrained``: how the weights are kept, and attention computed.

    Raises:
        UnknownNameError: no such quantisation or attention.
        InputError: not on this device.
        MissingPackageError: what it needs is not installed.
    """
    how: dict[str, Any] = {}
    for kind, value, known in (
        ("quantize", variant.quantize, QUANTIZE),
        ("attention", variant.attention, ATTENTION),
    ):
        if value is not None and value not in known:
            raise UnknownNameError(kind, value, known)
    if variant.quantize:
        if device.type != "cuda":
            raise InputError(
                f"`quantize` {variant.quantize} needs a CUDA device, and this is {device}; there, "
                "take a .gguf file or a smaller model"
            )
        require("bitsandbytes")
        make: Any = BitsAndBytesConfig
        how["quantization_config"] = make(
            load_in_4bit=variant.quantize == "4bit",
            load_in_8bit=variant.quantize == "8bit",
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
        )
    if variant.attention:
        how["attn_implementation"] = variant.attention
    return how


def _tokenizer(source: str, other: str | None, where: dict[str, Any]) -> PreTrainedTokenizerBase:
    if other is None:
        return AutoTokenizer.from_pretrained(source, **where)
    path = expand(other)
    own = {"trust_remote_code": where["trust_remote_code"]}
    if not path.is_dir():
        own |= hub_options(other)
    return AutoTokenizer.from_pretrained(str(path) if path.is_dir() else other, **own)


def _check_model(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None
) -> None:
    """Tests whether a model continues texts, and knows the tokens of another tokenizer."""
    if tokenizer is not None:
        embeddings: Any = model.get_input_embeddings()
        rows, highest = embeddings.weight.shape[0], max(tokenizer.get_vocab().values(), default=0)
        if highest >= rows:
            raise ModelError(
                f"`tokenizer` has {highest + 1:,} tokens, and the model {name!r} knows {rows:,}: "
                "it is another model's"
            )
    try:
        is_causal = model.config.is_encoder_decoder or _is_causal(model)
    except Exception as error:  # a setting that cannot work may show only where the model computes
        raise ModelError(f"cannot load the model {name!r}: {first_line(error)}") from error
    if not is_causal:
        raise ModelError(
            f"the model {name!r} is an encoder: its tokens attend to the tokens after them, "
            "so it cannot continue a text"
        )


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
