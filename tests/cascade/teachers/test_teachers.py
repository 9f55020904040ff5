import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from rankprompt.cascade.teachers import (
    MINILM,
    LanguageModelTeacher,
    llm_of,
    load_teacher,
    teacher_offsets,
)  # fmt: skip
from rankprompt.cascade.teachers.cross_encoder import (
    CrossEncoder,
    find_reranker,
    load_cross_encoder,
)
from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import load_prompt
from tests.fakes import FakeModel
from tests.llm import tiny

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
        assert teacher([pair])[0] == pytest.approx(score, rel=1e-5, abs=1e-5)
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
    assert teacher.cuts(long)
    assert not any(map(teacher.cuts, ("", " ", "the", long[: third[1]])))


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


def test_a_language_model_asks_once(tmp_path: Path) -> None:
    for name in ("query-likelihood", "relevance-yes-no"):
        model, prompt = FakeModel(), load_prompt(name)
        answering = CachedModel(model, Journal(tmp_path / name))
        teacher = LanguageModelTeacher(answering, prompt)
        scores = teacher(PAIRS[:3])
        assert len(set(scores)) == 3
        again = CachedModel(model, Journal(tmp_path / name))
        assert LanguageModelTeacher(again, prompt)(PAIRS[:3]) == scores
        assert (answering.costs.prompts, again.costs.prompts) == (3, 0)
        assert (teacher.tokens > 0, again.costs.tokens) == (True, 0)


def test_yes_and_no_make_the_probability_of_yes() -> None:
    def answer(request: Request) -> Answer:
        assert request.options == ("Yes", "No")
        return Answer((-1.0, -3.0) if "mill stands" in request.prompt else (-2.5, -0.5), (1, 1))

    answering = CachedModel(FakeModel(answer), Journal(None))
    teacher = LanguageModelTeacher(answering, load_prompt("relevance-yes-no"))
    assert teacher(PAIRS[:2]) == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])


def test_a_language_model_s_window_is_cut_to_fit_and_a_query_that_leaves_no_room_is_told() -> None:
    model = FakeModel(context_length=60)
    teacher = LanguageModelTeacher(
        CachedModel(model, Journal(None)), load_prompt("relevance-yes-no")
    )
    teacher([("mill", "boats " * 200)])
    assert 20 < model.prompts[0].prompt.count("boats") < 60
    with pytest.raises(ModelError, match=r"query 'long long .*\.\.\.' leaves no room"):
        teacher([("long " * 100, "x")])


def test_a_spent_budget_is_told_and_what_was_asked_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    answering = CachedModel(FakeModel(), journal, Budget(prompts=2))
    with pytest.raises(ModelError, match="budget is spent"):
        LanguageModelTeacher(answering, load_prompt("query-likelihood"))(PAIRS)
    assert journal.totals() == (2, 2)


def test_another_kind_of_prompt_is_told() -> None:
    with pytest.raises(InputError, match="gradings, and `prompt` prp is of kind choice"):
        LanguageModelTeacher(CachedModel(FakeModel(), Journal(None)), load_prompt("prp"))


def test_teachers_are_found_by_name(tmp_path: Path) -> None:
    assert (llm_of("llm:a/b"), llm_of("llm:"), llm_of(MINILM)) == ("a/b", None, None)
    with pytest.raises(UnknownNameError, match=f"did you mean '{MINILM}'"):
        load_teacher("ms-marco-minilm")
    folder = tiny.save(tmp_path, classifier(1))
    assert isinstance(load_teacher(str(folder)), CrossEncoder)
    assert teacher_offsets(str(folder))("the mill")[-1] == (3, 8)
    language = load_teacher("llm:any", model=CachedModel(FakeModel(), Journal(None)))
    assert isinstance(language, LanguageModelTeacher)


@pytest.mark.model
def test_the_embedded_model_is_a_teacher() -> None:
    teacher = load_teacher("llm:smollm2-135m")
    scores = teacher(PAIRS[:2])
    assert all(map(math.isfinite, scores))
    assert teacher.tokens > 20
