import json
from pathlib import Path
from typing import Literal

import pytest

from rankprompt.cascade.input_embeddings import load_encoder
from rankprompt.cascade.students.encoder import find_minilm, load_encoder_student
from rankprompt.errors import InputError, ModelError
from rankprompt.llm.encoder_networks import load_network
from tests.cascade.toy_models import save_sentence_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_sentence_encoder(tmp_path)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_encoder_gives_cosines_whatever_else_is_in_the_batch(folder: Path, pooling: str) -> None:
    student = load_encoder_student(folder, pooling)
    windows = ["the old mill", "the river and the boats are quiet in the morning", "x", ""]
    together = student("the old mill", windows)
    assert together[0] == pytest.approx(1, abs=1e-5)
    assert all(-1.001 <= one <= 1.001 for one in together)
    for window, score in zip(windows, together, strict=True):
        assert student("the old mill", [window])[0] == pytest.approx(score, abs=1e-5)
    assert student("mill", []) == []


def test_the_pooling_is_the_folders(folder: Path) -> None:
    windows = ["the river and the boats", "an old mill"]

    def scores(pooling: str | None) -> list[float]:
        return load_encoder_student(folder, pooling)("the mill", windows)

    assert scores(None) == scores("mean") != scores("cls")
    (folder / "1_Pooling").mkdir()
    settings = folder / "1_Pooling" / "config.json"
    said = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    settings.write_text(json.dumps(said))
    assert scores(None) == scores("cls")
    settings.write_text(json.dumps({**said, "pooling_mode_mean_tokens": True}))
    with pytest.raises(ModelError, match="cls or mean alone"):
        scores(None)
    settings.write_text("{}")
    with pytest.raises(ModelError, match=r"cannot read .*1_Pooling"):
        scores(None)
    with pytest.raises(InputError, match="not 'max'"):
        scores("max")


def test_a_query_longer_than_the_encoder_reads_is_known(folder: Path) -> None:
    student = load_encoder_student(folder)
    short, long = "mill", "the old mill " * 100
    assert (student.cuts(long), student.cuts(short), student.cuts("")) == (True, False, False)
    assert student(long, ["mill"]) == pytest.approx(student(long + long, ["mill"]), abs=1e-6)


def test_a_window_longer_than_the_encoder_reads_is_cut(folder: Path) -> None:
    (score,) = load_encoder_student(folder)("mill", ["the old mill " * 100])
    assert -1.001 <= score <= 1.001


def test_minilm_prefers_what_means_the_same() -> None:
    try:
        student = load_encoder_student(find_minilm())
    except ModelError as error:
        pytest.skip(str(error))
    scores = student("how do I keep my cat warm", ["A blanket for kittens.", "Steel prices rose."])
    assert scores[0] > scores[1] + 0.2


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_a_count_of_layers_that_no_model_has_is_refused(
    tmp_path: Path, kind: Literal["encoder", "classifier"]
) -> None:
    folder = save_sentence_encoder(tmp_path / "deep")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**9}))
    with pytest.raises(ModelError, match="num_hidden_layers is 1000000000, more than 10,000"):
        load_network(folder, kind)
    with pytest.raises(ModelError, match="num_hidden_layers is 1000000000, more than 10,000"):
        load_encoder(folder)
