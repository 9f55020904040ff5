"""A network's output for encoded texts: ONNX by onnxruntime, other models by transformers."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rankprompt.errors import PIP_LINES, ModelError
from rankprompt.files.home import expand
from rankprompt.llm.local.model_files import check_config, first_line, quieten_transformers
from rankprompt.llm.model_folders import folder_fingerprint
from rankprompt.llm.tokenizer_offsets import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["Batch", "Network", "load_network"]

Forward: TypeAlias = Callable[[Mapping[str, npt.NDArray[np.int64]]], npt.NDArray[np.float32]]
"""Maps the named inputs, shape (texts, tokens), to the network's first output."""

_BATCH = 32


class Batch(NamedTuple):
    """The indices of some texts, their output (texts, ...), and mask (texts, tokens)."""

    indices: list[int]
    output: npt.NDArray[np.float32]
    mask: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Network:
    """A network with its tokenizer.

    Attributes:
        folder: The model's folder.
        tokenizer: Truncates at ``longest`` tokens, special tokens included, and does not pad.
        longest: The most tokens that the network reads.
        batch: Encoded texts in a forward pass.
        fingerprint: The digest of the folder.
        forward: Runs the network.
        pad: The padding token's id.
    """

    folder: Path
    tokenizer: "Tokenizer"
    longest: int
    batch: int
    fingerprint: str
    forward: Forward
    pad: int

    def run(self, encoded: Sequence["Encoding"]) -> Iterator[Batch]:
        """Runs encoded texts in batches of similar length, the longest first."""
        order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index].ids))
        for start in range(0, len(order), self.batch):
            indices = order[start : start + self.batch]
            texts = [encoded[index] for index in indices]
            inputs = {
                "input_ids": _pad([text.ids for text in texts], self.pad),
                "attention_mask": _pad([text.attention_mask for text in texts]),
                "token_type_ids": _pad([text.type_ids for text in texts]),
            }
            yield Batch(indices, self.forward(inputs), inputs["attention_mask"])


def load_network(folder: Path | str, kind: Literal["encoder", "classifier"]) -> Network:
    """Loads an encoder or a classifier.

    An ONNX model runs one text at a time. On a CPU that is as fast as a batch, and an int8 model's
    output would depend on the other texts of a batch (their activations share one scale).
    onnxruntime uses ``OMP_NUM_THREADS`` threads where that is set, else one for each core.

    Args:
        folder: Holds ``tokenizer.json``, and ``model.onnx`` or a model that transformers loads.
        kind: "encoder" (a vector for each token) or "classifier" (logits for each text).

    Raises:
        ModelError: The network cannot be loaded; the message says what to install.
    """
    path = expand(folder)
    tokenizer: Tokenizer = load_tokenizer(path)
    longest = _longest(path)
    tokenizer.enable_truncation(longest, strategy="longest_first")
    if (path / "model.onnx").is_file():
        batch, forward = 1, _from_onnx(path / "model.onnx")
    else:
        batch, forward = _BATCH, _from_transformers(path, kind)
    # Padding is masked, but its id must be in the vocabulary, and RoBERTa counts positions by it.
    pad = next((i for t in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(t)) is not None), 0)
    return Network(path, tokenizer, longest, batch, folder_fingerprint(path), forward, pad)


def _from_onnx(path: Path) -> Forward:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ModelError(f"an ONNX model needs: {PIP_LINES['onnx']}") from None
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ModelError(f"cannot load {path}: {first_line(error)}") from error
    names = [node.name for node in session.get_inputs()]
    if unknown := set(names) - {"input_ids", "attention_mask", "token_type_ids"}:
        raise ModelError(f"{path}: the model has an unknown input, {min(unknown)!r}")

    def forward(inputs: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        output: npt.NDArray[np.float32] = session.run(None, {n: inputs[n] for n in names})[0]
        return output

    return forward


def _from_transformers(path: Path, kind: Literal["encoder", "classifier"]) -> Forward:
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    from rankprompt.llm.local.onednn_linear import prepack, trial_outputs

    quieten_transformers()
    auto_class = AutoModel if kind == "encoder" else AutoModelForSequenceClassification
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def forward(inputs: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(inputs[name]).to(device) for name in names}
            output: npt.NDArray[np.float32] = model(**tensors)[0].float().cpu().numpy()
        return output

    try:
        check_config(str(path))
        model = auto_class.from_pretrained(str(path), dtype=torch.float32).to(device).eval()
        typed = getattr(model.config, "type_vocab_size", 0) > 1
        names = ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]
        prepack(model, trial_outputs)
        # Many a setting that cannot work shows only where the model computes.
        ones = np.ones((2, 2), dtype=np.int64)
        forward(dict.fromkeys(names, ones) | {"token_type_ids": ones - 1})
    except Exception as error:  # transformers raises many classes on a broken file
        raise ModelError(f"cannot load the {kind} {str(path)!r}: {first_line(error)}") from error
    return forward


def _longest(folder: Path) -> int:
    """The most tokens a model reads: the least limit in its configuration, else 512 (BERT's)."""
    limits = []
    for name, key in (
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    ):
        if (folder / name).is_file():
            try:
                content = json.loads((folder / name).read_text("utf-8"))
                value = content.get(key)
            except (OSError, ValueError, AttributeError, RecursionError) as error:
                raise ModelError(f"cannot read {folder / name}: {error}") from error
            # transformers writes 1e30 for no limit; RoBERTa has 514 positions for 512 tokens.
            if isinstance(value, int) and 0 < value < 10**6:
                limits.append(512 if value == 514 else value)
    return min(limits, default=512)


def _pad(rows: Sequence[Sequence[int]], pad: int = 0) -> npt.NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded
