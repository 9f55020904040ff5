"""The local back end: a transformers model in this process."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local import preparation
from rankprompt.llm.local.batches import pad_rows, plan_batches, read_options, read_texts
from rankprompt.llm.local.encoding import EncodedRequest, encode
from rankprompt.llm.local.loading import load_pair, resolve_device, resolve_dtype
from rankprompt.llm.local.onednn_linear import prepack, trial_outputs
from rankprompt.llm.local.packed_rows import row_packer_for
from rankprompt.llm.local.prefix_cache import PREFIX_BYTES, SHORTEST, Prefix, prefix_cache_for
from rankprompt.llm.local.processor import use_threads
from rankprompt.llm.special_tokens import escape, special_token_pattern

__all__ = ["LocalModel", "load"]

log = logging.getLogger("rankprompt")

# A few sequences keep a CPU fully busy; larger batches only add padding.
_BATCH_TOKENS = {"cpu": 4096}
_BATCH_TOKENS_ACCELERATOR = 32768
# On a CPU, a forward pass costs as much as some 25 tokens, because it reads all weights. So a batch
# may end where the next request is shorter; twice 25, since rows are cheaper together.
_MAX_PADDING = {"cpu": 50}


class LocalModel:
    """A decoder-only or encoder-decoder language model that answers in batches.

    Args:
        model: in evaluation mode, on its device; changed in place, for inference only.
        tokenizer: the model's.
        name: the name that the user gave.
        batch_tokens: maximum padded tokens of a batch (a longer request is a batch of its own).
        prefix_bytes: memory for shared prompt prefixes; 0 runs every prompt whole.
        starts_end: prompts that are planned together share no prefix with later prompts, so that a
            prefix need not be cached, and on a CPU runs in one row with what follows it.

    Attributes:
        batch_tokens: maximum padded tokens of a batch; halved when memory runs out.
        dtype: number format of the weights, such as "bfloat16".
        prefix_cache: the cache of shared prompt prefixes; None if every prompt is run whole.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        batch_tokens: int | None = None,
        prefix_bytes: int = PREFIX_BYTES,
        starts_end: bool = False,
    ) -> None:
        self.name = name
        self._model, self._tokenizer, self._device = model, tokenizer, model.device
        self.dtype = str(model.dtype).removeprefix("torch.")
        self.batch_tokens = batch_tokens or _BATCH_TOKENS.get(
            self._device.type, _BATCH_TOKENS_ACCELERATOR
        )
        self._encoder_decoder: bool = model.config.is_encoder_decoder
        self._generation = preparation.greedy_settings(model, tokenizer)
        self.fingerprint = preparation.fingerprint(model, tokenizer, self._generation)
        if model.dtype != torch.float32:
            preparation.project_in_float32(model)
        prepack(model, trial_outputs)
        self._pad = tokenizer.pad_token_id
        if self._pad is None:
            self._pad = tokenizer.eos_token_id or 0
        self.context_length = preparation.context_length(model, tokenizer)
        self._special = special_token_pattern(preparation.special_tokens(tokenizer))
        self._encoded: dict[Request, EncodedRequest] = {}
        caches = prefix_bytes and not self._encoder_decoder
        self.prefix_cache = prefix_cache_for(model, prefix_bytes) if caches else None
        packs = starts_end and self.prefix_cache and self._device.type == "cpu"
        self._packer = row_packer_for(model) if packs else None
        self._packed: set[Request] = set()

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of similar length, longest first; deterministic."""
        self._encoded = {request: self._encode(request) for request in requests}
        packed: list[list[int]] = []
        others = list(range(len(requests)))
        if self._packer:
            packed, others = self._packer.plan(requests, self._encoded)
        self._packed = {requests[index] for batch in packed for index in batch}
        batches = plan_batches(
            [requests[index] for index in others],
            self._encoded,
            self.batch_tokens,
            self.prefix_cache.capacity // 2 if self.prefix_cache else None,
            _MAX_PADDING.get(self._device.type),
        )
        return [*packed, *([others[index] for index in batch] for batch in batches)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one batch, in the same order.

        Raises:
            ModelError: a request exceeds the context length, or scoring and generation are mixed.
        """
        encoded = [self._encoded.get(request) or self._encode(request) for request in requests]
        longest = max(
            tokens.length + request.max_tokens
            for tokens, request in zip(encoded, requests, strict=True)
        )
        if longest > self.context_length:
            raise ModelError(
                f"a prompt of {longest} tokens does not fit into the {self.context_length} "
                f"of {self.name}"
            )
        scored = [bool(request.options) for request in requests]
        if any(scored) != all(scored):
            raise ModelError("one batch cannot both score options and generate text")
        if not all(request.options or request.max_tokens > 0 for request in requests):
            raise ModelError("a request must have options, or tokens to generate")
        try:
            with torch.inference_mode():
                if not scored[0]:
                    return self._generate(requests, encoded)
                if self._encoder_decoder:
                    return self._score_decoder(encoded)
                if self._packer and self._packed.issuperset(requests):
                    return self._packer.score(encoded)
                return self._score_causal(encoded)
        except RuntimeError as error:
            if not preparation.is_out_of_memory(error):
                raise
        # Outside the handler, because the traceback would keep the failed batch's memory.
        return self._answer_halves(requests)

    def _answer_halves(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if len(requests) == 1:
            raise ModelError(
                f"{self.name} has no memory for a single prompt; lower `passage_tokens`"
            )
        self.batch_tokens = max(1, self.batch_tokens // 2)
        log.warning("out of memory; continuing with %d tokens a batch", self.batch_tokens)
        self.forget()
        torch.cuda.empty_cache()
        middle = len(requests) // 2
        first, first_usage = self.answer(requests[:middle])
        second, second_usage = self.answer(requests[middle:])
        return first + second, Usage(*map(sum, zip(first_usage, second_usage, strict=True)))

    def forget(self) -> None:
        """Clears the prefix cache; answers stay the same."""
        if self.prefix_cache:
            self.prefix_cache.clear()

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together."""
        encoded = self._encode(request)
        return len(encoded.context) + max(request.max_tokens, *encoded.counts, 0)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        return preparation.truncate(self._tokenizer, text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)

    def _encode(self, request: Request) -> EncodedRequest:
        return encode(
            self._tokenizer,
            request,
            encoder_decoder=self._encoder_decoder,
            shortest_start=SHORTEST if self.prefix_cache else None,
        )

    def _score_causal(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        rows = [(request, row) for request in encoded for row in request.rows]
        ids, mask, past, usage = self._suffixes(
            encoded, [(*request.context, *row.stem) for request, row in rows]
        )
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        keep = 1 + max(len(row.stem) for _, row in rows)
        logits = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=past,
            logits_to_keep=keep,
            use_cache=past is not None,
        ).logits
        firsts = [keep - 1 - len(row.stem) for _, row in rows]
        return read_options(encoded, logits[:, -keep:], firsts), usage

    def _suffixes(
        self, encoded: Sequence[EncodedRequest], rows: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor, DynamicCache | None, Usage]:
        """Prepares what is left to run of each row after its cached prefix, padded on the left.

        So all rows end together, and so do the positions that are read. A request has as many rows
        as it has rows of options, or one.

        Returns:
            The tokens, [rows, longest]; the mask, with the prefixes before them; the prefixes' keys
            and values, if any; the usage of running the tokens.
        """
        starts: list[Prefix | None] = [None] * len(rows)
        known = computed = 0
        if self.prefix_cache:
            starts, known, computed = self.prefix_cache.starts(encoded)
        suffixes = [
            row[prefix.length if prefix else 0 :] for row, prefix in zip(rows, starts, strict=True)
        ]
        ids, mask, usage = pad_rows(suffixes, self._pad, self._device)
        past = None
        if self.prefix_cache and any(starts):
            past, prefix_mask = self.prefix_cache.assemble(starts)
            mask = torch.cat([prefix_mask, mask], dim=1)
        return ids, mask, past, Usage(usage.tokens + computed, usage.padding, known - computed)

    def _score_decoder(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        rows = [(request, row) for request in encoded for row in request.rows]
        contexts = [request.context for request, _ in rows]
        ids, mask, usage = pad_rows(contexts, self._pad, self._device, right=True)
        first = self._generation.get("decoder_start_token_id")
        if first is None:
            raise ModelError(f"the configuration of {self.name} lacks decoder_start_token_id")
        width = 1 + max(len(row.stem) for _, row in rows)
        target = torch.tensor(
            [[first, *row.stem, *[self._pad] * (width - 1 - len(row.stem))] for _, row in rows],
            device=self._device,
        )
        logits = self._model(input_ids=ids, attention_mask=mask, decoder_input_ids=target).logits
        decoded = sum(1 + len(row.stem) for _, row in rows)
        usage = Usage(usage.tokens + decoded, usage.padding + target.numel() - decoded)
        return read_options(encoded, logits, [0] * len(rows)), usage

    def _generate(
        self, requests: Sequence[Request], encoded: Sequence[EncodedRequest]
    ) -> tuple[list[Answer], Usage]:
        contexts = [request.context for request in encoded]
        if self._encoder_decoder:
            past = None
            ids, mask, usage = pad_rows(contexts, self._pad, self._device, right=True)
        else:
            ids, mask, past, usage = self._suffixes(encoded, contexts)
        generate: Any = self._model.generate
        output = generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=past,
            do_sample=False,
            max_new_tokens=max(request.max_tokens for request in requests),
            pad_token_id=self._pad,
            **self._generation,
        )
        start = 1 if self._encoder_decoder else ids.shape[1]
        ends = self._generation.get("eos_token_id")
        answers, written = read_texts(requests, output[:, start:].tolist(), self._tokenizer, ends)
        return answers, usage._replace(tokens=usage.tokens + written)


def load(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    shown_as: str | None = None,
    prefix_bytes: int = PREFIX_BYTES,
    threads: int | None = None,
    starts_end: bool = False,
) -> LocalModel:
    """Loads a local model from a folder, a ``.gguf`` file or a hub id.

    The arguments are those of ``load_model`` and ``LocalModel``; ``shown_as`` is the name to show.

    Raises:
        ModelError: the model cannot be loaded.
        InputError: no such device or dtype.
    """
    where = resolve_device(device)
    if where.type == "cpu":
        use_threads(threads)
    code = trust_remote_code
    pair = load_pair(name, dtype=resolve_dtype(dtype, where), device=where, trust_remote_code=code)
    return LocalModel(
        *pair,
        name=shown_as or name,
        batch_tokens=batch_tokens,
        prefix_bytes=prefix_bytes,
        starts_end=starts_end,
    )
