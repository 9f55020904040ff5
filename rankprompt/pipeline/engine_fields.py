"""The fields of a configuration that go with a model in vLLM."""

from rankprompt.errors import InputError
from rankprompt.llm.vllm.settings import EngineSettings, parse_engine_options
from rankprompt.pipeline.config import VLLM, ModelConfig

__all__ = [
    "ENGINE_FIELDS", "NOT_FOR_VLLM", "check_engine_fields", "engine_settings", "is_vllm",
]  # fmt: skip

ENGINE_FIELDS = ("tensor_parallel", "engine_options")
"""What plays no part where vLLM does not run the model."""

NOT_FOR_VLLM = ("tokenizer", "quantize", "attention")
"""What plays no part where vLLM runs the model."""


def is_vllm(name: str) -> bool:
    """Whether a model's name, as a user writes it, names one in vLLM."""
    return name.startswith(VLLM)


def check_engine_fields(model: ModelConfig) -> None:
    """Checks the fields of a model in vLLM before it is loaded.

    Raises:
        InputError: a field that plays no part, or engine options that are none.
    """
    if not is_vllm(model.name):
        default = ModelConfig()
        for name in ENGINE_FIELDS:
            if getattr(model, name) != getattr(default, name):
                raise InputError(f"`{name}` goes with `model` vllm:ID")
        return
    parse_engine_options(model.engine_options)
    for name in NOT_FOR_VLLM:
        if getattr(model, name) is not None:
            raise InputError(
                f"`{name}` plays no part in `model` vllm:ID; leave it out, or see what "
                "`engine_options` can say"
            )
    if model.threads is not None:
        raise InputError("`threads` plays no part in `model` vllm:ID; set OMP_NUM_THREADS")


def engine_settings(model: ModelConfig) -> EngineSettings | None:
    """How vLLM's engine is started for a model; None where vLLM does not run it."""
    if not is_vllm(model.name):
        return None
    return EngineSettings(model.tensor_parallel, parse_engine_options(model.engine_options))
