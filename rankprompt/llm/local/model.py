"""The local back end: a transformers model in this process."""

import logging
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local import preparation, processor
from rankprompt.llm.local.batch_encoding import Encoder
from rankprompt.llm.local.batches import plan_batches
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encodes_ahead import EncodesAhead
from rankprompt.llm.local.encoding import EncodedRequest, make_shareable
from rankprompt.llm.local.facts import ModelFacts
from rankprompt.llm.local.loading import load_pair, resolve_device, resolve_dtype
from rankprompt.llm.local.machine import available_cores
from rankprompt.llm.local.onednn_linear import prepack, trial_outputs
from rankprompt.llm.local.packed_rows import row_packer_for
from rankprompt.llm.local.prefix_cache import PREFIX_BYTES, SHORTEST, prefix_cache_for
from rankprompt.llm.local.runner import Runner, Ways
from rankprompt.llm.local.saved_tokenizer import tokenizer_text
from rankprompt.llm.local.texts import Reading, TextReader
from rankprompt.llm.local.trials import changing_length, heeds_padding, trial, writes_space
from rankprompt.llm.special_tokens import escape, special_token_pattern

__all__ = ["REASONING_TOKENS", "LocalModel", "load"]

log = logging.getLogger("rankprompt")

_BATCH_TOKENS_ACCELERATOR = 32768
# On a CPU, a forward pass costs as much as some 25 tokens, because it reads all weights. So a batch
# may end where the next request is shorter; twice 25, since rows are cheaper together.
_MAX_PADDING = {"cpu": 50}
# Room for the reasoning of a model that reasons although it is told not to, beside its answer.
REASONING_TOKENS = 1024


class LocalModel:
    """A decoder-only or encoder-decoder language model that answers in batches.

    One thread at a time may call ``plan`` and ``answer``. Meanwhile, others may count, cut and
    escape texts.

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
        self._tokenizing = make_shareable(tokenizer)
        self._model, self._tokenizer, self._device = model, tokenizer, model.device
        self.dtype = str(model.dtype).removeprefix("torch.")
        on_cpu = self._device.type == "cpu"
        self.batch_tokens = batch_tokens or (
            processor.batch_tokens() if on_cpu else _BATCH_TOKENS_ACCELERATOR
        )
        self._encoder_decoder: bool = model.config.is_encoder_decoder
        self._chat = ChatTemplate(tokenizer, name) if tokenizer.chat_template else None
        generation = preparation.greedy_settings(model, tokenizer)
        pad = tokenizer.pad_token_id
        if pad is None:
            pad = tokenizer.eos_token_id or 0
        tried = trial(model)
        ways = Ways(heeds_padding(model, tried, pad, name), changing_length(model))
        if self._chat and not self._encoder_decoder:
            self._chat.settle_lead(lambda text: writes_space(model, tokenizer, text))
        put = self._chat.signature if self._chat else ""
        self.fingerprint = preparation.fingerprint(
            model, tokenizer, generation, [*([put] if put else []), *map(str, ways.unusual)]
        )
        if model.dtype != torch.float32:
            preparation.project_in_float32(model)
        prepack(model, trial_outputs)
        self.context_length = preparation.context_length(model, tokenizer)
        self._special = special_token_pattern(preparation.special_tokens(tokenizer))
        self._encoded: dict[Request, EncodedRequest] = {}
        caches = prefix_bytes and ways.pads and not self._encoder_decoder
        self.prefix_cache = prefix_cache_for(model, prefix_bytes, tried) if caches else None
        packs = starts_end and self.prefix_cache and self._device.type == "cpu"
        self._packer = row_packer_for(model, tried) if packs and not ways.changing_length else None
        self._packed: set[Request] = set()
        self._runner = Runner(model, pad, generation, ways, self.prefix_cache)
        self._reader = TextReader(tokenizer, generation.get("eos_token_id"))
        self._encoder = Encoder(
            tokenizer,
            chat=self._chat,
            encoder_decoder=self._encoder_decoder,
            shortest_start=SHORTEST if self.prefix_cache else None,
        )
        # A CPU without a free core would only be disturbed.
        free = not on_cpu or available_cores() > torch.get_num_threads()
        self._ahead = EncodesAhead(self._encode) if free else None

    def prepare(self, requests: Sequence[Request]) -> None:
        """Begins to encode what will be planned next, while the model runs; changes no answer."""
        if self._ahead:
            self._ahead.begin(requests)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of similar length, longest first; deterministic."""
        if self._ahead:
            self._ahead.wait()
        self._encoded = dict(zip(requests, self._encode(requests), strict=True))
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
        unplanned = [request for request in requests if request not in self._encoded]
        again = dict(zip(unplanned, self._encode(unplanned), strict=True))
        encoded = [again.get(request) or self._encoded[request] for request in requests]
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
                if self._packer and self._packed.issuperset(requests):
                    return self._packer.score(encoded)
                return self._runner.score(encoded)
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

    def facts(self) -> ModelFacts | None:
        """What a later run must know before it asks anything; None if its tokenizer is unusual."""
        text = tokenizer_text(self._tokenizer)
        return text and ModelFacts(
            fingerprint=self.fingerprint,
            context_length=self.context_length,
            dtype=self.dtype,
            encoder_decoder=self._encoder_decoder,
            lead=self._chat.lead if self._chat else "",
            signature=self._chat.signature if self._chat else "",
            dated="strftime_now" in str(self._tokenizer.chat_template),
            special_tokens=tuple(sorted(preparation.special_tokens(self._tokenizer))),
            tokenizer=text,
        )

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together."""
        return self._encode([request])[0].size(request.max_tokens)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        with self._tokenizing:
            return self._encoder.truncate(text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)

    def _encode(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        with self._tokenizing:
            return self._encoder(requests)

    def _generate(
        self, requests: Sequence[Request], encoded: Sequence[EncodedRequest]
    ) -> tuple[list[Answer], Usage]:
        limits = [request.max_tokens for request in requests]
        readings, usage = self._write(encoded, limits)
        # Greedily, the same reasoning is written again, and then all of it.
        rooms = [
            min(limit + REASONING_TOKENS, self.context_length - len(one.context))
            for limit, one in zip(limits, encoded, strict=True)
        ]
        unended = [
            index
            for index, (answer, _, reasoned) in enumerate(readings)
            if reasoned and answer.problem in ("thinking", "cut") and rooms[index] > limits[index]
        ]
        if unended:
            again, more = self._write([encoded[i] for i in unended], [rooms[i] for i in unended])
            usage = Usage(*map(sum, zip(usage, more, strict=True)))
            for index, reading in zip(unended, again, strict=True):
                readings[index] = reading
        return [reading.answer for reading in readings], usage

    def _write(
        self, encoded: Sequence[EncodedRequest], limits: Sequence[int]
    ) -> tuple[list[Reading], Usage]:
        generated, usage = self._runner.generate(encoded, max(limits))
        with self._tokenizing:
            readings = [
                self._reader.read(tokens, limit)
                for tokens, limit in zip(generated, limits, strict=True)
            ]
        written = sum(reading.tokens for reading in readings)
        return readings, usage._replace(tokens=usage.tokens + written)


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
        processor.use_threads(threads)
    code = trust_remote_code
    pair = load_pair(name, dtype=resolve_dtype(dtype, where), device=where, trust_remote_code=code)
    return LocalModel(
        *pair,
        name=shown_as or name,
        batch_tokens=batch_tokens,
        prefix_bytes=prefix_bytes,
        starts_end=starts_end,
    )
