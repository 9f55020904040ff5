"""Input embeddings and the tokenizer of any encoder: a transformers folder, or an ONNX model's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rankprompt.cascade.model_folders import digest
from rankprompt.errors import ModelError
from rankprompt.llm.local.model_files import first_line, quieten_transformers
from rankprompt.llm.tokenizer_offsets import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Encoder", "load_encoder"]


@dataclass(frozen=True)
class Encoder:
    """What a CK student needs of an encoder.

    Attributes:
        source: the folder.
        weight: the input embeddings, shape (vocabulary, dimensions), float32; never trained.
        tokenizer: neither cuts nor pads.
        fingerprint: of ``weight``.
        tokenizer_fingerprint: of the tokenizer.
    """

    source: str
    weight: torch.Tensor
    tokenizer: "Tokenizer"
    fingerprint: str
    tokenizer_fingerprint: str

    def encode(
        self, texts: Sequence[str], limit: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The token ids of texts, without special tokens.

        Args:
            texts: may be empty.
            limit: tokens a text, at the most; the rest is cut off. None for all.

        Returns:
            Ids and mask (true where there is a token), both of shape (texts, longest or 1).
        """
        found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        rows = [one.ids[:limit] for one in found]
        ids = torch.zeros(len(rows), max([1, *map(len, rows)]), dtype=torch.long)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[place, : len(row)] = True
        return ids, mask


def load_encoder(folder: Path | str) -> Encoder:
    """Loads an encoder's input embeddings and its tokenizer.

    Args:
        folder: holds ``tokenizer.json``, and either a model that transformers can load or a
            ``model.onnx``, whose table of embeddings is read (and de-quantised).

    Raises:
        ModelError: one of them is missing or cannot be read.
    """
    path = Path(folder).expanduser()
    tokenizer = load_tokenizer(path)
    onnx = path / "model.onnx"
    weight = _from_onnx(onnx) if onnx.is_file() else _from_transformers(path)
    if tokenizer.get_vocab_size() > len(weight):
        raise ModelError(
            f"encoder {str(folder)!r}: its tokenizer has {tokenizer.get_vocab_size():,} tokens, "
            f"its embeddings only {len(weight):,}; these two do not belong together"
        )
    table = digest(repr(weight.shape).encode() + weight.numpy().tobytes())
    words = digest(tokenizer.to_str().encode("utf-8", "surrogatepass"))
    return Encoder(str(folder), weight, tokenizer, table, words)


def _from_transformers(path: Path) -> torch.Tensor:
    from transformers import AutoModel

    quieten_transformers()
    try:
        model = AutoModel.from_pretrained(str(path), dtype=torch.float32)
        table: torch.Tensor = model.get_input_embeddings().weight
    except Exception as error:  # whatever a broken file makes transformers raise
        raise ModelError(f"cannot load the encoder {str(path)!r}: {first_line(error)}") from error
    return table.detach().float().clone()


def _from_onnx(path: Path) -> torch.Tensor:
    from rankprompt.cascade.onnx_embeddings import read_embeddings

    try:
        return torch.from_numpy(read_embeddings(path))
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the input embeddings of {path}: {error}") from error
