"""From files in memory to a trained model in a folder, a function a stage."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from rankprompt.cascade.input_embeddings import Encoder
from rankprompt.cascade.model_folders import make_folder
from rankprompt.cascade.students.ck import CK, save_ck
from rankprompt.cascade.training.checkpoint import Progress
from rankprompt.cascade.training.examples import (
    Cut,
    WindowTexts,
    distillation_lists,
    pairs_of,
    split_queries,
)
from rankprompt.cascade.training.frozen_teacher import Frozen
from rankprompt.cascade.training.loop import TrainingSettings, fit
from rankprompt.cascade.training.losses import TOP
from rankprompt.cascade.training.stages import (
    BODY_RATE,
    CK_RATE,
    TOP_RATE,
    DistillationStage,
    DocumentStage,
    Measure,
    PassageStage,
)
from rankprompt.cascade.training.trainable_teacher import TrainableTeacher, save_teacher
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.journal.store import Journal
from rankprompt.types import Candidates, Qrels

__all__ = ["train_esm", "train_teacher"]

log = logging.getLogger("rankprompt")

VALIDATION = 0.2
"""The share of the queries that a stage is validated on."""


def train_teacher(
    teacher: TrainableTeacher,
    candidates: Sequence[Candidates],
    qrels: Qrels,
    measure: Callable[[Qrels], Measure],
    output: Path,
    *,
    cut: WindowTexts | None = None,
    rate: float = BODY_RATE,
    top_rate: float = TOP_RATE,
    share: float = VALIDATION,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008 - frozen
    progress: Callable[[int], None] = lambda _: None,
) -> Progress:
    """Trains a teacher on passages (stage 1) or, given windows, on documents (stage 2).

    Args:
        teacher: from ``load_trainable``; trained in place.
        candidates: queries with passages or documents.
        qrels: relevance grades.
        measure: makes nDCG@10 from the qrels of the queries to validate on.
        output: folder for the teacher, its card, curves and checkpoint.
        cut: gives a document's windows; None trains on passages.
        rate: learning rate of the body.
        top_rate: of the top-l weights.
        share: of the queries to validate on.
        settings: of the loop.
        progress: called with the number of steps done since the last call.

    Raises:
        InputError: there is nothing to learn from, or as ``fit``.
    """
    learn, held = _split(candidates, share, settings.seed)
    pairs = pairs_of(learn, qrels)
    ndcg = measure(_of(qrels, held))
    stage: PassageStage | DocumentStage
    if cut is None:
        stage = PassageStage(teacher, pairs, held, ndcg, rate)
    else:
        stage = DocumentStage(teacher, pairs, cut, held, ndcg, rate, top_rate)
    done = fit(stage, settings, output, progress)
    save_teacher(teacher, output, _card(stage, settings, done, learn, held))
    return done


def train_esm(
    teacher: Frozen,
    encoder: Encoder,
    candidates: Sequence[Candidates],
    qrels: Qrels,
    measure: Callable[[Qrels], Measure],
    output: Path,
    *,
    cut: Cut,
    loss: str = "lambda",
    rate: float = CK_RATE,
    keep: int = TOP,
    channels: int | None = None,
    share: float = VALIDATION,
    scores: Path | None = None,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008 - frozen
    progress: Callable[[int], None] = lambda _: None,
) -> Progress:
    """Distils a CK student from a frozen teacher (stage 3).

    Args:
        teacher: scores the windows; each once, see ``scores``.
        encoder: whose embeddings and tokenizer the student uses.
        candidates: queries with documents.
        qrels: relevance grades, read for validation alone.
        measure: makes nDCG@10 from the qrels of the queries to validate on.
        output: folder for the student, its card, curves and checkpoint.
        cut: gives a document's windows.
        loss: a name in ``losses.DISTILLATION``.
        rate: learning rate.
        keep: windows that the student is to choose.
        channels: of the student's convolution; None for as many as the embeddings' dimensions.
        share: of the queries to validate on.
        scores: the file that keeps the teacher's scores; None for one in ``output``.
        settings: of the loop.
        progress: called with the number of steps, or of windows scored, done since the last call.

    Raises:
        InputError: there is nothing to learn from, or as ``fit``.
        ModelError: a teacher's score is not a finite number.
    """
    make_folder(output)
    learn, held = _split(candidates, share, settings.seed)
    with closing(Journal(scores or output / "teacher.journal")) as journal:
        kept = WindowScores(journal, teacher.score, teacher.fingerprint)
        lists = distillation_lists(learn, cut, kept, progress)
        validation = distillation_lists(held, cut, kept, progress)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = CK(encoder.weight, channels)
    stage = DistillationStage(
        model, encoder, lists, validation, measure(_of(qrels, held)),
        loss=loss, rate=rate, keep=keep, weights=teacher.weights,
    )  # fmt: skip
    done = fit(stage, settings, output, progress)
    how = _card(stage, settings, done, learn, held)
    save_ck(model, encoder, output, {**how, "teacher": teacher.fingerprint})
    return done


def _split(
    candidates: Sequence[Candidates], share: float, seed: int
) -> tuple[list[Candidates], list[Candidates]]:
    _, held = split_queries([one.query.id for one in candidates], share, seed)
    names = set(held)
    return (
        [one for one in candidates if one.query.id not in names],
        [one for one in candidates if one.query.id in names],
    )


def _of(qrels: Qrels, candidates: Sequence[Candidates]) -> Qrels:
    return {one.query.id: qrels.get(one.query.id, {}) for one in candidates}


def _card(
    stage: Any,
    settings: TrainingSettings,
    done: Progress,
    learn: Sequence[Candidates],
    held: Sequence[Candidates],
) -> dict[str, Any]:
    return {
        **stage.identity,
        "settings": asdict(settings),
        "examples": len(stage.examples),
        "queries": {"learned": len(learn), "validated": [one.query.id for one in held]},
        "steps": done.step,
        "best": max(done.curve, key=lambda row: row[settings.measure]),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
    }
