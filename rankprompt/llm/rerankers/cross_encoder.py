"""Cross-encoders: classifiers that read a query and a passage together, in this process."""

import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Problem, Request, Usage
from rankprompt.llm.encoder_networks import Network, load_network
from rankprompt.llm.local.variant import PLAIN, Variant
from rankprompt.llm.longest_prefix import cut_to_fit
from rankprompt.llm.network_inputs import NetworkSettings
from rankprompt.llm.rerankers.classifier_files import check_classifier
from rankprompt.llm.rerankers.names import find_weights
from rankprompt.llm.rerankers.scores import read_scores
from rankprompt.llm.special_tokens import escape, special_token_pattern

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["CrossEncoderModel", "load"]

log = logging.getLogger("rankprompt")

# Padded tokens of a batch, as for language models: a few texts keep a CPU busy.
_BATCH_TOKENS = 4096
# The requests of few queries come together. Memory must not grow with all queries ever asked.
_QUERIES = 256
_MOST_COUNTED = 1 << 14


class CrossEncoderModel:
    """A sequence classifier with one label, or with two, of which the second means relevant.

    A query may have half of the context; the rest of a longer one is not read. A pair that is
    longer than the context is refused: judges truncate passages before.

    One thread at a time may call ``plan`` and ``answer``. Meanwhile, others may count, cut and
    escape texts.

    Args:
        network: The classifier, whose tokenizer does not truncate.
        name: The name that the user gave.
        batch_tokens: The most padded tokens of a batch (a longer pair is a batch of its own).
        dtype: The number format, where it is not the file's own.
        weights: Which weights these are, in words.

    Attributes:
        name: The name that the user gave.
        fingerprint: Changes whenever scores may change.
        context_length: The most tokens of query and passage together, special tokens included.
        dtype: The number format of the weights; None for an ONNX model.
        weights: Which weights these are; None for a user's own.
    """

    def __init__(
        self,
        network: Network,
        *,
        name: str,
        batch_tokens: int | None = None,
        dtype: str | None = None,
        weights: str | None = None,
    ) -> None:
        self._network, self._tokenizer, self.name = network, network.tokenizer, name
        self.context_length, self.dtype, self.weights = network.longest, dtype, weights
        self._batch_tokens = batch_tokens or _BATCH_TOKENS
        self._query_tokens = network.longest // 2
        self.fingerprint = f"{network.fingerprint} relevance {self._query_tokens}"
        if dtype not in (None, "float32"):
            self.fingerprint += f" {dtype}"
        self._cut = lru_cache(_QUERIES)(self._read_of)
        self._longer: set[int] = set()
        self._counting = Lock()
        self._encoded: dict[Request, Encoding] = {}
        self._frame = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        added = self._tokenizer.get_added_tokens_decoder().values()
        self._special = special_token_pattern(token.content for token in added if token.special)

    @property
    def queries_cut(self) -> int:
        """How many queries were longer than half of the context; 16,384 stands for more, too."""
        return len(self._longer)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Splits requests into batches of similar length, longest first; deterministic."""
        self._encoded = dict(zip(requests, self._encode(requests), strict=True))
        lengths = [len(self._encoded[request].ids) for request in requests]
        batches: list[list[int]] = []
        for index in sorted(range(len(requests)), key=lambda index: -lengths[index]):
            if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= self._batch_tokens:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Scores one batch, in the same order.

        A score that is not finite is given as one that is not a number.

        Raises:
            ModelError: A request has no passage or is too long, or the network cannot be loaded, or
                has neither one label nor two.
        """
        if any(request.passage is None for request in requests):
            raise ModelError(f"{self.name} is a reranker: it scores passages, and does not write")
        if not all(request in self._encoded for request in requests):
            self._encoded = dict(zip(requests, self._encode(requests), strict=True))
        encoded = [self._encoded[request] for request in requests]
        longest = max(len(encoding.ids) for encoding in encoded)
        if longest > self.context_length:
            raise ModelError(
                f"a query and a passage of {longest} tokens do not fit into the "
                f"{self.context_length} of {self.name}"
            )
        try:
            return self._score(encoded)
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
        # Outside the handler, because the traceback would keep the failed batch's memory.
        if len(requests) == 1:
            raise ModelError(
                f"{self.name} has no memory for a single passage; lower `passage_tokens`"
            )
        self._batch_tokens = max(1, self._batch_tokens // 2)
        log.warning("out of memory; continuing with %d tokens a batch", self._batch_tokens)
        middle = len(requests) // 2
        first, usage = self.answer(requests[:middle])
        second, more = self.answer(requests[middle:])
        return first + second, Usage(*map(sum, zip(usage, more, strict=True)))

    def _score(self, encoded: "Sequence[Encoding]") -> tuple[list[Answer], Usage]:
        odds = [math.nan] * len(encoded)
        tokens = padding = 0
        for indices, logits, mask in self._network.run(encoded, batch=len(encoded)):
            tokens += int(mask.sum())
            padding += int(mask.size - mask.sum())
            for index, score in zip(indices, read_scores(logits, self.name), strict=True):
                odds[index] = float(score) if math.isfinite(score) else math.nan
        full: Problem = "damaged" if self.dtype in (None, "float32") else ""
        answers = [
            Answer((value,), (1,), problem=full if math.isnan(value) else "") for value in odds
        ]
        return answers, Usage(tokens, padding)

    def length(self, request: Request) -> int:
        """Counts a request's tokens, special tokens included."""
        query = self._count(self._cut(request.prompt))
        return query + self._count(request.passage or "") + self._frame

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""

        def fits(end: int) -> bool:
            return self._count(text[:end]) <= tokens

        return cut_to_fit(text, tokens, fits)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)

    def _encode(self, requests: Sequence[Request]) -> "list[Encoding]":
        return self._tokenizer.encode_batch(
            [(self._cut(request.prompt), request.passage or "") for request in requests]
        )

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _read_of(self, query: str) -> str:
        """Returns what is read of a query; says so once where that is not all."""
        cut = self.truncate(query, self._query_tokens)
        if cut == query:
            return cut
        with self._counting:
            if not self._longer:
                log.warning(
                    "a query is longer than half of the %d tokens that %s reads: only its first %d "
                    "tokens are read, of this and of other such queries",
                    self.context_length, self.name, self._query_tokens,
                )  # fmt: skip
            if len(self._longer) < _MOST_COUNTED:
                self._longer.add(hash(query))
        return cut


def _joins_texts(network: Network) -> bool:
    """Whether the tokenizer puts no special token between two texts, as BERT's and most do."""
    owners = network.tokenizer.encode("a", "b").sequence_ids
    return {0, 1} <= {*owners} and None not in owners[owners.index(0) : owners.index(1)]


def load(
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    shown_as: str | None = None,
    threads: int | None = None,
    variant: Variant = PLAIN,
    **_: object,
) -> CrossEncoderModel:
    """Loads a cross-encoder; its weights are loaded by the first request.

    Args:
        name: ``ms-marco-minilm-l12``, a folder, an ``.onnx`` file or a hub id.
        dtype: as for ``load_model``; "auto" is float32.
        device: as for ``load_model``; an ONNX model runs on the CPU.
        batch_tokens: as for ``load_model``; an ONNX model reads each passage alone.
        trust_remote_code: as for ``load_model``.
        shown_as: the name to show.
        threads: as for ``load_model``.
        variant: at most a revision.

    Raises:
        ModelError: the model cannot be loaded; the message says what to install.
        InputError: no such device or dtype, or not for an ONNX model; or what only a language model
            has.
    """
    shown = shown_as or name
    variant.refuse_others(shown, "revision")
    weights = find_weights(name, code=trust_remote_code, revision=variant.revision)
    settings = NetworkSettings(dtype, device, threads, trust_remote_code)
    network = load_network(
        weights.folder, "classifier", settings=settings, truncates=False, lazy=True
    )
    check_classifier(network.folder, shown)
    if _joins_texts(network):
        log.warning(
            "%s reads a passage right after the query, with nothing between them: if it was "
            "trained with a prompt, its scores mean little; name the language model and its prompt "
            "instead",
            shown,
        )
    if weights.description:
        log.info("%s: %s", shown, weights.description)
    model = CrossEncoderModel(
        network,
        name=shown,
        batch_tokens=batch_tokens,
        dtype=None if network.is_onnx else "float32" if dtype == "auto" else dtype,
        weights=weights.description or None,
    )
    if trust_remote_code:
        code = b"".join(path.read_bytes() for path in sorted(network.folder.glob("*.py")))
        model.fingerprint += f" {blake2b(code, digest_size=8).hexdigest()}"
    return model
