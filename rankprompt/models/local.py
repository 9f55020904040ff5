"""The local backend: a transformers model on this machine."""

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankprompt.errors import ModelError
from rankprompt.models.base import Answer, Request, Usage
from rankprompt.models.encoding import Encoded, encode
from rankprompt.models.loading import load_pair, resolve_device, resolve_dtype

__all__ = ["LocalModel", "load"]

# A CPU is fully busy with a few sequences; larger batches only pad more.
_BATCH_TOKENS = {"cpu": 4096}
_BATCH_TOKENS_ACCELERATOR = 32768


class LocalModel:
    """A causal or encoder-decoder language model, answering in batches.

    Args:
        model: in evaluation mode, on its device.
        tokenizer: its own.
        name: the name that the user gave.
        batch_tokens: padded tokens a batch, at the most (a longer request stands alone).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        batch_tokens: int | None = None,
    ) -> None:
        self.name = name
        self._model: Any = model
        self._tokenizer = tokenizer
        self._device = model.device
        self._batch_tokens = batch_tokens or _BATCH_TOKENS.get(
            self._device.type, _BATCH_TOKENS_ACCELERATOR
        )
        self._encoder_decoder: bool = model.config.is_encoder_decoder
        self._writing = _greedy(self._model, tokenizer)
        self.fingerprint = _fingerprint(model, tokenizer, self._writing)
        if model.dtype != torch.float32:
            _project_in_float32(model)
        self._pad = tokenizer.pad_token_id
        if self._pad is None:
            self._pad = tokenizer.eos_token_id or 0
        self.context_length = _context_length(model, tokenizer)
        self._encoded: dict[Request, Encoded] = {}

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of alike length, longest first; deterministic."""
        self._encoded = {request: self._encode(request) for request in requests}
        keyed = sorted(
            range(len(requests)),
            key=lambda i: (not requests[i].options, -self._encoded[requests[i]].length, i),
        )
        batches: list[list[int]] = []
        rows = written = longest = 0
        for i in keyed:
            request = requests[i]
            more = max(1, len(self._encoded[request].rows))
            same = batches and bool(request.options) == bool(requests[batches[-1][0]].options)
            width = longest + max(written, request.max_tokens)
            if not same or (rows + more) * width > self._batch_tokens:
                batches.append([])
                rows = written = 0
                longest = self._encoded[request].length
            batches[-1].append(i)
            rows, written = rows + more, max(written, request.max_tokens)
        return batches

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
        with torch.inference_mode():
            if not scored[0]:
                return self._generate(requests, encoded)
            if self._encoder_decoder:
                return self._score_decoder(encoded)
            return self._score_causal(encoded)

    def length(self, request: Request) -> int:
        """The tokens of a request: prompt, template and the longest answer together."""
        encoded = self._encode(request)
        return len(encoded.context) + max(request.max_tokens, *encoded.counts, 0)

    def cut(self, text: str, tokens: int) -> str:
        """The longest start of a text with at most ``tokens`` tokens, on a character's bound."""

        def count(part: str) -> int:
            return len(self._tokenizer(part, add_special_tokens=False).input_ids)

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

    def _encode(self, request: Request) -> Encoded:
        return encode(self._tokenizer, request, encoder_decoder=self._encoder_decoder)

    def _score_causal(self, encoded: Sequence[Encoded]) -> tuple[list[Answer], Usage]:
        rows = [(one, row) for one in encoded for row in one.rows]
        # Padded on the left, all rows end together, and so do the positions that are read.
        ids, mask, usage = self._pad_left([(*one.context, *row.stem) for one, row in rows])
        keep = 1 + max(len(row.stem) for _, row in rows)
        logits = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=keep,
            use_cache=False,
        ).logits
        starts = [keep - 1 - len(row.stem) for _, row in rows]
        return _read(encoded, logits[:, -keep:], starts), usage

    def _score_decoder(self, encoded: Sequence[Encoded]) -> tuple[list[Answer], Usage]:
        rows = [(one, row) for one in encoded for row in one.rows]
        ids, mask, usage = self._pad_left([one.context for one, _ in rows], right=True)
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
        return _read(encoded, logits, [0] * len(rows)), usage

    def _generate(
        self, requests: Sequence[Request], encoded: Sequence[Encoded]
    ) -> tuple[list[Answer], Usage]:
        contexts = [one.context for one in encoded]
        ids, mask, usage = self._pad_left(contexts, right=self._encoder_decoder)
        out = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=max(request.max_tokens for request in requests),
            pad_token_id=self._pad,
            **self._writing,
        )
        ends = self._writing.get("eos_token_id")
        ends = ends if isinstance(ends, list) else [ends]
        start = 1 if self._encoder_decoder else ids.shape[1]
        answers = []
        written = 0
        for request, tokens in zip(requests, out[:, start:].tolist(), strict=True):
            # Others in the batch may have gone on for longer.
            length = min(request.max_tokens, len(tokens))
            end = next((place for place in range(length) if tokens[place] in ends), length)
            written += min(end + 1, length)
            text = self._tokenizer.decode(tokens[:end], skip_special_tokens=True)
            answers.append(Answer(text=str(text)))
        return answers, Usage(usage.tokens + written, usage.padding)

    def _pad_left(
        self, sequences: Sequence[Sequence[int]], *, right: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, Usage]:
        longest = max(map(len, sequences))
        ids = torch.full((len(sequences), longest), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            place = slice(0, len(sequence)) if right else slice(longest - len(sequence), longest)
            ids[row, place] = torch.tensor(sequence)
            mask[row, place] = 1
        tokens = sum(map(len, sequences))
        return ids.to(self._device), mask.to(self._device), Usage(tokens, ids.numel() - tokens)


def _read(encoded: Sequence[Encoded], logits: torch.Tensor, starts: Sequence[int]) -> list[Answer]:
    """Reads the options' log-likelihoods off the logits.

    Args:
        encoded: the requests, whose rows stand in order.
        logits: [rows, positions, vocabulary].
        starts: each row's position whose logits predict the first token after the context.
    """
    answers = []
    index = 0
    for one in encoded:
        found = [0.0] * len(one.counts)
        for row in one.rows:
            start = starts[index]
            # [stem + 1, vocabulary]
            scores = logits[index, start : start + len(row.stem) + 1].float()
            norms = scores.logsumexp(-1)
            stem = sum(
                float(scores[place, token] - norms[place]) for place, token in enumerate(row.stem)
            )
            for option, token in row.lasts:
                found[option] = stem + float(scores[-1, token] - norms[-1])
            index += 1
        answers.append(Answer(tuple(found), one.counts))
    return answers


def _project_in_float32(model: Any) -> None:
    """Does the last projection in float32.

    In bfloat16 a logit of 20 moves in steps of an eighth, and the gap between two labels is often
    lost in the rounding.
    """
    head = model.get_output_embeddings()
    if head is None or not hasattr(head, "weight"):
        raise ModelError("this model shows no output embeddings; load it with --dtype float32")
    # A new parameter: the input embeddings may share the old one.
    head.weight = torch.nn.Parameter(head.weight.detach().float(), requires_grad=False)
    if getattr(head, "bias", None) is not None:
        head.bias = torch.nn.Parameter(head.bias.detach().float(), requires_grad=False)
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def _greedy(model: Any, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
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


def _context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    config = model.config.get_text_config()
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    limits.append(tokenizer.model_max_length)
    # A tokenizer without a limit says 10^30.
    return min((one for one in limits if isinstance(one, int) and 0 < one < 10**9), default=2**20)


def _fingerprint(
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
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.element_size() in (2, 4):
            yield name, tensor.contiguous()
        else:
            yield name, tensor.contiguous().float()


def load(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    shown_as: str | None = None,
) -> LocalModel:
    """Loads a local model.

    Args:
        name: a folder, a ``.gguf`` file, or a hub id.
        dtype: "auto", "float32", "bfloat16" or "float16".
        device: "auto", or a torch device such as "cpu" or "cuda:0".
        batch_tokens: padded tokens a batch; None for what suits the device.
        trust_remote_code: run code that comes with the model.
        shown_as: the name to show; ``name`` where None.

    Raises:
        ModelError: the model cannot be loaded.
        InputError: no such device or dtype.
    """
    where = resolve_device(device)
    model, tokenizer = load_pair(
        name,
        dtype=resolve_dtype(dtype, where),
        device=where,
        trust_remote_code=trust_remote_code,
    )
    return LocalModel(model, tokenizer, name=shown_as or name, batch_tokens=batch_tokens)
