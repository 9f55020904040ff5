from pathlib import Path
from typing import Any

import pytest
import torch

from rankprompt.cascade.teachers import find_reranker
from rankprompt.cascade.teachers.cross_encoder import CrossEncoder, load_cross_encoder
from rankprompt.errors import InputError, ModelError
from tests.cascade.toy_models import cross_encoder, save_cross_encoder
from tests.llm import tiny

PAIRS = [
    ("the mill", "An old mill stands above the river."),
    ("the mill", ""),
    ("the harbour", "x"),
    ("the mill", "boats " * 200),
]
TINY = {"num_hidden_layers": 2, "max_position_embeddings": 64}


@pytest.mark.parametrize("labels", [1, 2])
def test_a_transformers_folder_scores_pairs_whatever_the_batch(tmp_path: Path, labels: int) -> None:
    model: Any = cross_encoder(**TINY, num_labels=labels)
    teacher = load_cross_encoder(str(tiny.save(tmp_path, model)))
    together = teacher(PAIRS)
    for pair, score in zip(PAIRS, together, strict=True):
        assert teacher([pair])[0] == pytest.approx(score, rel=1e-5, abs=1e-5)
    given = tiny.tokenizer()(*PAIRS[0], return_tensors="pt")
    with torch.inference_mode():
        logits = model.eval()(**given).logits[0]
    expected = logits[-1] - (logits[0] if labels == 2 else 0)
    assert together[0] == pytest.approx(expected.item(), abs=1e-4)
    assert teacher([]) == []


def test_another_number_of_labels_is_told(tmp_path: Path) -> None:
    teacher = load_cross_encoder(save_cross_encoder(tmp_path, **TINY, num_labels=3))
    with pytest.raises(ModelError, match="one label or two"):
        teacher(PAIRS)


def test_a_long_query_is_cut_and_counted(tmp_path: Path) -> None:
    teacher = load_cross_encoder(save_cross_encoder(tmp_path, **TINY), query_tokens=3)
    long = "the old mill stands above the river"
    third = tiny.tokenizer()(long, return_offsets_mapping=True)["offset_mapping"][2]
    assert teacher([(long, "x")]) == teacher([(long[: third[1]], "x")])
    assert teacher.cuts(long)
    assert not any(map(teacher.cuts, ("", " ", "the", long[: third[1]])))


def test_the_fingerprint_changes_with_the_weights_and_the_querys_limit(tmp_path: Path) -> None:
    model = cross_encoder(**TINY)
    folder = str(tiny.save(tmp_path, model))
    prints = {load_cross_encoder(folder, query_tokens=n).fingerprint for n in (3, 4, 4)}
    model.classifier.weight.data.zero_()
    model.save_pretrained(tmp_path)
    prints.add(load_cross_encoder(folder, query_tokens=4).fingerprint)
    assert len(prints) == 3


def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a folder with a tokenizer\.json"):
        load_cross_encoder(str(tmp_path))
    tiny.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="cannot load the classifier"):
        load_cross_encoder(str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    pytest.importorskip("onnxruntime")
    with pytest.raises(ModelError, match=r"cannot load .*model\.onnx"):
        load_cross_encoder(str(tmp_path))


@pytest.mark.parametrize("tokens", [0, 33])
def test_a_querys_limit_out_of_range_is_told(tmp_path: Path, tokens: int) -> None:
    with pytest.raises(InputError, match="query_tokens must be from 1 to 32"):
        load_cross_encoder(save_cross_encoder(tmp_path, **TINY), query_tokens=tokens)


@pytest.fixture(scope="module")
def minilm() -> CrossEncoder:
    pytest.importorskip("onnxruntime")
    try:
        find_reranker()
    except ModelError as error:
        pytest.skip(str(error))
    return load_cross_encoder(find_reranker())


def test_the_onnx_model_knows_an_answer(minilm: CrossEncoder) -> None:
    query = "why does glacier ice look blue"
    good, bad, empty = minilm(
        [(query, "Dense ice absorbs red light, so glaciers look blue."), (query, "Ice is cold."),
         (query, "")]
    )  # fmt: skip
    assert good > bad > empty


def test_the_onnx_models_scores_do_not_depend_on_each_other(minilm: CrossEncoder) -> None:
    together = minilm(PAIRS)
    assert [minilm([pair])[0] for pair in PAIRS] == together
    assert minilm(PAIRS[::-1]) == together[::-1]
