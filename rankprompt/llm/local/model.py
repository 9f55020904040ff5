"""The local backend: a transformers model on this machine."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local import preparation as preparing
from rankprompt.llm.local.batches import pad_rows, plan_batches, read_options, read_texts
from rankprompt.llm.local.encoding import Encoded, encode
from rankprompt.llm.local.loading import load_pair, resolve_device, resolve_dtype
from rankprompt.llm.local.onednn_linear import few_outputs, lay_out
from rankprompt.llm.local.packed_rows import packing_of
from rankprompt.llm.local.prefix_cache import PREFIX_BYTES, SHORTEST, Prefix, Prefixes, prefixes_of
from rankprompt.llm.local.processor import use_threads
from rankprompt.llm.special_tokens import escape, marks

__all__ = ["LocalModel", "load"]

log = logging.getLogger("rankprompt")

# A CPU is fully busy with a few sequences; larger batches only pad more.
_BATCH_TOKENS = {"cpu": 4096}
_BATCH_TOKENS_ACCELERATOR = 32768
# On a CPU a forward costs as much as some 25 tokens (the weights are read from memory), so a batch
# may end where the next request is shorter; twice that, for rows are cheaper together.
_MOST_PADDING = {"cpu": 50}


class LocalModel:
    """A causal or encoder-decoder language model, answering in batches.

    Args:
        model: in evaluation mode, on its device; made ready for inference alone, in place.
        tokenizer: its own.
        name: the name that the user gave.
        batch_tokens: padded tokens a batch, at the most (a longer request stands alone).
        prefix_bytes: memory for shared prompt starts; 0 computes every prompt whole.
        starts_end: prompts that are planned together share starts with no later ones, so that a
            start need not be kept, and on a CPU runs in one row with what follows it.

    Attributes:
        dtype: the number format of the weights, such as "bfloat16".
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
        self._model: Any = model
        self._tokenizer = tokenizer
        self._device = model.device
        self.dtype = str(model.dtype).removeprefix("torch.")
        self._batch_tokens = batch_tokens or _BATCH_TOKENS.get(
            self._device.type, _BATCH_TOKENS_ACCELERATOR
        )
        self._encoder_decoder: bool = model.config.is_encoder_decoder
        self._writing = preparing.greedy(self._model, tokenizer)
        self.fingerprint = preparing.fingerprint(model, tokenizer, self._writing)
        if model.dtype != torch.float32:
            preparing.project_in_float32(model)
        lay_out(model, few_outputs)
        self._pad = tokenizer.pad_token_id
        if self._pad is None:
            self._pad = tokenizer.eos_token_id or 0
        self.context_length = preparing.context_length(model, tokenizer)
        self._marks = marks(preparing.special_tokens(tokenizer))
        self._encoded: dict[Request, Encoded] = {}
        self._prefixes: Prefixes | None = None
        if prefix_bytes and not self._encoder_decoder:
            self._prefixes = prefixes_of(self._model, prefix_bytes)
        packs = starts_end and self._prefixes and self._device.type == "cpu"
        self._packing = packing_of(self._model) if packs else None
        self._packed: set[Request] = set()

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of alike length, longest first; deterministic."""
        self._encoded = {request: self._encode(request) for request in requests}
        packed: list[list[int]] = []
        left = list(range(len(requests)))
        if self._packing:
            packed, left = self._packing.plan(requests, self._encoded)
        self._packed = {requests[place] for batch in packed for place in batch}
        together = self._prefixes.tokens // 2 if self._prefixes else None
        padding = _MOST_PADDING.get(self._device.type)
        rest = [requests[place] for place in left]
        others = plan_batches(rest, self._encoded, self._batch_tokens, together, padding)
        return [*packed, *([left[place] for place in batch] for batch in others)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one batch, in the same order.

        Raises:
            ModelError: a request is longer than the context, or scoring and generation are mixed.
        """
        encoded = [self._encoded.get(one) or self._encode(one) for one in requests]
        longest = max(
            one.length + request.max_tokens for one, request in zip(encoded, requests, strict=True)
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
                if self._packing and self._packed.issuperset(requests):
                    return self._packing.score(encoded)
                return self._score_causal(encoded)
        except RuntimeError as error:
            if not preparing.out_of_memory(error):
                raise
        # Outside the handler: the traceback would keep the failed batch's memory.
        return self._answer_halves(requests)

    def _answer_halves(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if len(requests) == 1:
            raise ModelError(f"{self.name} has no memory for a single prompt; cut the passages")
        self._batch_tokens = max(1, self._batch_tokens // 2)
        log.warning("out of memory; going on with %d tokens a batch", self._batch_tokens)
        self.forget()
        torch.cuda.empty_cache()
        middle = len(requests) // 2
        first, one = self.answer(requests[:middle])
        second, other = self.answer(requests[middle:])
        return first + second, Usage(*map(sum, zip(one, other, strict=True)))

    def forget(self) -> None:
        """Drops what was kept of earlier prompts; answers stay the same."""
        if self._prefixes:
            self._prefixes.clear()

    def length(self, request: Request) -> int:
        """The tokens of a request: prompt, template and the longest answer together."""
        encoded = self._encode(request)
        return len(encoded.context) + max(request.max_tokens, *encoded.counts, 0)

    def truncate(self, text: str, tokens: int) -> str:
        """The longest start of a text with at most ``tokens`` tokens, on a character's bound."""
        return preparing.truncate(self._tokenizer, text, tokens)

    def escape(self, text: str) -> str:
        """A text of others, so written that none of it is taken for a special token."""
        return escape(text, self._marks)

    def _encode(self, request: Request) -> Encoded:
        return encode(
            self._tokenizer,
            request,
            encoder_decoder=self._encoder_decoder,
            shortest_start=SHORTEST if self._prefixes else None,
        )

    def _score_causal(self, encoded: Sequence[Encoded]) -> tuple[list[Answer], Usage]:
        rows = [(one, row) for one in encoded for row in one.rows]
        ids, mask, past, usage = self._go_on(
            encoded, [(*one.context, *row.stem) for one, row in rows]
        )
        places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        keep = 1 + max(len(row.stem) for _, row in rows)
        logits = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places,
            past_key_values=past,
            logits_to_keep=keep,
            use_cache=past is not None,
        ).logits
        firsts = [keep - 1 - len(row.stem) for _, row in rows]
        return read_options(encoded, logits[:, -keep:], firsts), usage

    def _go_on(
        self, encoded: Sequence[Encoded], rows: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor, Any, Usage]:
        """What is left to run of each row after its shared start, padded on the left.

        So all rows end together, and so do the positions that are read.

        Args:
            encoded: the requests.
            rows: each request's token sequences, in the same order; one where it has no options.

        Returns:
            The tokens, [rows, longest]; the mask, with the starts before them; their keys and
            values, if any; what is run.
        """
        starts: list[Prefix | None] = [None] * len(rows)
        known = computed = 0
        if self._prefixes:
            starts, known, computed = self._prefixes.starts(encoded)
        rest = [row[one.length if one else 0 :] for row, one in zip(rows, starts, strict=True)]
        ids, mask, usage = pad_rows(rest, self._pad, self._device)
        past = None
        if self._prefixes and any(starts):
            past, before = self._prefixes.assemble(starts)
            mask = torch.cat([before, mask], dim=1)
        return ids, mask, past, Usage(usage.tokens + computed, usage.padding, known - computed)

    def _score_decoder(self, encoded: Sequence[Encoded]) -> tuple[list[Answer], Usage]:
        rows = [(one, row) for one in encoded for row in one.rows]
        contexts = [one.context for one, _ in rows]
        ids, mask, usage = pad_rows(contexts, self._pad, self._device, right=True)
        first = self._writing.get("decoder_start_token_id")
        if first is None:
            raise ModelError(f"the configuration of {self.name} lacks decoder_start_token_id")
        width = 1 + max(len(row.stem) for _, row in rows)
        target = torch.tensor(
            [[first, *row.stem, *[self._pad] * (width - 1 - len(row.stem))] for _, row in rows],
            device=self._device,
        )
        logits = self._model(input_ids=ids, attention_mask=mask, decoder_input_ids=target).logits
        written = sum(1 + len(row.stem) for _, row in rows)
        usage = Usage(usage.tokens + written, usage.padding + target.numel() - written)
        return read_options(encoded, logits, [0] * len(rows)), usage

    def _generate(
        self, requests: Sequence[Request], encoded: Sequence[Encoded]
    ) -> tuple[list[Answer], Usage]:
        contexts = [one.context for one in encoded]
        if self._encoder_decoder:
            past = None
            ids, mask, usage = pad_rows(contexts, self._pad, self._device, right=True)
        else:
            ids, mask, past, usage = self._go_on(encoded, contexts)
        out = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=past,
            do_sample=False,
            max_new_tokens=max(request.max_tokens for request in requests),
            pad_token_id=self._pad,
            **self._writing,
        )
        start = 1 if self._encoder_decoder else ids.shape[1]
        ends = self._writing.get("eos_token_id")
        answers, written = read_texts(requests, out[:, start:].tolist(), self._tokenizer, ends)
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
    """Loads a local model.

    Args:
        name: a folder, a ``.gguf`` file, or a hub id.
        dtype: "auto", "float32", "bfloat16" or "float16".
        device: "auto", or a torch device such as "cpu" or "cuda:0".
        batch_tokens: padded tokens a batch; None for what suits the device.
        trust_remote_code: run code that comes with the model.
        shown_as: the name to show; ``name`` where None.
        prefix_bytes: memory for shared prompt starts; 0 computes every prompt whole.
        threads: of the processor; None for all that this process may use (``use_threads``).
        starts_end: as for ``LocalModel``.

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
