import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertModel

from rankprompt.cascade.students import STUDENTS, BM25Student, RandomStudent, first, load_student
from rankprompt.cascade.students.encoder import find_minilm, load_encoder_student
from rankprompt.cascade.window_scores import Asked
from rankprompt.errors import InputError, ModelError, UnknownNameError
from tests.llm import tiny


def asked(*windows: str, query: str = "cold feet", document: str = "d") -> list[Asked]:
    return [Asked("q", document, place, (query, text)) for place, text in enumerate(windows)]


def test_bm25_scores_windows_by_their_words() -> None:
    scores = BM25Student()(
        "Cranes' feet", ["A crane sleeps.", "Its foot: feet.", "", "?", "Crane feet"]
    )
    assert scores[4] > scores[0] > 0
    assert scores[1] > 0
    assert scores[2] == scores[3] == 0
    assert BM25Student()("cranes", []) == []
    assert BM25Student()("the of", ["the", "of"]) == [0, 0]
    assert BM25Student()("cranes", ["", " "]) == [0, 0]


def test_bm25_counts_a_word_less_that_all_windows_have() -> None:
    rare, common = BM25Student()(
        "crane zebra", ["zebra owl", "crane owl", "crane fox", "crane cat"]
    )[:2]
    assert rare > common


def test_bm25_knows_chinese_when_told() -> None:
    windows = ["鹤单腿站着睡觉", "它的脚冷"]
    assert BM25Student("zh")("睡觉", windows)[0] > 0
    with pytest.raises(UnknownNameError, match="unknown language"):
        BM25Student("klingon")


def test_first_takes_them_in_order() -> None:
    assert first(asked("x", "y", "z")) == [0, -1, -2]


@given(st.integers(0, 5), st.permutations(asked(*"abcdef")))
def test_random_draws_the_same_whatever_the_order(seed: int, windows: list[Asked]) -> None:
    scores = RandomStudent(seed)(windows)
    alone = [RandomStudent(seed)([one])[0] for one in windows]
    assert scores == alone
    assert len(set(scores)) == 6


def test_random_draws_otherwise_for_another_seed_query_or_document() -> None:
    one = asked("a")[0]
    draws = {
        RandomStudent(seed)([other])[0]
        for seed in (0, 1)
        for other in (one, one._replace(query="r"), one._replace(document="e"))
    }
    assert len(draws) == 6


def test_students_are_found_by_name() -> None:
    assert load_student("all") is None
    assert load_student("first") is first
    bm25 = load_student("bm25")
    assert bm25 is not None
    assert bm25([]) == []
    assert bm25(asked("warm hands", "cold feet"))[1] > 0
    random = load_student("random", seed=1)
    assert random is not None
    assert random(asked("a")) == RandomStudent(1)(asked("a"))


@pytest.mark.parametrize("name", ["bm52", "ck", "ck:", "encoder:", "first:3", ""])
def test_an_unknown_student_is_told(name: str) -> None:
    with pytest.raises(UnknownNameError) as told:
        load_student(name)
    assert all(known in str(told.value) for known in STUDENTS)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    for name in (f"encoder:{tmp_path}", f"ck:{tmp_path}"):
        with pytest.raises(ModelError, match=r"tokenizer\.json|not a CK student"):
            load_student(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sentence encoder with random weights."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    return tiny.save(tmp_path, BertModel(config))


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
