"""vLLM's engine in this process; the only module that imports vllm, when an engine starts."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rankprompt.errors import InputError, ModelError, naming_extras
from rankprompt.llm.local.model_files import first_line
from rankprompt.llm.vllm.model_folder import ModelFolder, lora_rank
from rankprompt.llm.vllm.scoring import Prompt, RequestOutput
from rankprompt.llm.vllm.settings import EngineSettings

__all__ = ["Engine", "VllmEngine"]

# In one process, vLLM schedules the same prompts in the same way each time, and ends with it; and
# standard output is for results.
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}
# Of vLLM's reasons, which may be whole paragraphs, so many characters are shown.
_MOST = 300
# Prompts at a time: the answers of a batch go into the journal together.
_BATCH, _BATCH_CPU = 4096, 64


class Engine(Protocol):
    """What ``VllmModel`` asks of an engine.

    Attributes:
        batch: the most requests of a batch.
    """

    batch: int

    def generate(self, prompts: Sequence[Prompt]) -> Sequence[RequestOutput]:
        """Answers prompts, in the same order."""


class VllmEngine:
    """Starts vLLM and asks it.

    Args:
        folder: the model's.
        name: the model's name, for messages.
        dtype: the number format.
        context_length: the most tokens of prompt and answer together.
        ends: the tokens that end a generated text.
        settings: further settings.
        device: "auto", or "cpu" or "cuda", which must be what vLLM runs on here.
        batch_tokens: the most tokens of a step; None for vLLM's default.
        trust_remote_code: run code that comes with the model.
        adapter: the folder of a LoRA adapter; None for none.

    Attributes:
        batch: the most requests of a batch.
        llm: the ``vllm.LLM``.

    Raises:
        ModelError: vLLM cannot run the model here; its own reason is in the message.
        InputError: vLLM runs on another device.
    """

    def __init__(
        self,
        folder: ModelFolder,
        name: str,
        *,
        dtype: str,
        context_length: int,
        ends: Sequence[int],
        settings: EngineSettings,
        device: str = "auto",
        batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        adapter: Path | None = None,
    ) -> None:
        for variable, value in _ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        options: dict[str, Any] = {
            "max_model_len": context_length,
            "seed": 0,
            "use_tqdm_on_load": False,
            **settings.options,
        }
        if batch_tokens:
            options["max_num_batched_tokens"] = batch_tokens
        if settings.tensor_parallel > 1:
            # Else, inside a worker on Ray, vLLM would start workers of its own on other machines.
            options.setdefault("distributed_executor_backend", "mp")
        if folder.has_plain_head:
            # In bfloat16, logits around 20 are multiples of 1/8, which hides how labels differ.
            overrides = {"head_dtype": "float32", **(options.get("hf_overrides") or {})}
            options["hf_overrides"] = overrides
        if adapter:
            options |= {"enable_lora": True, "max_lora_rank": lora_rank(adapter)}
        try:
            with naming_extras(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import vllm
                from vllm.platforms import current_platform

            kind = str(current_platform.device_type)
            if device not in ("auto", kind):
                raise InputError(f"device {device!r} cannot be used: vLLM here runs on {kind!r}")
            self._sampling = vllm.SamplingParams
            self.llm = vllm.LLM(
                model=str(folder.path),
                skip_tokenizer_init=True,
                runner="generate",
                generation_config="vllm",
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                tensor_parallel_size=settings.tensor_parallel,
                **options,
            )
            self._lora: Any = None
            if adapter:
                from vllm.lora.request import LoRARequest

                self._lora = LoRARequest("adapter", 1, str(adapter))
        except (InputError, ModelError):
            raise
        except Exception as error:  # of vLLM, pydantic, torch, the driver
            raise ModelError(
                f"vLLM cannot run {name} here: {_reason(error)} (`engine_options` takes "
                "max_model_len, gpu_memory_utilization and more)"
            ) from error
        self._name, self._ends = name, list(ends)
        self.batch = _BATCH_CPU if kind == "cpu" else _BATCH

    def generate(self, prompts: Sequence[Prompt]) -> Sequence[RequestOutput]:
        """Answers prompts, in the same order.

        Raises:
            ModelError: the engine died, or cannot answer.
        """
        try:
            outputs: Sequence[RequestOutput] = self.llm.generate(
                [{"prompt_token_ids": list(prompt.tokens)} for prompt in prompts],
                [self._parameters(prompt) for prompt in prompts],
                use_tqdm=False,
                lora_request=self._lora,
            )
        except Exception as error:  # EngineDeadError where it runs elsewhere, and all kinds here
            raise ModelError(
                f"vLLM stopped while it ran {self._name}: {_reason(error)}; what was answered "
                "before is in the journal: start the same command again"
            ) from error
        return outputs

    def _parameters(self, prompt: Prompt) -> Any:
        """Greedy decoding; the log-probabilities are those of the model, before any sampling."""
        scored = list(prompt.scored) or None
        return self._sampling(
            temperature=0.0,
            max_tokens=prompt.max_tokens,
            logprobs=prompt.likeliest or None,
            logprob_token_ids=scored,
            prompt_logprobs=0 if prompt.lists_prompt else None,
            # Ours alone: a checkpoint's sampling settings must not end a text otherwise.
            ignore_eos=True,
            stop_token_ids=self._ends,
            detokenize=False,
            flat_logprobs=True,
        )


def _reason(error: Exception) -> str:
    """The line of an error that says what is wrong; pydantic's first line only counts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        named = next((line for line in lines[1:] if " " in line), lines[1])
        line = named.partition(" [type=")[0].removeprefix("Value error, ")
    else:
        line = first_line(error)
    return line if len(line) <= _MOST else f"{line[:_MOST]}..."
