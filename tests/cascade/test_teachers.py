import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from rankprompt.answering import Answering, Budget
from rankprompt.cascade.teachers import LikelihoodTeacher
from rankprompt.cascade.teachers.cross_encoder import (
    MINILM,
    CrossEncoder,
    find_reranker,
    load_cross_encoder,
)
from rankprompt.errors import InputError, ModelError
from rankprompt.journal import Journal
from rankprompt.prompt import load_prompt
from tests.fakes import FakeModel
from tests.models import tiny

PAIRS = [
    ("the mill", "An old mill stands above the river."),
    ("the mill", ""),
    ("the harbour", "x"),
    ("the mill", "boats " * 200),
]


def classifier(labels: int) -> Any:
    torch.manual_seed(0)
    make: Any = BertConfig
    config = make(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=64, initializer_range=0.5, num_labels=labels,
    )  # fmt: skip
    return BertForSequenceClassification(config)


@pytest.mark.parametrize("labels", [1, 2])
def test_a_transformers_folder_scores_pairs_whatever_the_batch(tmp_path: Path, labels: int) -> None:
    model = classifier(labels)
    teacher = load_cross_encoder(str(tiny.save(tmp_path, model)))
    together = teacher(PAIRS)
    for pair, score in zip(PAIRS, together, strict=True):
        assert teacher([pair])[0] == pytest.approx(score, abs=1e-5)
    given = tiny.tokenizer()(*PAIRS[0], return_tensors="pt", return_token_type_ids=True)
    with torch.inference_mode():
        logits = model.eval()(**given).logits[0]
    expected = logits[-1] - (logits[0] if labels == 2 else 0)
    assert together[0] == pytest.approx(expected.item(), abs=1e-4)
    assert teacher([]) == []


def test_another_number_of_labels_is_told(tmp_path: Path) -> None:
    teacher = load_cross_encoder(str(tiny.save(tmp_path, classifier(3))))
    with pytest.raises(ModelError, match="one label or two"):
        teacher(PAIRS)


def test_a_long_query_is_cut_and_counted(tmp_path: Path) -> None:
    teacher = load_cross_encoder(str(tiny.save(tmp_path, classifier(1))), query_tokens=3)
    long = "the old mill stands above the river"
    third = tiny.tokenizer()(long, return_offsets_mapping=True)["offset_mapping"][2]
    assert teacher([(long, "x")]) == teacher([(long[: third[1]], "x")])
    assert teacher.queries_cut == {long}


def test_the_fingerprint_changes_with_the_weights_and_the_querys_limit(tmp_path: Path) -> None:
    model = classifier(1)
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
        load_cross_encoder(str(tiny.save(tmp_path, classifier(1))), query_tokens=tokens)


@pytest.fixture(scope="module")
def minilm() -> CrossEncoder:
    pytest.importorskip("onnxruntime")
    try:
        find_reranker()
    except ModelError as error:
        pytest.skip(str(error))
    return load_cross_encoder(MINILM)


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


def test_a_language_model_scores_by_query_likelihood_and_asks_once(tmp_path: Path) -> None:
    model = FakeModel()
    prompt = load_prompt("query-likelihood")
    answering = Answering(model, Journal(tmp_path / "journal"))
    teacher = LikelihoodTeacher(answering, prompt)
    scores = teacher(PAIRS[:3])
    assert len(set(scores)) == 3
    assert all(math.isfinite(one) and one < 0 for one in scores)
    again = Answering(model, Journal(tmp_path / "journal"))
    assert LikelihoodTeacher(again, prompt)(PAIRS[:3]) == scores
    assert (answering.costs.prompts, again.costs.prompts) == (3, 0)


def test_a_spent_budget_is_told_and_what_was_asked_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    answering = Answering(FakeModel(), journal, Budget(prompts=2))
    with pytest.raises(ModelError, match="budget is spent"):
        LikelihoodTeacher(answering, load_prompt("query-likelihood"))(PAIRS)
    assert journal.totals() == (2, 2)


def test_another_kind_of_prompt_is_told() -> None:
    with pytest.raises(InputError, match="the kind likelihood, not choice"):
        LikelihoodTeacher(Answering(FakeModel(), Journal(None)), load_prompt("prp"))
