"""A network's output for encoded texts: ONNX by onnxruntime, other models by transformers."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rankprompt.errors import InputError
from rankprompt.files.home import expand
from rankprompt.llm.local.machine import available_cores
from rankprompt.llm.model_folders import folder_fingerprint, read_settings
from rankprompt.llm.network_inputs import Forward, NetworkSettings, padded_inputs
from rankprompt.llm.onnx_network import check_onnxruntime, find_onnx, open_onnx
from rankprompt.llm.segment_ids import gives_segments, segments_word
from rankprompt.llm.sentence_modules import module_files
from rankprompt.llm.tokenizer_offsets import load_by_transformers, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["Batch", "Network", "load_network", "load_reader"]

# Model types whose positions begin after the padding token's id.
_SHIFTED = ("roberta", "camembert", "xmod", "mpnet", "longformer", "data2vec-text", "ernie_m")
_VOCABULARIES = ("vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spm.model", "spiece.model")


class Batch(NamedTuple):
    """The indices of some texts, their output (texts, ...), and mask (texts, tokens)."""

    indices: list[int]
    output: npt.NDArray[np.float32]
    mask: npt.NDArray[np.int64]


class Network:
    """A network with its tokenizer; its weights are loaded by the first text.

    Several threads may run it, and use its tokenizer, at the same time.

    Args:
        folder: The model's folder.
        tokenizer: Truncates at ``longest`` tokens, special tokens included, and does not pad.
        longest: The most tokens that the network reads.
        fingerprint: The digest of the folder.
        pad: The padding token's id.
        load: Loads the weights; returns the network, and how many texts a forward pass may have.
        is_onnx: Whether onnxruntime runs it, in the number format of its file.
        threads: Forward passes at a time.

    Attributes:
        folder: The model's folder.
        tokenizer: As above.
        longest: As above.
        fingerprint: As above.
        is_onnx: As above.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: "Tokenizer",
        *,
        longest: int,
        fingerprint: str,
        pad: int,
        load: Callable[[], tuple[Forward, int]],
        is_onnx: bool = False,
        threads: int = 1,
    ) -> None:
        self.folder, self.tokenizer, self.is_onnx = folder, tokenizer, is_onnx
        self.longest, self.fingerprint = longest, fingerprint
        self._pad, self._load = pad, load
        self._loading = Lock()
        self._loaded: tuple[Forward, int] | None = None
        # Its threads are started by the first texts.
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def load(self) -> tuple[Forward, int]:
        """Loads the weights, unless that has been done.

        Returns:
            The network, and how many texts a forward pass may have.

        Raises:
            ModelError: They cannot be loaded.
        """
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def run(self, encoded: Sequence["Encoding"], *, batch: int | None = None) -> Iterator[Batch]:
        """Runs encoded texts in batches of similar length, the longest first.

        Args:
            encoded: The texts; none is empty.
            batch: The most texts of a forward pass, for networks that do not run each text alone;
                None for their default.
        """
        forward, together = self.load()
        rows = together if batch is None or together == 1 else max(1, batch)
        order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index].ids))
        batches = [order[start : start + rows] for start in range(0, len(order), rows)]
        inputs = [
            padded_inputs([encoded[index] for index in indices], self._pad) for indices in batches
        ]
        pool = self._pool if len(batches) > 1 else None
        outputs = pool.map(forward, inputs) if pool else map(forward, inputs)
        for indices, given, output in zip(batches, inputs, outputs, strict=True):
            yield Batch(indices, output, given["attention_mask"])


def load_network(
    folder: Path | str,
    kind: Literal["encoder", "classifier"],
    *,
    settings: NetworkSettings = NetworkSettings(),  # noqa: B008, immutable
    truncates: bool = True,
    lazy: bool = False,
) -> Network:
    """Loads an encoder or a classifier.

    An ONNX model runs one text at a time on each thread. On a CPU that is faster than a batch, and
    an int8 model's output would depend on the other texts of a batch (their activations share one
    scale). So the output does not depend on the number of threads.

    Args:
        folder: Holds ``tokenizer.json``, and an ONNX model (``find_onnx`` says where) or a model
            that transformers loads; or an ``.onnx`` file in such a folder.
        kind: "encoder" (a vector for each token) or "classifier" (logits for each text).
        settings: How the network computes.
        truncates: Whether the tokenizer truncates what is too long.
        lazy: Whether to load the weights only when they are needed. The tokenizer and what the
            configuration says are read at once.

    Raises:
        ModelError: The network cannot be loaded; the message says what to install.
        InputError: A setting does not go with an ONNX model.
    """
    path, onnx = _locate(folder)
    tokenizer, longest = _tokenizer(path), _longest(path)
    if truncates:
        tokenizer.enable_truncation(longest, strategy="longest_first")
    pad = _padding(path, tokenizer)
    more = module_files(path) if kind == "classifier" else []
    segments, word = True, ""
    if kind == "classifier":
        segments = gives_segments(path, is_onnx=onnx is not None)
        word = segments_word(path, segments, is_onnx=onnx is not None)
    threads, load = 1, lambda: _from_transformers(path, kind, settings, tokenizer, pad, segments)
    if onnx:
        _check_settings(settings)
        check_onnxruntime()
        threads, load = _threads(settings.threads), lambda: (open_onnx(onnx, segments=segments), 1)
        # An exporter writes large weights into a file beside the model.
        data = [] if onnx.parent == path else [onnx, *sorted(onnx.parent.glob(f"{onnx.name}_data"))]
        more = [*more, *data]
    network = Network(
        path,
        tokenizer,
        longest=longest,
        fingerprint=folder_fingerprint(path, more=more) + word,
        pad=pad,
        load=load,
        is_onnx=onnx is not None,
        threads=threads,
    )
    if not lazy:
        network.load()
    return network


def load_reader(folder: Path | str) -> tuple["Tokenizer", int]:
    """Loads what cuts a network's texts, and nothing of its weights.

    Args:
        folder: As for ``load_network``.

    Returns:
        The tokenizer, which does not truncate, and the most tokens that the network reads.

    Raises:
        ModelError: They cannot be read.
    """
    path, _ = _locate(folder)
    return _tokenizer(path), _longest(path)


def _locate(folder: Path | str) -> tuple[Path, Path | None]:
    """The model's folder, and its ONNX file, if any."""
    path = expand(folder)
    onnx = path if path.is_file() and path.suffix == ".onnx" else find_onnx(path)
    if path == onnx:
        path = path.parent if (path.parent / "tokenizer.json").is_file() else path.parent.parent
    return path, onnx


def _from_transformers(
    path: Path,
    kind: Literal["encoder", "classifier"],
    settings: NetworkSettings,
    tokenizer: "Tokenizer",
    pad: int,
    segments: bool,
) -> tuple[Forward, int]:
    from rankprompt.llm import transformers_network

    if kind == "encoder":
        return transformers_network.open_encoder(path, settings)
    return transformers_network.open_classifier(path, settings, tokenizer, pad, segments)


def _check_settings(settings: NetworkSettings) -> None:
    if settings.dtype not in ("auto", "float32"):
        raise InputError(
            f"`dtype` {settings.dtype} plays no part: an ONNX model has its own format"
        )
    if settings.device not in ("auto", "cpu"):
        raise InputError(f"`device` {settings.device} plays no part: an ONNX model runs on the CPU")


def _threads(number: int | None) -> int:
    """Returns a number of threads; None means OMP_NUM_THREADS, else all available cores."""
    if number is not None:
        return max(1, number)
    variable = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(variable)) if variable.isdecimal() else available_cores()


def _tokenizer(path: Path) -> "Tokenizer":
    """Loads a folder's tokenizer; an older one without a ``tokenizer.json`` by transformers."""
    if (path / "tokenizer.json").is_file() or not any(
        (path / name).is_file() for name in _VOCABULARIES
    ):
        return load_tokenizer(path)
    found: Tokenizer = load_by_transformers(str(path)).backend_tokenizer
    found.no_truncation()
    found.no_padding()
    return found


def _padding(path: Path, tokenizer: "Tokenizer") -> int:
    """The padding token's id: masked, but RoBERTa counts positions by it, and Qwen finds the end.

    It must be in the vocabulary.
    """
    named = read_settings(path / "config.json").get("pad_token_id")
    if isinstance(named, int) and 0 <= named < tokenizer.get_vocab_size():
        return named
    return next((i for t in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(t)) is not None), 0)


def _longest(folder: Path) -> int:
    """The most tokens a model reads: the least limit in its configuration, else 512 (BERT's)."""
    config = read_settings(folder / "config.json")
    positions = config.get("max_position_embeddings")
    kind, pad = str(config.get("model_type")), config.get("pad_token_id")
    if isinstance(positions, int) and isinstance(pad, int) and any(s in kind for s in _SHIFTED):
        positions -= pad + 1
    values = [
        read_settings(folder / "tokenizer_config.json").get("model_max_length"),
        read_settings(folder / "sentence_bert_config.json").get("max_seq_length"),
        512 if positions == 514 else positions,
    ]
    # transformers writes 1e30 for no limit.
    limits = [value for value in values if isinstance(value, int) and 0 < value < 10**6]
    return min(limits, default=512)
