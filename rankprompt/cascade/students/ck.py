"""The student ``ck``: IDCM's convolutional kernel model (arXiv 2105.09816, section 3.3)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import nn
from torch.nn import functional

from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.students.base import Student, StudentConfig, TextsOnly
from rankprompt.errors import InputError, ModelError
from rankprompt.files import write_atomically
from rankprompt.files.home import expand
from rankprompt.files.json_schema import read_as
from rankprompt.llm.model_folders import digest, make_folder

__all__ = ["CK", "KERNELS", "QUERY_TOKENS", "CKStudent", "load", "load_ck", "save_ck"]

KERNELS = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9)
"""The means (mu) of the RBF kernels on the cosine, as in the paper."""

SIGMA = 0.1
"""The width of every kernel."""

QUERY_TOKENS = 30
"""The most tokens of a query that are read, as in the paper; the rest is truncated."""

_LEAST = 1e-4  # the least value of a kernel's sum before the logarithm
_FORM = 1
_BATCH = 64  # windows scored together; more would only add padding


class CK(nn.Module):
    """Scores windows by soft matches of trigrams; higher is more relevant.

    The encoder's input embeddings are neither trained nor saved (the paper detaches them too). A
    trigram is centred on its token; the paper leaves the padding open.

    Args:
        weight: The input embeddings, shape (vocabulary, dimensions).
        channels: Width of the convolution; None for the number of dimensions.
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
        """Returns the trigrams' vectors, of length 1 (or 0), shape (texts, tokens, channels)."""
        # Padding tokens are 0, which is also what the convolution sees beyond the end of a text.
        vectors = self.embedding[ids] * mask.unsqueeze(-1)
        trigrams = functional.relu(self.convolution(vectors.transpose(1, 2))).transpose(1, 2)
        return functional.normalize(trigrams, dim=-1)

    def match(
        self,
        query: torch.Tensor,
        query_mask: torch.Tensor,
        window: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Scores each window against the query in the same row, shape (rows,).

        The vectors of ``represent`` have the shape (rows, tokens, channels), masks (rows, tokens).
        """
        cosine = query @ window.transpose(1, 2)
        kernels = torch.exp(-((cosine.unsqueeze(-1) - self.kernels) ** 2) / (2 * SIGMA**2))
        per_token = (kernels * mask[:, None, :, None]).sum(2)
        logs = (per_token * self.scale).clamp(min=_LEAST).log()
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
            query: Ids and mask, shape (queries, tokens).
            windows: Ids and mask, shape (windows, tokens).
            owner: The row of ``query`` that each window belongs to; None where the rows of both
                correspond.

        Returns:
            Scores, shape (windows,).
        """
        vectors, mask = self.represent(*query), query[1]
        if owner is not None:
            vectors, mask = vectors[owner], mask[owner]
        return self.match(vectors, mask, self.represent(*windows), windows[1])


@dataclass(frozen=True)
class _Trained:
    source: str
    fingerprint: str
    tokenizer: str


@dataclass(frozen=True)
class _Card:
    form: int
    model: str
    channels: int
    dimensions: int
    weights: str
    encoder: _Trained


@dataclass(frozen=True)
class CKStudent:
    """Scores windows for a query with a CK model in evaluation mode, and its encoder."""

    model: CK
    encoder: Encoder

    @torch.inference_mode()
    def __call__(self, query: str, windows: Sequence[str]) -> list[float]:
        """Scores windows, in their order; higher is more relevant."""
        scores: list[float] = []
        ids, query_mask = self.encoder.encode([query], QUERY_TOKENS)
        vectors = self.model.represent(ids, query_mask)
        for start in range(0, len(windows), _BATCH):
            ids, mask = self.encoder.encode(windows[start : start + _BATCH])
            rows = len(ids)
            scores += self.model.match(
                vectors.expand(rows, -1, -1), query_mask.expand(rows, -1),
                self.model.represent(ids, mask), mask,
            ).tolist()  # fmt: skip
        return scores

    def cuts(self, query: str) -> bool:
        """Returns whether a query is longer than ``QUERY_TOKENS``."""
        return self.encoder.truncates(query, QUERY_TOKENS)


def save_ck(model: CK, encoder: Encoder, folder: Path, training: Mapping[str, object]) -> None:
    """Saves a model as ``ck.safetensors``, ``ck.json`` (the card) and ``README.md``.

    The embeddings are not saved. ``training`` says how the model was trained, in JSON values.

    Raises:
        InputError: The folder cannot be written.
    """
    make_folder(folder)
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    source = {
        "source": encoder.source,
        "fingerprint": encoder.fingerprint,
        "tokenizer": encoder.tokenizer_fingerprint,
    }
    card = {
        "form": _FORM,
        "model": "ck",
        "channels": model.channels,
        "dimensions": model.embedding.shape[1],
        "weights": digest(weights),
        "encoder": source,
        "training": training,
    }
    write_atomically(folder / "ck.safetensors", weights)
    write_atomically(folder / "README.md", _readme(model.channels, source, training))
    # The card is written last, because it vouches for the weights.
    write_atomically(folder / "ck.json", json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def load(config: StudentConfig) -> Student:
    """Returns the student ``ck`` of a folder."""
    student = load_ck(config.folder)
    return TextsOnly(student, student.cuts)


def load_ck(folder: Path | str, encoder: Encoder | str | None = None) -> CKStudent:
    """Loads a CK student.

    Args:
        folder: A folder that ``save_ck`` wrote.
        encoder: The encoder or its folder; None for the folder that the card names.

    Raises:
        ModelError: The folder holds no CK model or a damaged one, or the model was trained with
            another encoder or tokenizer.
    """
    path = expand(folder)
    try:
        card = read_as(_Card, path / "ck.json")
        weights = (path / "ck.safetensors").read_bytes()
        if card.form != _FORM or card.model != "ck":
            raise ValueError(f"form {card.form} of {card.model!r:.40} is not known")
        if card.weights != digest(weights):
            raise ValueError("ck.safetensors is not the file that ck.json describes")
        tensors = load_tensors(weights)
    except (OSError, ValueError, InputError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{folder}: not a CK student: {reason}") from error
    trained = card.encoder
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder or trained.source)
    for noun, present, expected in (
        ("encoder", encoder.fingerprint, trained.fingerprint),
        ("tokenizer", encoder.tokenizer_fingerprint, trained.tokenizer),
    ):
        if present != expected:
            raise ModelError(
                f"{folder}: this CK student was made with another {noun} ({trained.source:.200}, "
                f"fingerprint {expected:.40}) than {encoder.source} ({present}); give that one, or "
                "train it anew"
            )
    try:
        # The card's width is checked before it decides how much memory the network takes.
        if tensors["convolution.weight"].shape[0] != card.channels or card.channels < 1:
            raise ValueError(f"its weights do not have {card.channels} channels")
        if card.dimensions != encoder.weight.shape[1]:
            raise ValueError(f"its weights are not for {card.dimensions} dimensions")
        model = CK(encoder.weight, card.channels)
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: not a CK student: {reason}") from error
    return CKStudent(model.eval(), encoder)


def _readme(channels: int, source: Mapping[str, str], training: Mapping[str, object]) -> str:
    return f"""\
# A CK student of rankprompt

It chooses the windows of a document that a ranker reads (`rerank --cascade ck:FOLDER`). It is
IDCM's convolutional kernel model (arXiv 2105.09816): a convolution over three tokens,
{channels} channels wide, and {len(KERNELS)} kernels on cosines.

It works with one encoder's input embeddings and tokenizer alone, and is refused with others:

- source: {source["source"]}
- fingerprint: {source["fingerprint"]}
- tokenizer: {source["tokenizer"]}

How it was made (also in `ck.json`):

```json
{json.dumps(training, indent=2, ensure_ascii=False)}
```
"""
