"""As much of vLLM 0.32 as rankprompt calls, computed by transformers, without a cache.

Where it differs from vLLM, the tests beside it that start a real one fail (``test_real.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from transformers import AutoModelForCausalLM

from tests.llm.vllm.fake.vllm.lora.request import LoRARequest

__all__ = ["LLM", "SamplingParams"]


@dataclass
class SamplingParams:
    """The settings of one prompt."""

    temperature: float
    max_tokens: int
    logprobs: int | None
    logprob_token_ids: list[int] | None
    prompt_logprobs: int | None
    ignore_eos: bool
    stop_token_ids: list[int]
    detokenize: bool
    flat_logprobs: bool


@dataclass
class Logprob:
    """A token's log-probability."""

    logprob: float


@dataclass
class CompletionOutput:
    """What was generated."""

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)


@dataclass
class RequestOutput:
    """The answer to a prompt."""

    outputs: list[CompletionOutput]
    prompt_logprobs: list[dict[int, Logprob] | None] | None
    num_cached_tokens: int | None = 0


class LLM:
    """Runs a folder's model; ``started`` has the arguments of all that were made."""

    started: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, model: str, **arguments: Any) -> None:
        """Loads the model, or fails as ``fails`` says."""
        if "fails" in arguments:
            raise ValueError(arguments["fails"])
        self.started.append({"model": model, **arguments})
        self._dies = arguments.get("dies")
        self._length = arguments["max_model_len"]
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            model, dtype=getattr(torch, arguments["dtype"])
        )

    def generate(
        self,
        prompts: Sequence[Mapping[str, list[int]]],
        parameters: Sequence[SamplingParams],
        *,
        use_tqdm: bool,
        lora_request: LoRARequest | None,
    ) -> list[RequestOutput]:
        """Answers prompts."""
        assert not use_tqdm
        if lora_request:  # vLLM fails as well
            assert all(one.prompt_logprobs is None for one in parameters)
        if self._dies:
            raise RuntimeError(self._dies)
        return [
            self._answer(prompt["prompt_token_ids"], one)
            for prompt, one in zip(prompts, parameters, strict=True)
        ]

    @torch.inference_mode()
    def _answer(self, prompt: list[int], how: SamplingParams) -> RequestOutput:
        assert len(prompt) + how.max_tokens <= self._length
        assert (how.temperature, how.ignore_eos) == (0, True)
        assert how.logprob_token_ids is None or len(how.logprob_token_ids) <= 128
        listed = None
        if how.prompt_logprobs is not None:
            every = self._logprobs(prompt)
            listed = [
                None,
                *(
                    {token: Logprob(float(row[token]))}
                    for row, token in zip(every, prompt[1:], strict=False)
                ),
            ]
        output = CompletionOutput()
        tokens = list(prompt)
        while len(output.token_ids) < how.max_tokens:
            row = self._logprobs(tokens)[-1]
            token = int(row.argmax())
            asked = how.logprob_token_ids or []
            if how.logprobs:
                asked = row.topk(how.logprobs).indices.tolist()
            output.logprobs.append({one: Logprob(float(row[one])) for one in [token, *asked]})
            output.token_ids.append(token)
            tokens.append(token)
            if token in how.stop_token_ids:
                break
        return RequestOutput([output], listed)

    def _logprobs(self, tokens: list[int]) -> torch.Tensor:
        logits = self._model(input_ids=torch.tensor([tokens])).logits[0]
        return torch.as_tensor(logits.float().log_softmax(-1))
