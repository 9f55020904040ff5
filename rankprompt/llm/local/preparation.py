"""Makes a loaded model ready to answer: what its answers depend on, and what they must not."""

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError

__all__ = [
    "context_length",
    "fingerprint",
    "greedy",
    "out_of_memory",
    "project_in_float32",
    "special_tokens",
    "truncate",
]


def project_in_float32(model: Any) -> None:
    """Does the last projection in float32.

    In bfloat16 a logit of 20 moves in steps of an eighth, and the gap between two labels is often
    lost in the rounding.
    """
    head = model.get_output_embeddings()
    if head is None or not hasattr(head, "weight"):
        raise ModelError("this model shows no output embeddings; load it with --dtype float32")
    if head.weight.dtype != torch.float32:
        # A new parameter: the input embeddings may share the old one.
        head.weight = torch.nn.Parameter(head.weight.detach().float(), requires_grad=False)
    if getattr(head, "bias", None) is not None:
        head.bias = torch.nn.Parameter(head.bias.detach().float(), requires_grad=False)
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def greedy(model: Any, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The settings of plain greedy generation.

    A model may bring others (penalties, beams, a least length), which ``generate`` would take up
    silently: of these only the marks of start and end are kept.
    """
    own = model.generation_config
    kept = {
        name: getattr(own, name, None)
        for name in (
            "bos_token_id",
            "eos_token_id",
            "decoder_start_token_id",
            "forced_bos_token_id",
            "forced_eos_token_id",
        )
    }
    if kept["eos_token_id"] is None:
        kept["eos_token_id"] = tokenizer.eos_token_id
    model.generation_config = type(own)()
    return {name: value for name, value in kept.items() if value is not None}


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that a prompt and its answer may have together."""
    config = model.config.get_text_config()
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    limits.append(tokenizer.model_max_length)
    # A tokenizer without a limit says 10^30.
    return min((one for one in limits if isinstance(one, int) and 0 < one < 10**9), default=2**20)


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """The spellings that a tokenizer takes for special tokens wherever they stand in a text."""
    added = {str(one) for one in tokenizer.added_tokens_decoder.values() if one.special}
    return added | set(map(str, tokenizer.all_special_tokens))


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch failed for want of memory; on a CPU it has no exception of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def truncate(tokenizer: PreTrainedTokenizerBase, text: str, tokens: int) -> str:
    """The longest start of a text with at most ``tokens`` tokens, on a character's bound."""

    def count(part: str) -> int:
        return len(tokenizer(part, add_special_tokens=False).input_ids)

    if count(text) <= tokens:
        return text
    fits, over = 0, len(text)
    while over - fits > 1:
        middle = (fits + over) // 2
        if count(text[:middle]) <= tokens:
            fits = middle
        else:
            over = middle
    return text[:fits]


def fingerprint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, writing: dict[str, Any]
) -> str:
    """A digest of what the answers depend on: weights, format, settings, tokenizer, template.

    Of each tensor every number counts, through an integer sum over its raw bits (memory's speed;
    hashing 10 GB would take half a minute), and the order through a sample of 1,024 of them.
    """
    digest = blake2b(digest_size=16)
    for name, tensor in _tensors(model):
        bits = tensor.detach().view(torch.int16 if tensor.element_size() == 2 else torch.int32)
        flat = bits.reshape(-1)
        sample = flat[:: max(1, flat.numel() // 1024)].cpu().numpy().tobytes()
        total = int(flat.sum(dtype=torch.int64))
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {total} ".encode() + sample)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = backend.to_str() if backend else str(sorted(tokenizer.get_vocab().items()))
    digest.update(words.encode("utf-8", "surrogatepass"))
    digest.update(str(tokenizer.chat_template).encode())
    settings = json.loads(model.config.to_json_string())
    settings.pop("transformers_version", None)
    digest.update(json.dumps([settings, writing], sort_keys=True).encode())
    return digest.hexdigest()


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    for name, laid in sorted(model.state_dict().items()):
        tensor = laid.to_dense() if laid.is_mkldnn else laid
        if tensor.element_size() in (2, 4):
            yield name, tensor.contiguous()
        else:
            yield name, tensor.contiguous().float()
