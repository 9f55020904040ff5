"""The three stages on tiny random models: they learn, resume exactly, and name bad data."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.students.ck import load_ck
from rankprompt.cascade.teachers import load_teacher
from rankprompt.cascade.training.checkpoint import TrainingState
from rankprompt.cascade.training.config import TrainingConfig, TrainingJobConfig
from rankprompt.cascade.training.examples import TrainingData
from rankprompt.cascade.training.job import train_student, train_teacher
from rankprompt.cascade.training.trainable_teacher import (
    TrainableTeacher,
    load_trainable,
    read_weights,
)
from rankprompt.cascade.window_scores import PairScorer, WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.journal.store import Journal
from tests.cascade.toy_collection import by_words, collection, count_windows, cutter, reciprocal
from tests.cascade.toy_models import save_cross_encoder

NO_FILES = dict.fromkeys(("queries", "docs", "qrels", "run"), Path())
# Four steps an epoch.
LOOP = TrainingConfig(epochs=3, batch=6, patience=9, measure="overlap@1")
SHORT = replace(LOOP, epochs=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("teacher"), initializer_range=0.2)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(folder)


def esm(
    encoder: Encoder,
    output: Path,
    teacher: PairScorer = by_words,
    queries: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
    **changes: Any,
) -> TrainingState:
    """Distils a student; the teacher's scores are kept beside the output."""
    candidates, qrels = collection()
    settings: dict[str, Any] = {"keep": 1, "validation": 0.34, "loop": LOOP, **NO_FILES, **changes}
    config = TrainingJobConfig("esm", "by words", output=output, encoder=Path(), **settings)
    with closing(Journal(output.parent / "teacher.journal")) as journal:
        return train_student(
            config, TrainingData(candidates[:queries], qrels, reciprocal), encoder,
            WindowScores(journal, teacher, "by words"), [1.0],
            cutter(encoder, WindowConfig(10, 1)), progress,
        )  # fmt: skip


def train(
    stage: str,
    teacher: TrainableTeacher,
    encoder: Encoder,
    output: Path,
    progress: Callable[[int], None] = lambda _: None,
    **changes: Any,
) -> TrainingState:
    settings: dict[str, Any] = {"validation": 0.34, "rate": 1e-3, **NO_FILES, **changes}
    config = TrainingJobConfig(stage, "teacher", output=output, **settings)
    data = TrainingData(*collection(), reciprocal)
    return train_teacher(config, data, teacher, cutter(encoder, WindowConfig(30, 2)), progress)


@pytest.mark.parametrize("loss", ["lambda", "kl", "cross-entropy", "mse"])
def test_a_student_learns_which_window_its_teacher_prefers(
    encoder: Encoder, tmp_path: Path, loss: str
) -> None:
    done = esm(encoder, tmp_path, loss=loss)
    assert done.curve[-1]["loss"] < done.curve[1]["loss"]
    student = load_ck(tmp_path)
    card = json.loads((tmp_path / "ck.json").read_text())["training"]
    assert (card["loss"], card["teacher"], len(card["queries"]["validated"])) == (
        loss,
        "by words",
        2,
    )
    assert math.isfinite(sum(student("Which mill?", ["The mill.", ""])))
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert lines[0] == "step,loss,ndcg@10,overlap@1"
    assert len(lines) == 1 + len(done.curve)
    assert "svg" in (tmp_path / "curves.svg").read_text()


class StoppedError(Exception):
    """In place of a kill."""


def stopping_after(steps: int) -> Callable[[int], None]:
    left = steps

    def progress(done: int) -> None:
        nonlocal left
        left -= done
        if left < 0:
            raise StoppedError

    return progress


def test_an_interrupted_student_ends_with_the_same_weights(
    encoder: Encoder, tmp_path: Path
) -> None:
    whole = esm(encoder, tmp_path / "whole")
    for steps in (5, 9):
        # The windows' scores count as progress, too; after the first run they are all there.
        progress = stopping_after(steps + count_windows(encoder))
        with pytest.raises(StoppedError):
            esm(encoder, tmp_path / "cut", progress=progress)
    assert (tmp_path / "cut" / "checkpoint.safetensors").exists()
    resumed = esm(encoder, tmp_path / "cut")
    assert same(resumed.curve, whole.curve)
    assert_same_tensors(tmp_path / "cut" / "ck.safetensors", tmp_path / "whole" / "ck.safetensors")


def test_an_interrupted_teacher_ends_with_the_same_weights(
    folder: Path, encoder: Encoder, tmp_path: Path
) -> None:
    loop = TrainingConfig(epochs=2, batch=4, patience=9, validate_every=2)

    def passages(output: Path, progress: Callable[[int], None] = lambda _: None) -> None:
        # Dropout is on: it must not depend on what was drawn before.
        train("passages", load_trainable(folder), encoder, output, progress, loop=loop)

    passages(tmp_path / "whole")
    with pytest.raises(StoppedError):
        passages(tmp_path / "cut", stopping_after(5))
    torch.rand(7)
    passages(tmp_path / "cut")
    assert_same_tensors(
        tmp_path / "cut" / "model.safetensors", tmp_path / "whole" / "model.safetensors"
    )


def test_a_teacher_learns_documents_and_the_weights_of_its_best_windows(
    folder: Path, encoder: Encoder, tmp_path: Path
) -> None:
    teacher = load_trainable(folder, top=2)
    assert teacher.top.tolist() == [1, 1]
    loop = TrainingConfig(epochs=3, batch=10, patience=9)
    done = train("documents", teacher, encoder, tmp_path, top_rate=1e-2, loop=loop)
    assert done.curve[-1]["loss"] < done.curve[1]["loss"]
    card = json.loads((tmp_path / "cascade.json").read_text())["training"]
    # The keys of the first version, which are part of a checkpoint's identity.
    assert card["windows"] == {"size": 30, "overlap": 2, "limit": 2000, "unit": "tokens"}
    again = load_trainable(tmp_path).eval()
    assert again.top.tolist() == pytest.approx(teacher.top.tolist())
    asked = [("Which mill?", ["The mill.", "The river."]), ("Which mill?", [])]
    assert again.documents(asked).tolist() == pytest.approx(teacher.documents(asked).tolist())
    assert again.documents(asked)[1] == 0
    frozen = load_teacher(str(tmp_path))
    assert read_weights(tmp_path, top=3) == pytest.approx(again.top.tolist())
    pairs = [("Which mill?", "The mill.")]
    assert frozen(pairs) == pytest.approx(again(pairs).tolist())
    assert frozen.fingerprint != load_teacher(str(folder)).fingerprint


def same(one: Sequence[dict[str, float]], other: Sequence[dict[str, float]]) -> bool:
    return repr(one) == repr(other)  # NaN is not equal to itself


def assert_same_tensors(one: Path, other: Path) -> None:
    ours, theirs = load_file(one), load_file(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_nan_from_the_teacher_is_refused_by_name_and_not_kept(
    encoder: Encoder, tmp_path: Path
) -> None:
    def broken(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [math.nan for _ in pairs]

    with pytest.raises(ModelError, match=r"window \d of document 'd\d' for query 'q\d' with nan"):
        esm(encoder, tmp_path / "out", teacher=broken, loop=SHORT)
    assert esm(encoder, tmp_path / "out", loop=SHORT).step > 0


def test_one_query_or_an_unknown_name_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two queries at least"):
        esm(encoder, tmp_path, queries=1)
    with pytest.raises(UnknownNameError, match="did you mean 'lambda'"):
        esm(encoder, tmp_path, loss="lambada")
    with pytest.raises(UnknownNameError, match="measure to validate by"):
        esm(encoder, tmp_path, loop=TrainingConfig(measure="recall"))
    with pytest.raises(InputError, match="`epochs` must be 1 or more"):
        TrainingConfig(epochs=0)
    with pytest.raises(InputError, match="`keep` must be from 1 to 1000, not 0"):
        esm(encoder, tmp_path, keep=0)


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(
    encoder: Encoder, tmp_path: Path
) -> None:
    esm(encoder, tmp_path, loop=SHORT)
    with pytest.raises(InputError, match="of a training with other settings or data"):
        esm(encoder, tmp_path, loop=SHORT, loss="mse")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(InputError, match="the checkpoint is damaged"):
        esm(encoder, tmp_path, loop=SHORT)


def test_a_teacher_in_training_scores_as_the_cross_encoder_that_it_becomes(folder: Path) -> None:
    pairs = [("Which mill?", text) for text in ("The mill.", "", "The river " * 200)]
    pairs += [("Which mill? " * 40, "An old mill stands above the river.")]
    trained = load_trainable(folder).eval()(pairs)
    assert load_teacher(str(folder))(pairs) == pytest.approx(trained.tolist(), abs=1e-5)
