"""What the user may say of vLLM's engine, beside the model and its number format."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rankprompt.errors import InputError

__all__ = ["EngineSettings", "parse_engine_options"]

# What rankprompt itself says to the engine, by the field that says it.
_OURS = {
    "model": "model",
    "tokenizer": "model",
    "dtype": "dtype",
    "trust_remote_code": "trust_remote_code",
    "tensor_parallel_size": "tensor_parallel",
    "max_num_batched_tokens": "batch_tokens",
    "enable_lora": "adapter",
    "max_lora_rank": "adapter",
}
_FIXED = ("skip_tokenizer_init", "runner", "convert", "logprobs_mode", "generation_config")


class EngineSettings(NamedTuple):
    """How vLLM's engine is started.

    Attributes:
        tensor_parallel: over how many GPUs each layer is split.
        options: further arguments of ``vllm.LLM``, by name.
    """

    tensor_parallel: int = 1
    options: Mapping[str, Any] = MappingProxyType({})


def parse_engine_options(text: str | None) -> dict[str, Any]:
    """Parses the field `engine_options`; none is an empty object.

    Raises:
        InputError: the text is no JSON object, or sets what another field sets.

    Examples:
        >>> from rankprompt.llm.vllm.settings import parse_engine_options
        >>> parse_engine_options('{"gpu_memory_utilization": 0.5}')
        {'gpu_memory_utilization': 0.5}
    """
    if text is None:
        return {}
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"`engine_options` is no JSON: {error}") from None
    if not isinstance(options, dict):
        raise InputError(
            "`engine_options` is a JSON object of arguments of vllm.LLM, such as "
            '{"gpu_memory_utilization": 0.5}'
        )
    for name in options:
        if name in _OURS:
            raise InputError(f"`engine_options` {name}: set it by `{_OURS[name]}`")
        if name in _FIXED:
            raise InputError(f"`engine_options` {name}: rankprompt sets it; leave it out")
    return options
