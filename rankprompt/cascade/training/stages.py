"""IDCM's three stages of training (arXiv 2105.09816, section 3.4), as ``loop.fit`` trains them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from rankprompt.cascade.aggregation import top_indices, top_overlap, weighted_top
from rankprompt.cascade.input_embeddings import Encoder, mask_of
from rankprompt.cascade.students.ck import CK, QUERY_TOKENS
from rankprompt.cascade.training.config import TrainingJobConfig
from rankprompt.cascade.training.examples import Pair, WindowList, WindowTexts
from rankprompt.cascade.training.loop import ParameterGroup
from rankprompt.cascade.training.losses import DISTILLATION, ranknet
from rankprompt.cascade.training.trainable_teacher import TrainableTeacher
from rankprompt.errors import UnknownNameError
from rankprompt.types import Candidates, Run

__all__ = ["DistillationStage", "TeacherStage"]


@dataclass
class TeacherStage:
    """Stages 1 and 2: the teacher learns by RankNet on a relevant text and another one.

    In stage 1 the texts are passages. In stage 2 they are documents, scored by all their windows,
    and the top-l weights are trained too, at a learning rate a hundred times higher.
    """

    config: TrainingJobConfig
    model: TrainableTeacher
    examples: Sequence[Pair]
    cut: WindowTexts
    validation: Sequence[Candidates]
    measure: Callable[[Run], float]
    identity: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        rate, windows, source = self.config.learning_rate, self.cut.config, self.model.source
        if self.config.stage == "passages":
            self.identity = {"stage": "passages", "rate": rate, "teacher": source}
            return
        # Other windows of the same documents are other examples; the teacher's tokenizer cuts them.
        stored = {
            "size": windows.window, "overlap": windows.overlap, "limit": windows.tokens,
            "unit": windows.window_unit,
        }  # fmt: skip
        self.identity = {
            "stage": "documents", "rates": (rate, self.config.top_rate), "windows": stored,
            "teacher": source, "top": self.model.top.tolist(),
        }  # fmt: skip

    def groups(self) -> list[ParameterGroup]:
        """Returns the body and, in stage 2, the top-l weights."""
        body = ParameterGroup(list(self.model.encoder.parameters()), self.config.learning_rate)
        top = ParameterGroup([self.model.top], self.config.top_rate)
        return [body] if self.config.stage == "passages" else [body, top]

    def loss(self, batch: Sequence[Pair]) -> torch.Tensor:
        """Returns RankNet on the texts' scores."""
        texts = [(pair.texts[0], pair.texts[side]) for side in (1, 2) for pair in batch]
        return ranknet(*self._scores(texts).chunk(2))

    def validate(self) -> dict[str, float]:
        """Ranks the candidates to validate on."""
        run = {}
        for query, documents, _ in self.validation:
            pairs = [(query.text, document.text) for document in documents]
            # The windows of one document at a time are enough for memory.
            batches = [pairs] if self.config.stage == "passages" else [[pair] for pair in pairs]
            scores = [score for batch in batches for score in self._scores(batch).tolist()]
            run[query.id] = dict(zip((each.id for each in documents), scores, strict=True))
        return {"ndcg@10": self.measure(run)}

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
        if self.config.stage == "documents":
            return self.model.documents([(query, self.cut(text)) for query, text in pairs])
        scores: torch.Tensor = self.model(pairs)
        return scores


@dataclass
class DistillationStage:
    """Stage 3: the student alone, distilled from the frozen teacher's window scores.

    Lists of fewer than two windows teach nothing and are left out of the examples. In validation
    the top-l ``weights`` combine the teacher's scores of the windows that the student chooses. The
    LambdaLoss gives gains to the best four windows, whatever ``keep`` is.

    Raises:
        UnknownNameError: The loss is unknown.
    """

    config: TrainingJobConfig
    model: CK
    encoder: Encoder
    examples: Sequence[WindowList]
    validation: Sequence[WindowList]
    measure: Callable[[Run], float]
    weights: Sequence[float]
    identity: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        config, encoder = self.config, self.encoder
        if config.loss not in DISTILLATION:
            raise UnknownNameError("loss", config.loss, DISTILLATION)
        self.examples = [example for example in self.examples if len(example.windows) > 1]
        self.identity = {
            "stage": "esm", "loss": config.loss, "rate": config.learning_rate, "keep": config.keep,
            "channels": self.model.channels,
            "encoder": [encoder.fingerprint, encoder.tokenizer_fingerprint],
        }  # fmt: skip

    def groups(self) -> list[ParameterGroup]:
        """Returns the student's parameters; the embeddings are not trained."""
        return [ParameterGroup(list(self.model.parameters()), self.config.learning_rate)]

    def loss(self, batch: Sequence[WindowList]) -> torch.Tensor:
        """Returns the distillation loss over the lists."""
        return DISTILLATION[self.config.loss](*self._score(batch))

    def validate(self) -> dict[str, float]:
        """Ranks by the teacher's scores of the windows that the student chooses.

        Returns:
            ``ndcg@10`` of that ranking, and ``overlap@k``, the mean of ``top_overlap``.
        """
        run: dict[str, dict[str, float]] = {}
        overlaps: list[float] = []
        keep = self.config.keep
        for query, group in groupby(self.validation, lambda example: example.query):
            lists = list(group)
            for scores, example in zip(self._score(lists)[0], lists, strict=True):
                chosen = top_indices(scores[: len(example.windows)].tolist(), keep)
                overlap = top_overlap(chosen, example.teacher, keep)
                overlaps += [] if overlap is None else [overlap]
                kept = [example.teacher[index] for index in chosen]
                run.setdefault(query, {})[example.document] = weighted_top(kept, self.weights)
        mean_overlap = sum(overlaps) / len(overlaps) if overlaps else 1.0
        return {"ndcg@10": self.measure(run), f"overlap@{keep}": mean_overlap}

    def _score(
        self, lists: Sequence[WindowList]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Student's and teacher's scores and the mask, shape (lists, most windows)."""
        queries = list(dict.fromkeys(example.text for example in lists))
        rows = {query: row for row, query in enumerate(queries)}
        mask = mask_of([len(example.windows) for example in lists])
        owner = torch.tensor([rows[example.text] for example in lists for _ in example.windows])
        scores = self.model(
            self.encoder.encode(queries, QUERY_TOKENS),
            self.encoder.encode([window for example in lists for window in example.windows]),
            owner,
        )
        teacher = torch.tensor([score for example in lists for score in example.teacher])
        padding = torch.zeros(mask.shape)
        return padding.masked_scatter(mask, scores), padding.masked_scatter(mask, teacher), mask
