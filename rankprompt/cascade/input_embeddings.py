"""An encoder's input embeddings and tokenizer, from a transformers folder or an ONNX model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rankprompt.errors import ModelError
from rankprompt.files.home import expand
from rankprompt.llm.local.model_files import check_config, first_line, quieten_transformers
from rankprompt.llm.model_folders import digest
from rankprompt.llm.tokenizer_offsets import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Encoder", "load_encoder", "mask_of"]


@dataclass(frozen=True)
class Encoder:
    """The input embeddings and the tokenizer that a CK student uses.

    Attributes:
        source: The encoder's folder.
        weight: The input embeddings, shape (vocabulary, dimensions), float32; never trained.
        tokenizer: Neither truncates nor pads.
        fingerprint: The digest of ``weight``.
        tokenizer_fingerprint: The digest of the tokenizer.
    """

    source: str
    weight: torch.Tensor
    tokenizer: "Tokenizer"
    fingerprint: str
    tokenizer_fingerprint: str

    def encode(
        self, texts: Sequence[str], limit: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the token ids of texts, without special tokens, each text up to ``limit``.

        Returns:
            Ids and mask (true for a token), both of shape (texts, most tokens, at least 1).
        """
        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        rows = [encoding.ids[:limit] for encoding in encoded]
        mask = mask_of([len(row) for row in rows])
        flat = torch.tensor([token for row in rows for token in row], dtype=torch.long)
        return torch.zeros_like(mask, dtype=torch.long).masked_scatter(mask, flat), mask

    def truncates(self, text: str, limit: int) -> bool:
        """Returns whether a text has more than ``limit`` tokens."""
        ids, _ = self.encode([text], limit + 1)
        return ids.shape[1] > limit


def mask_of(sizes: Sequence[int]) -> torch.Tensor:
    """Returns a mask, shape (rows, most but at least 1), true for the first ``sizes`` of a row."""
    return torch.arange(max([1, *sizes])) < torch.tensor(sizes)[:, None]


def load_encoder(folder: Path | str) -> Encoder:
    """Loads an encoder's input embeddings and its tokenizer.

    Args:
        folder: Holds ``tokenizer.json``, and either ``model.onnx``, whose embedding table is read
            (and de-quantised), or a model that transformers loads.

    Raises:
        ModelError: The embeddings or the tokenizer are missing or cannot be read.
    """
    path = expand(folder)
    tokenizer = load_tokenizer(path)
    onnx = path / "model.onnx"
    weight = _from_onnx(onnx) if onnx.is_file() else _from_transformers(path)
    if tokenizer.get_vocab_size() > len(weight):
        raise ModelError(
            f"encoder {str(folder)!r}: its tokenizer has {tokenizer.get_vocab_size():,} tokens, "
            f"its embeddings only {len(weight):,}; these two do not belong together"
        )
    table = digest(repr(weight.shape).encode() + weight.numpy().tobytes())
    vocabulary = digest(tokenizer.to_str().encode("utf-8", "surrogatepass"))
    return Encoder(str(folder), weight, tokenizer, table, vocabulary)


def _from_transformers(path: Path) -> torch.Tensor:
    from transformers import AutoModel

    quieten_transformers()
    try:
        check_config(str(path))
        model = AutoModel.from_pretrained(str(path), dtype=torch.float32)
        table: torch.Tensor = model.get_input_embeddings().weight
    except Exception as error:  # transformers raises many classes on a broken file
        raise ModelError(f"cannot load the encoder {str(path)!r}: {first_line(error)}") from error
    return table.detach().float().clone()


def _from_onnx(path: Path) -> torch.Tensor:
    from rankprompt.cascade.onnx_embeddings import read_embeddings

    try:
        return torch.from_numpy(read_embeddings(path))
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the input embeddings of {path}: {error}") from error
