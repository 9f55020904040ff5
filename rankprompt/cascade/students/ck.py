"""The student ``ck``: IDCM's convolutional kernel model (arXiv 2105.09816, section 3.3)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional

from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.model_folders import digest, make_folder, write_bytes
from rankprompt.errors import ModelError
from rankprompt.files import write_atomically

__all__ = ["CK", "KERNELS", "QUERY_TOKENS", "CKStudent", "cuts_query", "load_ck", "save_ck"]

KERNELS = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9)
"""Where the RBF kernels stand on the cosine."""

SIGMA = 0.1
QUERY_TOKENS = 30
"""A longer query is cut."""

_LEAST = 1e-4  # of a kernel's sum, before its logarithm
_FORM = 1
_BATCH = 64  # windows at a time: more only pads more


class CK(nn.Module):
    """Scores windows by soft matches of n-grams; higher is more relevant.

    A trigram is centred on its token (the paper leaves the padding open). The embeddings are the
    encoder's, and stay as they are: they are neither trained nor saved.

    Args:
        weight: input embeddings, shape (vocabulary, dimensions).
        channels: of the convolution; None for as many as there are dimensions.
    """

    embedding: torch.Tensor
    kernels: torch.Tensor

    def __init__(self, weight: torch.Tensor, channels: int | None = None) -> None:
        super().__init__()
        dimensions = weight.shape[1]
        self.channels = channels or dimensions
        self.register_buffer("embedding", weight.detach().float(), persistent=False)
        self.register_buffer("kernels", torch.tensor(KERNELS), persistent=False)
        self.convolution = nn.Conv1d(dimensions, self.channels, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(len(KERNELS)))
        self.combine = nn.Linear(len(KERNELS), 1)
        nn.init.uniform_(self.combine.weight, -0.01, 0.01)

    def represent(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The n-grams' vectors, of length 1 (or 0), shape (texts, tokens, channels)."""
        # Padding is 0, which is what the convolution sees beyond the end as well.
        vectors = self.embedding[ids] * mask.unsqueeze(-1)
        grams = functional.relu(self.convolution(vectors.transpose(1, 2))).transpose(1, 2)
        return functional.normalize(grams, dim=-1)

    def match(
        self,
        query: torch.Tensor,
        query_mask: torch.Tensor,
        window: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Scores each window against the query in its row.

        Args:
            query: as from ``represent``, shape (rows, query tokens, channels).
            query_mask: shape (rows, query tokens).
            window: shape (rows, window tokens, channels).
            mask: shape (rows, window tokens).

        Returns:
            Shape (rows,).
        """
        cosine = query @ window.transpose(1, 2)
        near = torch.exp(-((cosine.unsqueeze(-1) - self.kernels) ** 2) / (2 * SIGMA**2))
        summed = (near * mask[:, None, :, None]).sum(2)
        logs = (summed * self.scale).clamp(min=_LEAST).log()
        pooled = (logs * query_mask.unsqueeze(-1)).sum(1)
        scores: torch.Tensor = self.combine(pooled).squeeze(-1)
        return scores

    def forward(
        self,
        query: tuple[torch.Tensor, torch.Tensor],
        windows: tuple[torch.Tensor, torch.Tensor],
        owner: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scores windows.

        Args:
            query: ids and mask, shape (queries, tokens).
            windows: ids and mask, shape (windows, tokens).
            owner: each window's query, a row of ``query``; None where there is one query each.

        Returns:
            Shape (windows,).
        """
        vectors, mask = self.represent(*query), query[1]
        if owner is not None:
            vectors, mask = vectors[owner], mask[owner]
        return self.match(vectors, mask, self.represent(*windows), windows[1])


@dataclass(frozen=True)
class CKStudent:
    """Scores a document's windows for a query with a CK model.

    Attributes:
        model: in evaluation mode.
        encoder: whose tokenizer and embeddings it uses.
        card: how it was made.
    """

    model: CK
    encoder: Encoder
    card: dict[str, Any]

    @torch.inference_mode()
    def __call__(self, query: str, windows: Sequence[str]) -> list[float]:
        """Scores windows, in their order; higher is more relevant."""
        scores: list[float] = []
        ids, mask = self.encoder.encode([query], QUERY_TOKENS)
        asked = self.model.represent(ids, mask)
        for start in range(0, len(windows), _BATCH):
            found, there = self.encoder.encode(windows[start : start + _BATCH])
            rows = len(found)
            scores += self.model.match(
                asked.expand(rows, -1, -1), mask.expand(rows, -1),
                self.model.represent(found, there), there,
            ).tolist()  # fmt: skip
        return scores

    def cuts(self, query: str) -> bool:
        """Whether a query is longer than ``QUERY_TOKENS``."""
        return cuts_query(self.encoder, query)


def cuts_query(encoder: Encoder, query: str) -> bool:
    """Whether a query is longer than ``QUERY_TOKENS``."""
    ids, _ = encoder.encode([query], QUERY_TOKENS + 1)
    return ids.shape[1] > QUERY_TOKENS


def save_ck(model: CK, encoder: Encoder, folder: Path, how: dict[str, Any]) -> None:
    """Saves a model: ``ck.safetensors``, ``ck.json`` (the card) and ``README.md``.

    Args:
        model: its embeddings are not saved.
        encoder: whose embeddings it was made with.
        folder: made if it is not there.
        how: how it was made, JSON.

    Raises:
        InputError: the folder cannot be written.
    """
    make_folder(folder)
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    card = {
        "form": _FORM,
        "model": "ck",
        "channels": model.channels,
        "dimensions": model.embedding.shape[1],
        "weights": digest(weights),
        "encoder": {
            "source": encoder.source,
            "fingerprint": encoder.fingerprint,
            "tokenizer": encoder.tokenizer_fingerprint,
        },
        "training": how,
    }
    write_bytes(folder / "ck.safetensors", weights)
    write_atomically(folder / "README.md", _readme(card))
    # Last, since it vouches for the weights.
    write_atomically(folder / "ck.json", json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def load_ck(folder: Path | str, encoder: Encoder | str | None = None) -> CKStudent:
    """Loads a CK student.

    Args:
        folder: that ``save_ck`` wrote.
        encoder: the encoder or its folder; None for the folder that the card names.

    Raises:
        ModelError: the folder is no CK model, or damaged; or it was made with another encoder or
            tokenizer.
    """
    path = Path(folder).expanduser()
    try:
        card = json.loads((path / "ck.json").read_text("utf-8"))
        weights = (path / "ck.safetensors").read_bytes()
        made = card["encoder"]
        source, known = made["source"], (made["fingerprint"], made["tokenizer"])
        if card["form"] != _FORM or card["model"] != "ck":
            raise ValueError(f"form {card['form']} of {card['model']!r} is not known")
        if card["weights"] != digest(weights):
            raise ValueError("ck.safetensors is not the file that ck.json describes")
        tensors = load(weights)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{folder}: not a CK student: {reason}") from error
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder or source)
    for what, now, then in zip(
        ("encoder", "tokenizer"),
        (encoder.fingerprint, encoder.tokenizer_fingerprint),
        known,
        strict=True,
    ):
        if now != then:
            raise ModelError(
                f"{folder}: this CK student was made with another {what} ({source}, fingerprint "
                f"{then}) than {encoder.source} ({now}); give that one, or train it anew"
            )
    model = CK(encoder.weight, card["channels"])
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: not a CK student: {reason}") from error
    return CKStudent(model.eval(), encoder, card)


def _readme(card: dict[str, Any]) -> str:
    return f"""\
# A CK student of rankprompt

It chooses the windows of a document that a ranker reads (`rerank --cascade ck:FOLDER`). It is
IDCM's convolutional kernel model (arXiv 2105.09816): a convolution over three tokens,
{card["channels"]} channels wide, and {len(KERNELS)} kernels on cosines.

It works with one encoder's input embeddings and tokenizer alone, and is refused with others:

- source: {card["encoder"]["source"]}
- fingerprint: {card["encoder"]["fingerprint"]}
- tokenizer: {card["encoder"]["tokenizer"]}

How it was made (also in `ck.json`):

```json
{json.dumps(card["training"], indent=2, ensure_ascii=False)}
```
"""
