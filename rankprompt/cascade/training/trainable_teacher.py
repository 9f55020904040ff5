"""A teacher that can be trained: a cross-encoder, and the weights of a document's best windows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rankprompt.cascade.aggregation import TOP_WEIGHTS, top_weights
from rankprompt.cascade.encoder_networks import folder_fingerprint
from rankprompt.cascade.model_folders import make_folder
from rankprompt.cascade.teachers.cross_encoder import QUERY_TOKENS
from rankprompt.errors import ModelError
from rankprompt.files import write_atomically
from rankprompt.llm.local.model_files import first_line, quieten_transformers

__all__ = [
    "TrainableTeacher",
    "load_trainable",
    "read_weights",
    "save_teacher",
    "weighted_top",
]


def weighted_top(scores: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A document's score: its best l windows' scores, best first, times l weights (IDCM, eq. 3).

    A window that is not there adds nothing, whatever its place holds.

    Args:
        scores: shape (documents, windows).
        mask: true where there is a window, same shape.
        weights: shape (l,).

    Returns:
        Shape (documents,).
    """
    kept = min(len(weights), scores.shape[1])
    best, places = torch.where(mask, scores, -torch.inf).topk(kept, dim=-1)
    best = torch.where(mask.gather(1, places), best, 0)
    return (best * weights[:kept]).sum(-1)


class TrainableTeacher(nn.Module):
    """Scores pairs of a query and a text, and documents by their windows.

    Args:
        encoder: an ``AutoModelForSequenceClassification`` with one label, or with two, of which the
            second means relevant.
        tokenizer: its own.
        weights: of a document's best windows, best first.
        source: a digest of what it was loaded from.

    Raises:
        ModelError: the encoder has another number of labels.
    """

    def __init__(
        self, encoder: Any, tokenizer: Any, weights: Sequence[float], source: str = ""
    ) -> None:
        super().__init__()
        if encoder.config.num_labels not in (1, 2):
            raise ModelError(
                f"a teacher must have one label or two, not {encoder.config.num_labels}"
            )
        self.encoder, self.tokenizer, self.source = encoder, tokenizer, source
        self.top = nn.Parameter(torch.tensor(list(weights), dtype=torch.float32))

    def forward(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        """Scores pairs, as a ``CrossEncoder`` does: long queries are cut, and long texts."""
        limit = min(self.tokenizer.model_max_length, self.encoder.config.max_position_embeddings)
        given = self.tokenizer(
            [self._cut(one) for one, _ in pairs], [other for _, other in pairs],
            truncation="longest_first", max_length=limit, padding=True, return_tensors="pt",
            return_token_type_ids=getattr(self.encoder.config, "type_vocab_size", 0) > 1,
        )  # fmt: skip
        logits = self.encoder(**given.to(self.encoder.device)).logits.float()
        scores: torch.Tensor = logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)
        return scores

    def cuts(self, query: str) -> bool:
        """Whether a query is longer than what it reads of one."""
        return self._cut(query) != query

    def _cut(self, query: str) -> str:
        given = self.tokenizer(query, add_special_tokens=False, return_offsets_mapping=True)
        found = given["offset_mapping"]
        return query if len(found) <= QUERY_TOKENS else query[: found[QUERY_TOKENS - 1][1]]

    def documents(self, asked: Sequence[tuple[str, Sequence[str]]]) -> torch.Tensor:
        """Scores documents by all their windows; one without any scores 0.

        Args:
            asked: a query's text and the windows of a document, each.
        """
        mask = torch.zeros(len(asked), max([1, *(len(windows) for _, windows in asked)])).bool()
        for row, (_, windows) in enumerate(asked):
            mask[row, : len(windows)] = True
        mask = mask.to(self.top.device)
        scores = torch.zeros(mask.shape, device=mask.device)
        pairs = [(query, window) for query, windows in asked for window in windows]
        if pairs:
            scores = scores.masked_scatter(mask, self(pairs))
        return weighted_top(scores, mask, self.top)


def load_trainable(folder: Path | str, top: int = 3) -> TrainableTeacher:
    """Loads a cross-encoder to train.

    Args:
        folder: a transformers model with its tokenizer; or what ``save_teacher`` wrote, whose
            weights of the best windows are taken up.
        top: how many of a document's best windows count (IDCM's l), where the folder does not say;
            their weights begin at 1.

    Raises:
        ModelError: it cannot be loaded, or scores no pairs.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    quieten_transformers()
    path = Path(folder).expanduser()
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path))
        # An encoder without a head gets one with a single label; a head that is there stays.
        settings = json.loads((path / "config.json").read_text("utf-8"))
        headless = not any("Classification" in name for name in settings.get("architectures") or ())
        encoder = AutoModelForSequenceClassification.from_pretrained(
            str(path), dtype=torch.float32, **({"num_labels": 1} if headless else {})
        )
    except Exception as error:  # whatever a broken file makes transformers raise
        raise ModelError(f"cannot load the teacher {str(folder)!r}: {first_line(error)}") from error
    weights = read_weights(path, top)
    return TrainableTeacher(encoder, tokenizer, weights, folder_fingerprint(path))


def read_weights(folder: Path, top: int) -> tuple[float, ...]:
    """The top-l weights that a folder holds; where it holds none, ``top`` times 1.

    Raises:
        ModelError: the file that holds them cannot be read.
    """
    return top_weights(folder) or (1.0,) * top


def save_teacher(teacher: TrainableTeacher, folder: Path, how: dict[str, Any]) -> None:
    """Saves a teacher as transformers does, with ``cascade.json``: top-l weights and how made.

    Raises:
        InputError: the folder cannot be written.
    """
    make_folder(folder)
    teacher.encoder.save_pretrained(folder)
    teacher.tokenizer.save_pretrained(folder)
    card = {"top_weights": teacher.top.tolist(), "training": how}
    text = json.dumps(card, indent=2, ensure_ascii=False)
    readme = (
        "# A cross-encoder trained by rankprompt\n\nIt scores a query and a window. The weights of "
        f"a document's best windows, and how it was made:\n\n```json\n{text}\n```\n"
    )
    write_atomically(folder / "README.md", readme)
    write_atomically(folder / TOP_WEIGHTS, text + "\n")
