"""A language model in vLLM's engine, by the protocol of ``rankprompt.llm.base``."""

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rankprompt.errors import InputError, ModelError, UnknownNameError, require
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.adapters import check_no_adapter, find_adapter
from rankprompt.llm.local.batch_encoding import Encoder
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encodes_ahead import EncodesAhead
from rankprompt.llm.local.encoding import EncodedRequest, check_batch, make_shareable, truncate
from rankprompt.llm.local.loading import DTYPES
from rankprompt.llm.local.model_files import first_line, quieten_transformers
from rankprompt.llm.local.preparation import special_tokens
from rankprompt.llm.local.texts import Reading, TextReader, write_texts
from rankprompt.llm.special_tokens import escape, special_token_pattern
from rankprompt.llm.vllm.engine import Engine, VllmEngine
from rankprompt.llm.vllm.model_folder import ModelFolder, digest_folder, find_folder, lora_rank
from rankprompt.llm.vllm.scoring import (
    Prompt,
    RequestOutput,
    read_options,
    scoring_prompts,
    writes_space,
)
from rankprompt.llm.vllm.settings import EngineSettings

__all__ = ["VllmModel", "load"]

# Options of the engine that change how fast it answers, and not what.
_PACE = {
    "block_size", "disable_log_stats", "enable_prefix_caching", "enforce_eager",
    "gpu_memory_utilization", "kv_cache_memory_bytes", "max_model_len", "max_num_seqs",
}  # fmt: skip


class VllmModel:
    """A decoder-only language model that vLLM runs.

    The engine starts with the first call of ``plan`` or ``answer``; before, prompts are counted and
    cut by the tokenizer alone. One thread at a time may call ``plan`` and ``answer``. Meanwhile,
    others may count, cut and escape texts.

    Args:
        tokenizer: the model's.
        start: starts the engine.
        name: the name that the user gave.
        dtype: the number format of the weights.
        context_length: the maximum length of prompt and continuation together, in tokens.
        ends: the tokens that end a generated text.
        identity: what else answers depend on: the files, the engine's options.
        adapted: whether the engine has an adapter: vLLM then fails at the log-probabilities of a
            prompt's own tokens, or leaves the adapter out (its issues 29955 and 51594).

    Attributes:
        dtype: number format of the weights, such as "bfloat16".
        engine: vLLM's engine; None before it is started.
        fingerprint: changes with the weights, the tokenizer, the chat template, the number format,
            the adapter, and the engine's options but for those of pace and memory.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        start: Callable[[], Engine],
        *,
        name: str,
        dtype: str,
        context_length: int,
        ends: Sequence[int],
        identity: str,
        adapted: bool = False,
    ) -> None:
        self.name, self.dtype, self.context_length = name, dtype, context_length
        self._tokenizing = make_shareable(tokenizer)
        self._tokenizer, self._start, self._adapted = tokenizer, start, adapted
        self._starting = Lock()
        self.engine: Engine | None = None
        self._special = special_token_pattern(special_tokens(tokenizer))
        self._reader = TextReader(tokenizer, list(ends))
        chat = ChatTemplate(tokenizer, name) if tokenizer.chat_template else None
        if chat:
            chat.settle_lead(self._writes_space)
        put = chat.signature if chat else ""
        self._encoder = Encoder(tokenizer, chat=chat)
        self._ahead = EncodesAhead(self._encode)
        digest = blake2b(json.dumps([identity, dtype, put]).encode(), digest_size=16)
        self.fingerprint = f"vllm {digest.hexdigest()}"

    def prepare(self, requests: Sequence[Request]) -> None:
        """Begins to encode what will be planned next, while vLLM runs; changes no answer."""
        self._ahead.begin(requests)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches, in which those that begin alike are neighbours.

        vLLM schedules a batch by itself, in this order, so that its prefix cache has what the
        neighbour before began with. Deterministic.
        """
        self._ahead.wait()
        contexts = [encoded.context for encoded in self._encode(requests)]
        batches: list[list[int]] = []
        for scored in (True, False):
            indices = [i for i, request in enumerate(requests) if bool(request.options) == scored]
            indices.sort(key=lambda index: (contexts[index], index))
            size = self._started().batch if indices else 1
            batches += [indices[first : first + size] for first in range(0, len(indices), size)]
        return batches

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers one batch, in the same order.

        Raises:
            ModelError: a request exceeds the context length, scoring and generation are mixed, or
                vLLM cannot be started or stopped.
        """
        encoded = self._encode(requests)
        longest = max(
            one.size(request.max_tokens) for one, request in zip(encoded, requests, strict=True)
        )
        scores = check_batch(requests, longest, self.context_length, self.name)
        return self._score(encoded) if scores else self._write(requests, encoded)

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together."""
        return self._encode([request])[0].size(request.max_tokens)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        with self._tokenizing:
            return truncate(self._tokenizer, text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)

    def _started(self) -> Engine:
        with self._starting:
            if self.engine is None:
                self.engine = self._start()
            return self.engine

    def _encode(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        """Encodes requests; what was encoded lately is kept."""
        with self._tokenizing:
            return self._encoder(requests)

    def _score(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        prompts = [scoring_prompts(one, lists_prompts=not self._adapted) for one in encoded]
        flat = [prompt for some in prompts for prompt in some]
        outputs = self._started().generate(flat)
        remaining = iter(outputs)
        try:
            answers = [
                read_options(one, some, [next(remaining) for _ in some])
                for one, some in zip(encoded, prompts, strict=True)
            ]
        except (KeyError, TypeError, IndexError) as error:
            raise ModelError(
                f"vLLM did not list the log-probability of a token of {self.name} that it was "
                "asked for; rankprompt needs vLLM 0.32 or newer"
            ) from error
        return answers, _usage(flat, outputs)

    def _write(
        self, requests: Sequence[Request], encoded: Sequence[EncodedRequest]
    ) -> tuple[list[Answer], Usage]:
        def write(indices: Sequence[int], limits: Sequence[int]) -> tuple[list[Reading], Usage]:
            prompts = [
                Prompt(encoded[index].context, max_tokens=limit)
                for index, limit in zip(indices, limits, strict=True)
            ]
            outputs = self._started().generate(prompts)
            with self._tokenizing:
                readings = [
                    self._reader.read(list(output.outputs[0].token_ids), limit)
                    for output, limit in zip(outputs, limits, strict=True)
                ]
            usage, written = _usage(prompts, outputs), sum(one.tokens for one in readings)
            return readings, usage._replace(tokens=usage.tokens + written, written=written)

        spaces = [self.context_length - len(one.context) for one in encoded]
        return write_texts(write, [request.max_tokens for request in requests], spaces)

    def _writes_space(self, text: str) -> bool:
        ids = tuple(self._tokenizer(text, add_special_tokens=False).input_ids)
        (output,) = self._started().generate([Prompt(ids, likeliest=20)])
        return writes_space(output, lambda token: self._tokenizer.convert_ids_to_tokens([token])[0])


def _usage(prompts: Sequence[Prompt], outputs: Sequence[RequestOutput]) -> Usage:
    reused = sum(output.num_cached_tokens or 0 for output in outputs)
    return Usage(sum(len(prompt.tokens) for prompt in prompts) - reused, 0, reused)


def load(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    shown_as: str | None = None,
    revision: str | None = None,
    adapter: str | None = None,
    engine: EngineSettings | None = None,
    threads: int | None = None,
) -> VllmModel:
    """Reads a model's files and tokenizer; vLLM's engine starts with the first prompt.

    Args:
        name: a folder or a hub id.
        dtype: the number format; "auto" for that of the weights.
        device: "auto", or "cpu" or "cuda", which must be what vLLM runs on here.
        batch_tokens: the most tokens of a step; None for vLLM's default.
        trust_remote_code: run code that comes with the model.
        shown_as: the name to show.
        revision: a branch, tag or commit of a hub model.
        adapter: a LoRA adapter, as a folder or a hub id; None for none.
        engine: settings of vLLM's engine; None for the defaults.
        threads: refused; OMP_NUM_THREADS says it to vLLM.

    Raises:
        MissingPackageError: vLLM is not installed.
        ModelError: no such model, or one that vLLM does not run.
        InputError: a setting that plays no part here, or no such number format.
    """
    require("vllm")
    if dtype not in ("auto", *DTYPES):
        raise UnknownNameError("dtype", dtype, ["auto", *DTYPES])
    if threads is not None:
        raise InputError("`threads` plays no part in vLLM; set OMP_NUM_THREADS for its CPU build")
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"`device` {device}: vLLM takes the GPUs that CUDA_VISIBLE_DEVICES names; leave it out"
        )
    shown, settings = shown_as or name, engine or EngineSettings()
    check_no_adapter(name)
    folder = ModelFolder(find_folder(name, code=trust_remote_code, revision=revision), name)
    lora = find_adapter(adapter) if adapter else None
    if lora:
        lora_rank(lora)
    quieten_transformers()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=trust_remote_code)
    except Exception as error:  # a damaged file makes transformers raise all kinds of exceptions
        raise ModelError(f"cannot load the tokenizer of {name!r}: {first_line(error)}") from error
    number_format = folder.dtype(dtype)
    length = folder.context_length(
        tokenizer.model_max_length, settings.options.get("max_model_len")
    )
    ends = folder.end_tokens(tokenizer.eos_token_id)
    chosen = {name: value for name, value in settings.options.items() if name not in _PACE}
    files = [digest_folder(one) for one in (folder.path, lora) if one]
    identity = [files, ends, chosen, folder.has_plain_head]

    def start() -> Engine:
        return VllmEngine(
            folder,
            shown,
            dtype=number_format,
            context_length=length,
            ends=ends,
            settings=settings,
            device=device,
            batch_tokens=batch_tokens,
            trust_remote_code=trust_remote_code,
            adapter=lora,
        )

    return VllmModel(
        tokenizer,
        start,
        name=shown,
        dtype=number_format,
        context_length=length,
        ends=ends,
        identity=json.dumps(identity, sort_keys=True),
        adapted=lora is not None,
    )
