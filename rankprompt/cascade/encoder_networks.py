"""A network's first output for encoded texts: ONNX by onnxruntime, others by transformers."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rankprompt.errors import ModelError
from rankprompt.llm.local.model_files import first_line, quieten_transformers
from rankprompt.llm.tokenizer_offsets import load_tokenizer

__all__ = ["Network", "folder_fingerprint", "load_network"]

Arrays: TypeAlias = dict[str, npt.NDArray[np.int64]]

_BATCH = 32
_HASHED = {".bin", ".json", ".onnx", ".safetensors"}


@dataclass(frozen=True)
class Network:
    """A network with its tokenizer.

    Attributes:
        folder: where it lies.
        tokenizer: neither pads, nor cuts but at ``longest``.
        longest: the most tokens that it reads, special ones included.
        batch: encoded texts a forward pass.
        fingerprint: of the folder's weights, tokenizer and configuration.
        forward: arrays by the inputs' names, shape (batch, tokens), to the first output.
        pad: the padding's token id.
    """

    folder: Path
    tokenizer: Any
    longest: int
    batch: int
    fingerprint: str
    forward: Callable[[Arrays], npt.NDArray[np.float32]]
    pad: int

    def run(
        self, encoded: Sequence[Any]
    ) -> Iterator[tuple[list[int], npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        """Runs encoded texts, those of alike length together.

        Yields:
            The places in ``encoded`` of a batch, its output, and its mask, shape (batch, tokens).
        """
        order = sorted(range(len(encoded)), key=lambda place: -len(encoded[place].ids))
        for start in range(0, len(order), self.batch):
            places = order[start : start + self.batch]
            rows = [encoded[place] for place in places]
            arrays = {
                "input_ids": _pad([one.ids for one in rows], self.pad),
                "attention_mask": _pad([one.attention_mask for one in rows]),
                "token_type_ids": _pad([one.type_ids for one in rows]),
            }
            yield places, self.forward(arrays), arrays["attention_mask"]


def load_network(folder: Path | str, kind: str) -> Network:
    """Loads an encoder or a classifier.

    An ONNX model runs one text at a time: on a CPU that is as fast as a batch, and an int8 model's
    output would depend on what else is in the batch (its activations are scaled together).
    onnxruntime takes as many threads as ``OMP_NUM_THREADS`` says, else as there are cores.

    Args:
        folder: ``tokenizer.json`` with ``model.onnx``, or a model that transformers loads.
        kind: "encoder" (a vector a token) or "classifier" (logits a text).

    Raises:
        ModelError: it cannot be loaded; says what to install.
    """
    path = Path(folder).expanduser()
    tokenizer = load_tokenizer(path)
    longest = _longest(path)
    tokenizer.enable_truncation(longest, strategy="longest_first")
    if (path / "model.onnx").is_file():
        batch, forward = 1, _from_onnx(path / "model.onnx")
    else:
        batch, forward = _BATCH, _from_transformers(path, kind)
    # Padding is masked, but must be in the vocabulary, and RoBERTa counts places by it.
    pad = next((i for t in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(t)) is not None), 0)
    return Network(path, tokenizer, longest, batch, folder_fingerprint(path), forward, pad)


def _from_onnx(path: Path) -> Callable[[Arrays], npt.NDArray[np.float32]]:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ModelError("an ONNX model needs: pip install 'rankprompt[onnx]'") from None
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises classes of its own, all bare exceptions
        raise ModelError(f"cannot load {path}: {first_line(error)}") from error
    names = [one.name for one in session.get_inputs()]
    if unknown := set(names) - {"input_ids", "attention_mask", "token_type_ids"}:
        raise ModelError(f"{path}: it has an unknown input, {min(unknown)!r}")

    def forward(arrays: Arrays) -> npt.NDArray[np.float32]:
        output: npt.NDArray[np.float32] = session.run(None, {one: arrays[one] for one in names})[0]
        return output

    return forward


def _from_transformers(path: Path, kind: str) -> Callable[[Arrays], npt.NDArray[np.float32]]:
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    from rankprompt.llm.local.onednn_linear import prepack, trial_outputs

    quieten_transformers()
    make: Any = AutoModel if kind == "encoder" else AutoModelForSequenceClassification
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = make.from_pretrained(str(path), dtype=torch.float32).to(device).eval()
    except Exception as error:  # whatever a broken file makes transformers raise
        raise ModelError(f"cannot load the {kind} {str(path)!r}: {first_line(error)}") from error
    typed = getattr(model.config, "type_vocab_size", 0) > 1
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]
    prepack(model, trial_outputs)

    def forward(arrays: Arrays) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            given = {one: torch.from_numpy(arrays[one]).to(device) for one in names}
            output: npt.NDArray[np.float32] = model(**given)[0].float().cpu().numpy()
        return output

    return forward


def _longest(folder: Path) -> int:
    """The tokens that a model reads: the least that its settings name, else 512 (BERT's)."""
    found = []
    for name, key in (
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    ):
        if (folder / name).is_file():
            try:
                value = json.loads((folder / name).read_text("utf-8")).get(key)
            except (OSError, ValueError, AttributeError) as error:
                raise ModelError(f"cannot read {folder / name}: {error}") from error
            # Without a limit, transformers writes 1e30; positions of 514 are RoBERTa's 512.
            if isinstance(value, int) and 0 < value < 10**6:
                found.append(512 if value == 514 else value)
    return min(found, default=512)


def folder_fingerprint(folder: Path) -> str:
    """Of a model's folder: weights, tokenizer and settings."""
    digest = blake2b(digest_size=16)
    for path in sorted(one for one in folder.iterdir() if one.suffix in _HASHED):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def _pad(rows: Sequence[Sequence[int]], pad: int = 0) -> npt.NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded
