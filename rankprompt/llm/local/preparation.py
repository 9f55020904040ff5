"""Prepares a loaded model for answering, and describes it by fingerprint and context length."""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError

__all__ = [
    "GenerationSettings",
    "context_length",
    "fingerprint",
    "greedy_settings",
    "is_out_of_memory",
    "project_in_float32",
    "special_tokens",
]

GenerationSettings: TypeAlias = dict[str, int | list[int]]
"""Names and ids of the tokens that start and end a generated text."""

_NO_LIMIT = 2**20


def project_in_float32(model: PreTrainedModel) -> None:
    """Makes the model compute its logits in float32.

    In bfloat16, those around 20 are multiples of 1/8, which often hides how two labels differ.
    """
    head = model.get_output_embeddings()
    weight, bias = (getattr(head, name, None) for name in ("weight", "bias"))
    if head is None or weight is None:
        raise ModelError("this model has no output embeddings; load it with `dtype` float32")
    if weight.dtype != torch.float32:
        # A new parameter: the input embeddings may share the old one.
        head.weight = torch.nn.Parameter(weight.detach().float(), requires_grad=False)
    if bias is not None:
        head.bias = torch.nn.Parameter(bias.detach().float(), requires_grad=False)
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def greedy_settings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> GenerationSettings:
    """Returns the settings of plain greedy generation, and resets the model's own.

    A model may come with others (penalties, beams, a minimum length), which ``generate`` would use
    without a word: only the tokens that start and end a text are kept.
    """
    own = model.generation_config
    settings = {
        name: getattr(own, name, None)
        for name in (
            "bos_token_id",
            "eos_token_id",
            "decoder_start_token_id",
            "forced_bos_token_id",
            "forced_eos_token_id",
        )
    }
    if settings["eos_token_id"] is None:
        settings["eos_token_id"] = tokenizer.eos_token_id
    if settings["decoder_start_token_id"] is None and model.config.is_encoder_decoder:
        # As transformers does.
        settings["decoder_start_token_id"] = settings["bos_token_id"]
        if settings["bos_token_id"] is None:
            raise ModelError("the model's configuration lacks `decoder_start_token_id`")
    model.generation_config = type(own)()
    return {name: value for name, value in settings.items() if value is not None}


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Returns the maximum length of prompt and answer together, in tokens.

    Relative positions have no limit: the 512 of T5 and its tokenizer is what it was trained with.
    """
    config = model.config.get_text_config()
    if hasattr(config, "relative_attention_num_buckets"):
        return _NO_LIMIT
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    limits.append(tokenizer.model_max_length)
    # A tokenizer without a limit has 10^30.
    usable = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 10**9]
    return min(usable, default=_NO_LIMIT)


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Returns the texts that a tokenizer reads as special tokens anywhere in its input."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return added | set(map(str, tokenizer.all_special_tokens))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch lacked memory; on a CPU it has no class of its own for that."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def fingerprint(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    generation: Mapping[str, int | list[int]],
    more: Sequence[str] = (),
) -> str:
    """Digests all that answers depend on: weights, number format, config, tokenizer, template.

    Every number of a tensor counts, through the integer sum of the tensor's raw bits, which is as
    fast as memory (hashing 10 GB would take half a minute); their order counts through a sample of
    1,024 numbers. ``more`` is what else answers depend on; most models have nothing.
    """
    digest = blake2b(digest_size=16)
    for name, tensor in _tensors(model):
        bits = tensor.detach().view(torch.int16 if tensor.element_size() == 2 else torch.int32)
        flat = bits.reshape(-1)
        sample = flat[:: max(1, flat.numel() // 1024)].cpu().numpy().tobytes()
        total = int(flat.sum(dtype=torch.int64))
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {total} ".encode() + sample)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend else str(sorted(tokenizer.get_vocab().items()))
    digest.update(vocabulary.encode("utf-8", "surrogatepass"))
    digest.update(str(tokenizer.chat_template).encode())
    config = json.loads(model.config.to_json_string())
    config.pop("transformers_version", None)
    digest.update(json.dumps([config, generation], sort_keys=True).encode())
    if more:
        digest.update(json.dumps(list(more)).encode())
    return digest.hexdigest()


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights by name, as they were before prepacking, of 2 or 4 bytes a number."""
    for name, weight in sorted(model.state_dict().items()):
        tensor = weight.to_dense() if weight.is_mkldnn else weight
        if tensor.element_size() in (2, 4):
            yield name, tensor.contiguous()
        else:
            yield name, tensor.contiguous().float()
