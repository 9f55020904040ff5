"""IDCM's three stages (arXiv 2105.09816, section 3.4), as ``loop.fit`` trains them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, TypeAlias

import torch

from rankprompt.cascade.aggregation import best_places
from rankprompt.cascade.input_embeddings import Encoder
from rankprompt.cascade.students.ck import CK, QUERY_TOKENS
from rankprompt.cascade.training.examples import List, Pair, WindowTexts
from rankprompt.cascade.training.losses import DISTILLATION, TOP, ranknet
from rankprompt.cascade.training.trainable_teacher import TrainableTeacher, weighted_top
from rankprompt.errors import UnknownNameError
from rankprompt.types import Candidates

__all__ = [
    "BODY_RATE",
    "CK_RATE",
    "TOP_RATE",
    "DistillationStage",
    "DocumentStage",
    "Measure",
    "PassageStage",
]

BODY_RATE, TOP_RATE = 7e-6, 7e-4
"""IDCM's learning rates of the teacher's body and of the top-l weights."""
CK_RATE = 1e-3
"""Of the student, which starts from random weights."""

Measure: TypeAlias = Callable[[Mapping[str, Mapping[str, float]]], float]
"""The nDCG@10 of a run: scores by query and document."""


class PassageStage:
    """Stage 1: the teacher learns passages, by RankNet on a relevant one and another.

    Args:
        teacher: to train.
        pairs: to learn from.
        validation: candidates to rank.
        measure: nDCG@10 of that ranking.
        rate: learning rate.
    """

    def __init__(
        self,
        teacher: TrainableTeacher,
        pairs: Sequence[Pair],
        validation: Sequence[Candidates],
        measure: Measure,
        rate: float = BODY_RATE,
    ) -> None:
        self.model, self.examples = teacher, pairs
        self._validation, self._measure, self._rate = validation, measure, rate
        self.identity: dict[str, Any] = {
            "stage": "passages", "rate": rate, "teacher": teacher.source
        }  # fmt: skip

    def groups(self) -> list[dict[str, Any]]:
        """The body alone."""
        return [{"params": list(self.model.encoder.parameters()), "lr": self._rate}]

    def loss(self, batch: Sequence[Pair]) -> torch.Tensor:
        """RankNet."""
        better = [(one.texts[0], one.texts[1]) for one in batch]
        worse = [(one.texts[0], one.texts[2]) for one in batch]
        return ranknet(*self.model([*better, *worse]).chunk(2))

    def validate(self) -> dict[str, float]:
        """Ranks the validation's passages."""
        run = {}
        for each in self._validation:
            scores = self.model([(each.query.text, one.text) for one in each.documents]).tolist()
            names = [one.id for one in each.documents]
            run[each.query.id] = dict(zip(names, scores, strict=True))
        return {"ndcg@10": self._measure(run)}


class DocumentStage:
    """Stage 2: the teacher learns documents by all their windows, and its top-l weights.

    Args:
        teacher: to train.
        pairs: of documents, to learn from.
        cut: gives a document's windows.
        validation: candidates to rank.
        measure: nDCG@10 of that ranking.
        rate: learning rate of the body.
        top_rate: and of the top-l weights.
    """

    def __init__(
        self,
        teacher: TrainableTeacher,
        pairs: Sequence[Pair],
        cut: WindowTexts,
        validation: Sequence[Candidates],
        measure: Measure,
        rate: float = BODY_RATE,
        top_rate: float = TOP_RATE,
    ) -> None:
        self.model, self.examples, self._cut = teacher, pairs, cut
        self._validation, self._measure = validation, measure
        self._rates = rate, top_rate
        # Other windows of the same documents are other examples; the teacher's words cut them.
        self.identity: dict[str, Any] = {
            "stage": "documents", "rates": self._rates, "windows": asdict(cut.settings),
            "teacher": teacher.source, "top": teacher.top.tolist(),
        }  # fmt: skip

    def groups(self) -> list[dict[str, Any]]:
        """The body, and the top-l weights a hundred times faster."""
        body, top = self._rates
        return [
            {"params": list(self.model.encoder.parameters()), "lr": body},
            {"params": [self.model.top], "lr": top},
        ]

    def loss(self, batch: Sequence[Pair]) -> torch.Tensor:
        """RankNet on the documents' scores."""
        asked = [(one.texts[0], self._cut(one.texts[which])) for which in (1, 2) for one in batch]
        return ranknet(*self.model.documents(asked).chunk(2))

    def validate(self) -> dict[str, float]:
        """Ranks the validation's documents."""
        run = {}
        for each in self._validation:
            run[each.query.id] = {
                one.id: self.model.documents([(each.query.text, self._cut(one.text))]).item()
                for one in each.documents
            }
        return {"ndcg@10": self._measure(run)}


class DistillationStage:
    """Stage 3: the student alone, distilled from the frozen teacher's scores of windows.

    Args:
        model: to train.
        encoder: whose tokenizer it uses.
        lists: to learn from; those of fewer than two windows teach nothing and are left out.
        validation: lists of other queries.
        measure: nDCG@10 of a ranking.
        loss: a name in ``losses.DISTILLATION``.
        rate: learning rate.
        keep: windows that the student chooses for validation.
        weights: top-l weights by which the teacher's scores of those make the document's.

    Raises:
        UnknownNameError: no such loss.
    """

    def __init__(
        self,
        model: CK,
        encoder: Encoder,
        lists: Sequence[List],
        validation: Sequence[List],
        measure: Measure,
        *,
        loss: str = "lambda",
        rate: float = CK_RATE,
        keep: int = TOP,
        weights: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        if loss not in DISTILLATION:
            raise UnknownNameError("loss", loss, DISTILLATION)
        self.model, self._encoder = model, encoder
        self.examples: Sequence[Any] = [one for one in lists if len(one.windows) > 1]
        self._validation, self._measure = validation, measure
        self._loss, self._rate, self._keep = DISTILLATION[loss], rate, keep
        self._weights = torch.tensor(list(weights))
        self.identity: dict[str, Any] = {
            "stage": "esm", "loss": loss, "rate": rate, "keep": keep, "channels": model.channels,
            "encoder": [encoder.fingerprint, encoder.tokenizer_fingerprint],
        }  # fmt: skip

    def groups(self) -> list[dict[str, Any]]:
        """The student's parameters; the embeddings are none of them."""
        return [{"params": list(self.model.parameters()), "lr": self._rate}]

    def loss(self, batch: Sequence[List]) -> torch.Tensor:
        """The distillation loss over the lists."""
        return self._loss(*self._score(batch))

    def validate(self) -> dict[str, float]:
        """Ranks by the teacher's scores of the windows that the student chooses.

        Returns:
            ``ndcg@10`` of that, and ``overlap@k``: the share of the teacher's own best k windows
            among the chosen, over documents of more than k windows.
        """
        run: dict[str, dict[str, float]] = {}
        shared: list[float] = []
        keep = self._keep
        for _, group in groupby(self._validation, lambda one: one.query):
            lists = list(group)
            student, teacher, mask = self._score(lists)
            for row, one in enumerate(lists):
                size = len(one.windows)
                chosen = best_places(student[row, :size].tolist(), keep)
                best = best_places(one.teacher, keep)
                if size > keep:
                    shared.append(len({*chosen} & {*best}) / keep)
                kept = torch.zeros_like(mask[row : row + 1])
                kept[0, chosen] = True
                score = weighted_top(teacher[row : row + 1], kept, self._weights).item()
                run.setdefault(one.query, {})[one.document] = score
        overlap = sum(shared) / len(shared) if shared else 1.0
        return {"ndcg@10": self._measure(run), f"overlap@{keep}": overlap}

    def _score(self, lists: Sequence[List]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Student's and teacher's scores and the mask, shape (lists, most windows)."""
        texts = list(dict.fromkeys(one.text for one in lists))
        rows = {text: row for row, text in enumerate(texts)}
        mask = torch.zeros(len(lists), max(len(one.windows) for one in lists), dtype=torch.bool)
        teacher = torch.zeros(mask.shape)
        for row, one in enumerate(lists):
            mask[row, : len(one.windows)] = True
            teacher[row, : len(one.windows)] = torch.tensor(one.teacher)
        owner = torch.tensor([rows[one.text] for one in lists for _ in one.windows])
        scores = self.model(
            self._encoder.encode(texts, QUERY_TOKENS),
            self._encoder.encode([window for one in lists for window in one.windows]),
            owner,
        )
        return torch.zeros(mask.shape).masked_scatter(mask, scores), teacher, mask
