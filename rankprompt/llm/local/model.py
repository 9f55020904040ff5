"""The local back end: a transformers model in this process."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local import preparation, processor
from rankprompt.llm.local.batch_encoding import Encoder
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encodes_ahead import EncodesAhead
from rankprompt.llm.local.encoding import (
    EncodedRequest,
    check_batch,
    check_length,
    make_shareable,
)
from rankprompt.llm.local.facts import ModelFacts
from rankprompt.llm.local.hidden_states import last_states, layers_of
from rankprompt.llm.local.level_starts import LevelStarts
from rankprompt.llm.local.limits import device_limits
from rankprompt.llm.local.loading import load_pair, resolve_device, resolve_dtype
from rankprompt.llm.local.machine import available_cores
from rankprompt.llm.local.memory import free_bytes
from rankprompt.llm.local.onednn_linear import prepack, trial_outputs
from rankprompt.llm.local.packed_rows import row_packer_for
from rankprompt.llm.local.planner import Planner
from rankprompt.llm.local.prefix_cache import SHORTEST, prefix_cache_for
from rankprompt.llm.local.runner import Runner, Ways
from rankprompt.llm.local.saved_tokenizer import tokenizer_text
from rankprompt.llm.local.texts import Reading, TextReader, write_texts
from rankprompt.llm.local.trials import changing_length, heeds_padding, trial, writes_space
from rankprompt.llm.local.variant import PLAIN, Variant
from rankprompt.llm.special_tokens import escape, special_token_pattern

__all__ = ["LocalModel", "load"]


class LocalModel:
    """A decoder-only or encoder-decoder language model that answers in batches.

    One thread at a time may call ``plan`` and ``answer``. Meanwhile, others may count, cut and
    escape texts.

    Args:
        model: in evaluation mode, on its device; changed in place, for inference only.
        tokenizer: the model's.
        name: the name that the user gave.
        batch_tokens: maximum padded tokens of a batch (a longer request is a batch of its own).
        prefix_bytes: memory for shared prompt prefixes; None for the device's default, 0 runs every
            prompt whole.
        launch_tokens: what starting a pass costs, in tokens; None for the device's default.

    Attributes:
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
        prefix_bytes: int | None = None,
        launch_tokens: int | None = None,
    ) -> None:
        self.name = name
        self._tokenizing = make_shareable(tokenizer)
        self._model, self._tokenizer, self._device = model, tokenizer, model.device
        self.dtype = str(model.dtype).removeprefix("torch.")
        self._encoder_decoder: bool = model.config.is_encoder_decoder
        self._chat = ChatTemplate(tokenizer, name) if tokenizer.chat_template else None
        generation = preparation.greedy_settings(model, tokenizer)
        pad = tokenizer.pad_token_id
        if pad is None:
            pad = tokenizer.eos_token_id or 0
        self._pad: int = pad
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
        free = next(iter(free_bytes(self._device)), None)
        given = {
            "tokens": batch_tokens, "prefix_bytes": prefix_bytes, "launch_tokens": launch_tokens,
        }  # fmt: skip
        limits = device_limits(self._device.type, free)._replace(
            **{name: value for name, value in given.items() if value is not None}
        )
        caches = limits.prefix_bytes and ways.pads and not self._encoder_decoder
        self.prefix_cache = prefix_cache_for(model, limits.prefix_bytes, tried) if caches else None
        levels = packer = None
        if self.prefix_cache and limits.launch_tokens is not None:
            levels = LevelStarts(
                self.prefix_cache,
                launch_tokens=limits.launch_tokens,
                pass_tokens=limits.tokens,
            )
        elif self.prefix_cache:
            packer = row_packer_for(model, self.prefix_cache, tried)
        self._planner = Planner(
            name,
            limits,
            vocabulary=model.config.get_text_config().vocab_size,
            cache=self.prefix_cache,
            levels=levels,
            packer=packer,
        )
        self._runner = Runner(model, pad, generation, ways, levels or self.prefix_cache, packer)
        self._reader = TextReader(tokenizer, generation.get("eos_token_id"))
        self._encoder = Encoder(
            tokenizer,
            chat=self._chat,
            encoder_decoder=self._encoder_decoder,
            shortest_start=SHORTEST if self.prefix_cache else None,
        )
        # A CPU without a free core would only be disturbed.
        idle = self._device.type != "cpu" or available_cores() > torch.get_num_threads()
        self._ahead = EncodesAhead(self._encode) if idle else None

    def prepare(self, requests: Sequence[Request]) -> None:
        """Begins to encode what will be planned next, while the model runs; changes no answer."""
        if self._ahead:
            self._ahead.begin(requests)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches; deterministic."""
        if self._ahead:
            self._ahead.wait()
        self._encoded = dict(zip(requests, self._encode(requests), strict=True))
        return self._planner.plan(requests, self._encoded)

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
        scores = check_batch(requests, longest, self.context_length, self.name)
        if not scores:
            return self._planner.run(self._generate, requests, encoded)
        return self._planner.run(
            lambda _, batch: self._runner.score(batch), requests, encoded, scores=True
        )

    @property
    def layers(self) -> int:
        """The number of layers, whose states ``last_states`` reads."""
        return len(layers_of(self._model))

    def last_states(
        self, requests: Sequence[Request], layers: Sequence[int]
    ) -> tuple[list[npt.NDArray[np.float32]], Usage]:
        """Reads hidden states at the last token of each prompt of one batch, in the same order.

        ``layers``, the result and the errors are those of the function of this name.
        """
        encoded = self._encode(requests)
        check_length(max(one.length for one in encoded), self.context_length, self.name)
        return self._planner.run(
            lambda _, batch: last_states(
                self._model, [one.context for one in batch], self._pad, layers
            ),
            requests,
            encoded,
        )

    @property
    def batch_tokens(self) -> int:
        """Maximum padded tokens of a batch; lowered once memory runs out."""
        return self._planner.batch_tokens

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
        def write(indices: Sequence[int], limits: Sequence[int]) -> tuple[list[Reading], Usage]:
            return self._write([encoded[index] for index in indices], limits)

        spaces = [self.context_length - len(one.context) for one in encoded]
        return write_texts(write, [request.max_tokens for request in requests], spaces)

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
    prefix_bytes: int | None = None,
    threads: int | None = None,
    variant: Variant = PLAIN,
) -> LocalModel:
    """Loads a local model from a folder, a ``.gguf`` file or a hub id.

    The arguments are those of ``load_model`` and ``LocalModel``; ``shown_as`` is the name to show.

    Raises:
        ModelError: the model cannot be loaded.
        InputError: no such device or dtype, or a variant that the model cannot have.
        MissingPackageError: what the variant needs is not installed.
    """
    where = resolve_device(device)
    if where.type == "cpu":
        processor.use_threads(threads)
    pair = load_pair(
        name,
        dtype=resolve_dtype(dtype, where),
        device=where,
        trust_remote_code=trust_remote_code,
        variant=variant,
    )
    return LocalModel(
        *pair,
        name=shown_as or name,
        batch_tokens=batch_tokens,
        prefix_bytes=prefix_bytes,
    )
