"""The three stages on tiny random models: they learn, resume exactly, and name bad data."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

from rankprompt.cascade.input_embeddings import Encoder, load_encoder
from rankprompt.cascade.students.ck import load_ck
from rankprompt.cascade.training.frozen_teacher import Frozen, load_frozen
from rankprompt.cascade.training.loop import TrainingSettings, fit
from rankprompt.cascade.training.train_stages import train_esm, train_teacher
from rankprompt.cascade.training.trainable_teacher import load_trainable
from rankprompt.cascade.windows import WindowSettings
from rankprompt.errors import InputError, ModelError, UnknownNameError
from tests.cascade.toy_collection import by_words, collection, count_windows, cutter, reciprocal
from tests.llm import tiny

TEACHER = Frozen(by_words, "by words", (1.0,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    make: Any = BertConfig
    config = make(
        vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=48, initializer_range=0.2, num_labels=1, max_position_embeddings=128,
    )  # fmt: skip
    model: Any = BertForSequenceClassification
    return tiny.save(tmp_path_factory.mktemp("teacher"), model(config))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return load_encoder(folder)


def esm(encoder: Encoder, output: Path, **changes: Any) -> Any:
    candidates, qrels = collection()
    given: dict[str, Any] = {
        "teacher": TEACHER, "encoder": encoder, "candidates": candidates, "qrels": qrels,
        "measure": reciprocal, "output": output, "keep": 1, "share": 0.34,
        "cut": cutter(encoder, WindowSettings(10, 1)),
        "settings": TrainingSettings(epochs=8, batch=6, patience=9, measure="overlap@1"),
        **changes,
    }  # fmt: skip
    return train_esm(**given)


@pytest.mark.parametrize("loss", ["lambda", "kl", "cross-entropy", "mse"])
def test_a_student_learns_which_window_its_teacher_prefers(
    encoder: Encoder, tmp_path: Path, loss: str
) -> None:
    done = esm(encoder, tmp_path, loss=loss)
    assert done.curve[-1]["loss"] < done.curve[1]["loss"]
    student = load_ck(tmp_path)
    card = student.card["training"]
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
    scores = tmp_path / "teacher.journal"
    whole = esm(encoder, tmp_path / "whole", scores=scores)
    for steps in (9, 30):
        # The windows' scores count as progress, too; after the first run they are all there.
        with pytest.raises(StoppedError):
            esm(
                encoder, tmp_path / "cut", scores=scores,
                progress=stopping_after(steps + count_windows(encoder)),
            )  # fmt: skip
    assert (tmp_path / "cut" / "checkpoint.safetensors").exists()
    resumed = esm(encoder, tmp_path / "cut", scores=scores)
    assert same(resumed.curve, whole.curve)
    assert_same_tensors(tmp_path / "cut" / "ck.safetensors", tmp_path / "whole" / "ck.safetensors")


def test_an_interrupted_teacher_ends_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    candidates, qrels = collection()
    settings = TrainingSettings(epochs=2, batch=4, patience=9, validate_every=2)

    def train(output: Path, progress: Callable[[int], None] = lambda _: None) -> None:
        # Dropout is on: it must not depend on what was drawn before.
        train_teacher(
            load_trainable(folder), candidates, qrels, reciprocal, output, share=0.34, rate=1e-3,
            settings=settings, progress=progress,
        )  # fmt: skip

    train(tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(tmp_path / "cut", stopping_after(5))
    torch.rand(7)
    train(tmp_path / "cut")
    assert_same_tensors(
        tmp_path / "cut" / "model.safetensors", tmp_path / "whole" / "model.safetensors"
    )


def test_a_teacher_learns_documents_and_the_weights_of_its_best_windows(
    folder: Path, encoder: Encoder, tmp_path: Path
) -> None:
    candidates, qrels = collection()
    teacher = load_trainable(folder, top=2)
    assert teacher.top.tolist() == [1, 1]
    done = train_teacher(
        teacher, candidates, qrels, reciprocal, tmp_path, share=0.34, rate=1e-3, top_rate=1e-2,
        cut=cutter(encoder, WindowSettings(30, 2)),
        settings=TrainingSettings(epochs=3, batch=10, patience=9),
    )  # fmt: skip
    assert done.curve[-1]["loss"] < done.curve[1]["loss"]
    again = load_trainable(tmp_path).eval()
    assert again.top.tolist() == pytest.approx(teacher.top.tolist())
    asked = [("Which mill?", ["The mill.", "The river."]), ("Which mill?", [])]
    assert again.documents(asked).tolist() == pytest.approx(teacher.documents(asked).tolist())
    assert again.documents(asked)[1] == 0
    frozen = load_frozen(str(tmp_path))
    assert frozen.weights == pytest.approx(again.top.tolist())
    pairs = [("Which mill?", "The mill.")]
    assert frozen.score(pairs) == pytest.approx(again(pairs).tolist())
    assert frozen.fingerprint != load_frozen(str(folder)).fingerprint


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
        esm(encoder, tmp_path, teacher=Frozen(broken, "broken", (1.0,)))
    assert esm(encoder, tmp_path, teacher=Frozen(by_words, "broken", (1.0,))).step > 0


def test_one_query_or_an_unknown_name_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two queries at least"):
        esm(encoder, tmp_path, candidates=collection()[0][:1])
    with pytest.raises(UnknownNameError, match="did you mean 'lambda'"):
        esm(encoder, tmp_path, loss="lambada")
    with pytest.raises(UnknownNameError, match="measure to validate by"):
        esm(encoder, tmp_path, settings=TrainingSettings(measure="recall"))
    with pytest.raises(InputError, match="epochs must be 1 or more"):
        esm(encoder, tmp_path, settings=TrainingSettings(epochs=0))


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(
    encoder: Encoder, tmp_path: Path
) -> None:
    esm(encoder, tmp_path)
    with pytest.raises(InputError, match="of a training with other settings or data"):
        esm(encoder, tmp_path, loss="mse")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(InputError, match="the checkpoint is damaged"):
        esm(encoder, tmp_path)


def test_training_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    class Fixed:
        def __init__(self) -> None:
            self.model: Any = torch.nn.Linear(1, 1)
            self.examples: Sequence[Any] = [1, 2]
            self.identity: dict[str, Any] = {}
            self.values = iter([0.1, 0.5, 0.3, 0.2, 0.9])
            self.seen: list[float] = []

        def groups(self) -> list[dict[str, Any]]:
            return [{"params": list(self.model.parameters()), "lr": 0.1}]

        def loss(self, batch: Sequence[Any]) -> torch.Tensor:
            found: torch.Tensor = self.model(torch.ones(len(batch), 1)).sum()
            return found

        def validate(self) -> dict[str, float]:
            self.seen.append(self.model.bias.item())
            return {"ndcg@10": next(self.values)}

    stage = Fixed()
    done = fit(stage, TrainingSettings(epochs=9, batch=2, patience=2), tmp_path)
    assert (done.step, done.best, done.stopped) == (3, 0.5, True)
    assert stage.model.bias.item() == stage.seen[1]


def test_a_teacher_in_training_scores_as_the_cross_encoder_that_it_becomes(folder: Path) -> None:
    pairs = [("Which mill?", text) for text in ("The mill.", "", "The river " * 200)]
    pairs += [("Which mill? " * 40, "An old mill stands above the river.")]
    trained = load_trainable(folder).eval()(pairs)
    assert load_frozen(str(folder)).score(pairs) == pytest.approx(trained.tolist(), abs=1e-5)
