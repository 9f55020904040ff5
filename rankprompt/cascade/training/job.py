"""A training as a job: from files, or candidates in memory, to a trained model in a folder."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.students.ck import CK, QUERY_TOKENS, save_ck
from rankprompt.cascade.teachers import load_teacher
from rankprompt.cascade.training.checkpoint import TrainingState
from rankprompt.cascade.training.config import TrainingJobConfig
from rankprompt.cascade.training.examples import (
    CutDocument,
    TrainingData,
    WindowTexts,
    distillation_lists,
    pairs_of,
)
from rankprompt.cascade.training.loop import fit
from rankprompt.cascade.training.stages import DistillationStage, TeacherStage
from rankprompt.cascade.training.trainable_teacher import (
    TrainableTeacher,
    load_trainable,
    read_weights,
    save_teacher,
)
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.datasets.candidates import read_candidates
from rankprompt.files import read_qrels
from rankprompt.journal.store import Journal
from rankprompt.llm.model_folders import make_folder
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.types import Candidates

__all__ = ["TrainingResult", "run_training", "train_student", "train_teacher"]


class TrainingResult(NamedTuple):
    """A training's final state, and how many documents and queries its models truncate."""

    state: TrainingState
    documents_cut: int
    queries_cut: int


def run_training(
    config: TrainingJobConfig, progress: Callable[[int], None] = lambda _: None
) -> TrainingResult:
    """Trains what a config says; an interrupted training resumes and ends with the same weights.

    Args:
        config: What to train.
        progress: Called with the number of windows scored or steps done since its last call.

    Raises:
        InputError: A file cannot be read, there is nothing to learn from, or the output folder
            holds a checkpoint of another training.
        ModelError: A model cannot be loaded, or a loss or a score is not finite.
    """
    _, candidates, _ = read_candidates(
        config.run, config.queries, config.docs, depth=config.depth, skip_missing=True
    )
    data = TrainingData(candidates, read_qrels(config.qrels))
    cuts: Callable[[str], bool]
    if config.stage == "esm":
        encoder = load_encoder(config.encoder or "")
        cut = WindowTexts(model_offsets(encoder.source), config.windows)
        cuts = partial(encoder.truncates, limit=QUERY_TOKENS)
        teacher = load_teacher(config.teacher, prompt=config.prompt)
        weights = read_weights(Path(config.teacher), config.top)
        make_folder(config.output)
        with closing(Journal(config.scores or config.output / "teacher.journal")) as journal:
            scores = WindowScores(journal, teacher, teacher.fingerprint)
            state = train_student(config, data, encoder, scores, weights, cut, progress)
    else:
        trainable = load_trainable(config.teacher, config.top)
        cut, cuts = WindowTexts(model_offsets(config.teacher), config.windows), trainable.cuts
        state = train_teacher(config, data, trainable, cut, progress)
    queries_cut = sum(cuts(each.query.text) for each in candidates)
    return TrainingResult(state, len(cut.longer), queries_cut)


def train_teacher(
    config: TrainingJobConfig,
    data: TrainingData,
    teacher: TrainableTeacher,
    cut: WindowTexts,
    progress: Callable[[int], None] = lambda _: None,
) -> TrainingState:
    """Trains a teacher in place, on passages (stage 1) or on documents (stage 2), and saves it.

    Raises:
        InputError: There is nothing to learn from, or as ``fit``.
    """
    learned, held_out = data.split(config.validation, config.loop.seed)
    pairs, measure = pairs_of(learned, data.qrels), data.measure_of(held_out)
    stage = TeacherStage(config, teacher, pairs, cut, held_out, measure)
    state = fit(stage, config.loop, config.output, progress)
    save_teacher(teacher, config.output, _card(stage, state, learned, held_out))
    return state


def train_student(
    config: TrainingJobConfig,
    data: TrainingData,
    encoder: Encoder,
    scores: WindowScores,
    weights: Sequence[float],
    cut: CutDocument,
    progress: Callable[[int], None] = lambda _: None,
) -> TrainingState:
    """Distils a CK student from a frozen teacher (stage 3), and saves it.

    Args:
        config: How to train.
        data: Queries with documents; the qrels are used for validation only.
        encoder: The encoder whose embeddings and tokenizer the student uses.
        scores: The teacher behind its journal; it scores each window once.
        weights: The teacher's top-l weights.
        cut: Cuts a document into windows.
        progress: Called with the number of windows scored or steps done since its last call.

    Raises:
        InputError: There is nothing to learn from, or as ``fit``.
        ModelError: A teacher's score is not a finite number.
    """
    learned, held_out = data.split(config.validation, config.loop.seed)
    examples = distillation_lists(learned, cut, scores, progress)
    validation = distillation_lists(held_out, cut, scores, progress)
    with torch.random.fork_rng():
        torch.manual_seed(config.loop.seed)
        model = CK(encoder.weight, config.channels)
    measure = data.measure_of(held_out)
    stage = DistillationStage(config, model, encoder, examples, validation, measure, weights)
    state = fit(stage, config.loop, config.output, progress)
    card = _card(stage, state, learned, held_out)
    save_ck(model, encoder, config.output, {**card, "teacher": scores.fingerprint})
    return state


def _card(
    stage: TeacherStage | DistillationStage,
    state: TrainingState,
    learned: Sequence[Candidates],
    held_out: Sequence[Candidates],
) -> dict[str, object]:
    return {
        **stage.identity,
        "settings": asdict(stage.config.loop),
        "examples": len(stage.examples),
        "queries": {"learned": len(learned), "validated": [each.query.id for each in held_out]},
        "steps": state.step,
        "best": state.best_row(stage.config.loop.measure),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
    }
