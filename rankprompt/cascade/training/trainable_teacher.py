"""A teacher that can be trained: a cross-encoder, and the weights of a document's best windows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from rankprompt.cascade.aggregation import TOP_WEIGHTS, top_weights
from rankprompt.cascade.input_embeddings import mask_of
from rankprompt.cascade.teachers.cross_encoder import QUERY_TOKENS
from rankprompt.errors import ModelError
from rankprompt.files import write_atomically
from rankprompt.files.home import expand
from rankprompt.llm.local.model_files import check_config, first_line, quieten_transformers
from rankprompt.llm.model_folders import folder_fingerprint, make_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["TrainableTeacher", "load_trainable", "read_weights", "save_teacher", "weighted_top"]


def weighted_top(scores: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns documents' scores: the best l window scores times l weights (IDCM, eq. 3).

    A missing window adds nothing, whatever its score in the padded tensor.

    Args:
        scores: Window scores, shape (documents, windows).
        mask: True where there is a window, same shape.
        weights: The weights, for the best window first, shape (l,).

    Returns:
        Scores, shape (documents,).
    """
    kept = min(len(weights), scores.shape[1])
    best, indices = torch.where(mask, scores, -torch.inf).topk(kept, dim=-1)
    best = torch.where(mask.gather(1, indices), best, 0)
    return (best * weights[:kept]).sum(-1)


class TrainableTeacher(nn.Module):
    """Scores pairs of a query and a text, and documents by their windows.

    Args:
        encoder: An ``AutoModelForSequenceClassification`` with one label, or with two, of which the
            second means relevant.
        tokenizer: The encoder's tokenizer.
        weights: The initial weights of a document's best windows, best first.
        source: A digest of the folder that it was loaded from.

    Raises:
        ModelError: The encoder has another number of labels.
    """

    def __init__(
        self,
        encoder: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        weights: Sequence[float],
        source: str = "",
    ) -> None:
        super().__init__()
        if encoder.config.num_labels not in (1, 2):
            raise ModelError(
                f"a teacher must have one label or two, not {encoder.config.num_labels}"
            )
        from rankprompt.llm.transformers_network import reads_segments

        self.encoder, self.tokenizer, self.source = encoder, tokenizer, source
        # None: as the tokenizer does by itself.
        self._segments = None if reads_segments(encoder) else False
        self.top = nn.Parameter(torch.tensor(list(weights), dtype=torch.float32))

    def forward(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        """Scores pairs as ``CrossEncoder`` does; long queries and texts are truncated."""
        limit = min(self.tokenizer.model_max_length, self.encoder.config.max_position_embeddings)
        inputs = self.tokenizer(
            [self._truncate(query) for query, _ in pairs], [text for _, text in pairs],
            truncation="longest_first", max_length=limit, padding=True, return_tensors="pt",
            return_token_type_ids=self._segments,
        )  # fmt: skip
        logits = self.encoder(**inputs.to(self.encoder.device)).logits.float()
        scores: torch.Tensor = logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)
        return scores

    def cuts(self, query: str) -> bool:
        """Returns whether a query is truncated."""
        return self._truncate(query) != query

    def _truncate(self, query: str) -> str:
        encoded = self.tokenizer(query, add_special_tokens=False, return_offsets_mapping=True)
        tokens = encoded["offset_mapping"]
        return query if len(tokens) <= QUERY_TOKENS else query[: tokens[QUERY_TOKENS - 1][1]]

    def documents(self, documents: Sequence[tuple[str, Sequence[str]]]) -> torch.Tensor:
        """Scores documents, each a query's text and windows, by all their windows; 0 without any.

        The scores have the shape (documents,).
        """
        mask = mask_of([len(windows) for _, windows in documents]).to(self.top.device)
        scores = torch.zeros(mask.shape, device=mask.device)
        pairs = [(query, window) for query, windows in documents for window in windows]
        if pairs:
            scores = scores.masked_scatter(mask, self(pairs))
        return weighted_top(scores, mask, self.top)


def load_trainable(folder: Path | str, top: int = 3) -> TrainableTeacher:
    """Loads a cross-encoder to train.

    Args:
        folder: A transformers model with its tokenizer, or a folder that ``save_teacher`` wrote,
            whose top-l weights are used.
        top: How many of a document's best windows count (IDCM's l) where the folder does not say;
            their weights are initialised to 1.

    Raises:
        ModelError: The model cannot be loaded, or scores no pairs.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    quieten_transformers()
    path = expand(folder)
    try:
        check_config(str(path))
        tokenizer = AutoTokenizer.from_pretrained(str(path))
        # An encoder without a classification head gets a new one with a single label.
        config = json.loads((path / "config.json").read_text("utf-8"))
        headless = not any("Classification" in name for name in config.get("architectures") or ())
        encoder = AutoModelForSequenceClassification.from_pretrained(
            str(path), dtype=torch.float32, **({"num_labels": 1} if headless else {})
        )
    except Exception as error:  # transformers raises many classes on a broken file
        raise ModelError(f"cannot load the teacher {str(folder)!r}: {first_line(error)}") from error
    weights = read_weights(path, top)
    return TrainableTeacher(encoder, tokenizer, weights, folder_fingerprint(path))


def read_weights(folder: Path, top: int) -> tuple[float, ...]:
    """Returns the top-l weights in a folder, or ``top`` weights of 1 where it holds none.

    Raises:
        ModelError: The file of weights cannot be read.
    """
    return top_weights(folder) or (1.0,) * top


def save_teacher(teacher: TrainableTeacher, folder: Path, training: Mapping[str, object]) -> None:
    """Saves a teacher as transformers does, with a README and how it was trained (JSON values).

    Raises:
        InputError: The folder cannot be written.
    """
    make_folder(folder)
    teacher.encoder.save_pretrained(folder)
    teacher.tokenizer.save_pretrained(folder)
    card = {"top_weights": teacher.top.tolist(), "training": training}
    text = json.dumps(card, indent=2, ensure_ascii=False)
    readme = (
        "# A cross-encoder trained by rankprompt\n\nIt scores a query and a window. The weights of "
        f"a document's best windows, and how it was made:\n\n```json\n{text}\n```\n"
    )
    write_atomically(folder / "README.md", readme)
    write_atomically(folder / TOP_WEIGHTS, text + "\n")
