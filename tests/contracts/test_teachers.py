"""What every teacher promises: scores that depend on the pair alone, whatever the texts."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from rankprompt.cascade.teachers import MINILM, ModelTeacher, load_teacher
from rankprompt.errors import ModelError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from tests.fakes import FakeModel
from tests.llm import tiny

ODD = ["", " \n ", "x", "the mill " * 50_000, "\u9e64\U0001f426", "\x00"]
PAIRS = [("the mill", text) for text in [*ODD, "An old mill stands.", "Boats in the harbour."]]


def cross_encoder(folder: Path) -> ModelTeacher:
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        make, config = BertForSequenceClassification, BertConfig
        settings: Any = config(  # type: ignore[call-arg]
            vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=48, max_position_embeddings=64, initializer_range=0.5, num_labels=1,
        )  # fmt: skip
        tiny.save(folder, make(settings))
    return load_teacher(str(folder))


def minilm(_: Path) -> ModelTeacher:
    pytest.importorskip("onnxruntime")
    try:
        return load_teacher(MINILM)
    except ModelError as error:
        pytest.skip(str(error))


def language_model(prompt: str) -> Callable[[Path], ModelTeacher]:
    def load(_: Path) -> ModelTeacher:
        cached = CachedModel(FakeModel(), Journal(None))
        return load_teacher("llm:fake", prompt=prompt, model=cached)

    return load


TEACHERS = {
    "cross-encoder": cross_encoder,
    MINILM: minilm,
    "relevance-yes-no": language_model("relevance-yes-no"),
    "query-likelihood": language_model("query-likelihood"),
}


@pytest.mark.parametrize("name", TEACHERS)
def test_a_teacher_keeps_the_contract(name: str, tmp_path: Path) -> None:
    teacher = TEACHERS[name](tmp_path)
    assert teacher([]) == []
    assert teacher.tokens == 0
    scores = teacher(PAIRS)
    assert teacher.tokens > len(PAIRS)
    assert teacher.windows_cut == 1
    assert len(scores) == len(PAIRS)
    assert all(map(math.isfinite, scores))
    assert scores[-1] != scores[-2]
    assert not teacher.cuts("the mill")
    # A score depends neither on the rest of a batch, nor on its order, nor on earlier batches.
    again = TEACHERS[name](tmp_path)
    assert again.fingerprint == teacher.fingerprint
    assert again(PAIRS[::-1])[::-1] == pytest.approx(scores, abs=1e-5)
    assert [teacher([pair])[0] for pair in PAIRS] == pytest.approx(scores, abs=1e-5)


def test_no_two_teachers_have_one_fingerprint(tmp_path: Path) -> None:
    fingerprints = {load(tmp_path).fingerprint for name, load in TEACHERS.items() if name != MINILM}
    assert len(fingerprints) == len(TEACHERS) - 1
