"""Segment ids: a classifier is given those that its tokenizer gives, as transformers does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertTokenizer

from rankprompt.errors import ModelError
from rankprompt.llm.encoder_networks import load_network
from rankprompt.llm.model_folders import folder_fingerprint
from rankprompt.llm.rerankers.names import find_reranker
from rankprompt.llm.segment_ids import gives_segments
from tests.llm import tiny
from tests.llm.rerankers.classifiers import change, classifier, save_classifier, save_onnx

PAIRS = [("the mill", "An old mill stands above the river."), ("boats", "are asleep"), ("x", "")]
WITH = ["input_ids", "token_type_ids", "attention_mask"]
WITHOUT = ["input_ids", "attention_mask"]
TWO = {"type_vocab_size": 2}


def logits(folder: Path) -> list[float]:
    network = load_network(folder, "classifier")
    found = [0.0] * len(PAIRS)
    for indices, output, _ in network.run(network.tokenizer.encode_batch(PAIRS)):
        for index, row in zip(indices, output, strict=True):
            (found[index],) = row
    return found


def plain(folder: Path) -> list[float]:
    """The logits by transformers alone."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        given = [tokenizer([query], [text], return_tensors="pt") for query, text in PAIRS]
        return [float(model(**one).logits[0, 0]) for one in given]


@pytest.mark.parametrize(
    ("name", "inputs", "changes"),
    [
        ("bert", WITH, {}),
        ("bert", WITHOUT, {}),
        ("bert", None, {}),
        ("electra", WITH, {}),
        ("electra", None, {}),
        ("xlm-roberta", None, {}),
        ("xlm-roberta", WITHOUT, {}),
        ("xlm-roberta", WITH, TWO),
        ("xlm-roberta", None, TWO),
        ("modernbert", WITHOUT, {}),
        ("modernbert", None, {}),
        ("deberta-v2", WITH, TWO),
        ("deberta-v2", None, TWO),
        ("qwen3", None, {}),
    ],
)
def test_scores_equal_those_of_plain_transformers(
    tmp_path: Path, name: str, inputs: Sequence[str] | None, changes: dict[str, Any]
) -> None:
    folder = save_classifier(tmp_path, name, **changes)
    change(folder / "tokenizer_config.json", model_input_names=inputs)
    assert logits(folder) == pytest.approx(plain(folder), abs=1e-5)


def test_segment_ids_change_the_scores_and_the_fingerprint_where_none_were_given(
    tmp_path: Path,
) -> None:
    folder = save_classifier(tmp_path)
    scores, network = logits(folder), load_network(folder, "classifier", lazy=True)
    assert network.fingerprint == folder_fingerprint(folder)
    change(folder / "tokenizer_config.json", model_input_names=None)
    assert logits(folder) != pytest.approx(scores, abs=0.01)
    # Of the journal of a version that gave segment ids in any case, nothing is read.
    network = load_network(folder, "classifier", lazy=True)
    assert network.fingerprint == f"{folder_fingerprint(folder)} segments"


@pytest.mark.parametrize("inputs", [WITH, WITHOUT, None])
@pytest.mark.parametrize("name", ["xlm-roberta", "deberta-v2", "modernbert", "qwen3"])
def test_journals_of_models_that_know_no_segments_stay_valid(
    tmp_path: Path, name: str, inputs: list[str] | None
) -> None:
    folder = save_classifier(tmp_path, name)
    change(folder / "tokenizer_config.json", model_input_names=inputs)
    scores = logits(folder)
    fingerprint = load_network(folder, "classifier", lazy=True).fingerprint
    if inputs != WITH or name in ("xlm-roberta", "deberta-v2"):
        assert fingerprint == folder_fingerprint(folder)
    change(folder / "tokenizer_config.json", model_input_names=WITHOUT)
    assert logits(folder) == scores


def test_a_decoder_that_reads_segments_is_given_them_where_its_tokenizer_says_so(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "gpt2"
    make: Any = transformers.GPT2Config
    config = make(vocab_size=400, n_embd=32, n_layer=2, n_head=2, num_labels=1, pad_token_id=0)
    torch.manual_seed(0)
    model: Any = transformers.GPT2ForSequenceClassification(config)
    torch.nn.init.normal_(model.transformer.wte.weight)
    torch.nn.init.normal_(model.score.weight)
    tiny.save(folder, model)
    before, fingerprint = logits(folder), load_network(folder, "classifier").fingerprint
    assert fingerprint == folder_fingerprint(folder)
    assert before[:2] == pytest.approx(plain(folder)[:2], abs=1e-5)
    change(folder / "tokenizer_config.json", model_input_names=WITH)
    assert logits(folder)[:2] == pytest.approx(plain(folder)[:2], abs=1e-5)
    assert logits(folder) != pytest.approx(before, abs=0.01)
    assert load_network(folder, "classifier").fingerprint != folder_fingerprint(folder)


@pytest.mark.parametrize("kind", ["BertTokenizer", "BertTokenizerFast", None])
@pytest.mark.parametrize("name", ["bert", "electra"])
def test_the_class_of_a_tokenizer_says_what_its_settings_leave_out(
    tmp_path: Path, name: str, kind: str | None
) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "old", "mill", "boats", "x"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    classifier(name).save_pretrained(tmp_path)
    change(tmp_path / "tokenizer_config.json", tokenizer_class=kind, model_input_names=None)
    assert gives_segments(tmp_path, is_onnx=False)
    assert load_network(tmp_path, "classifier").fingerprint == folder_fingerprint(tmp_path)
    assert logits(tmp_path) == pytest.approx(plain(tmp_path), abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "electra", "roberta", "nystromformer", "qwen3"])
@pytest.mark.parametrize(
    "kind",
    ["BertTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
     "RobertaTokenizer", "Unheard", None],
)  # fmt: skip
def test_what_is_told_without_transformers_is_what_transformers_does(
    tmp_path: Path, name: str, kind: str | None
) -> None:
    tiny.tokenizer().save_pretrained(tmp_path)
    config = transformers.AutoConfig.for_model(name, vocab_size=400)
    config.save_pretrained(tmp_path)
    change(tmp_path / "tokenizer_config.json", tokenizer_class=kind)
    expected = "token_type_ids" in AutoTokenizer.from_pretrained(tmp_path).model_input_names
    expected &= getattr(config, "type_vocab_size", 0) > 1
    assert gives_segments(tmp_path, is_onnx=False) == expected


def test_the_tokenizers_that_give_segment_ids_are_those_of_transformers(tmp_path: Path) -> None:
    for name in (
        "Albert", "Bert", "Camembert", "ConvBert", "Deberta", "DebertaV2", "DistilBert", "Electra",
        "FNet", "GPT2", "Llama", "MPNet", "MobileBert", "Roberta", "SqueezeBert", "T5",
        "XLMRoberta", "XLNet",
    ):  # fmt: skip
        loaded: Any = getattr(transformers, f"{name}Tokenizer")
        for end in ("", "Fast"):
            change(tmp_path / "tokenizer_config.json", tokenizer_class=f"{name}Tokenizer{end}")
            told = gives_segments(tmp_path, is_onnx=True)
            assert told == ("token_type_ids" in loaded.model_input_names), name


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"model_input_names": WITH}, True),
        ({"model_input_names": WITHOUT}, False),
        ({"model_input_names": WITHOUT, "tokenizer_class": "BertTokenizer"}, False),
        ({"tokenizer_class": "BertTokenizerFast"}, True),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, False),
        ({}, True),
    ],
)
def test_an_onnx_model_is_given_zeros_where_its_tokenizer_gives_none(
    tmp_path: Path, settings: dict[str, Any], given: bool
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = save_onnx(tmp_path, segments=True)
    cleared = {"model_input_names": None, "tokenizer_class": None}
    change(folder / "tokenizer_config.json", **(cleared | settings))
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    network, expected = load_network(folder, "classifier"), []
    for encoded in network.tokenizer.encode_batch(PAIRS):
        kinds = encoded.type_ids if given else [0] * len(encoded.ids)
        rows = (encoded.ids, encoded.attention_mask, kinds)
        names = ("input_ids", "attention_mask", "token_type_ids")
        (output,) = session.run(
            None, {name: np.array([row]) for name, row in zip(names, rows, strict=True)}
        )
        expected.append(float(output[0, 0]))
    assert logits(folder) == expected
    word = "" if given else " segments"
    assert network.fingerprint == folder_fingerprint(folder) + word


def test_a_tokenizer_that_transformers_cannot_load_is_told_in_a_line(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    change(folder / "tokenizer_config.json", model_input_names=None, added_tokens_decoder=7)
    with pytest.raises(ModelError, match="cannot load the tokenizer of") as caught:
        load_network(folder, "classifier", lazy=True)
    assert "\n" not in str(caught.value)


@pytest.mark.model
def test_the_embedded_reranker_is_given_segment_ids_and_its_journals_stay_valid() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = find_reranker()
    assert load_network(folder, "classifier").fingerprint == folder_fingerprint(folder)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = [tokenizer([query], [text], return_tensors="np") for query, text in PAIRS]
    expected = [float(session.run(None, dict(one))[0][0, 0]) for one in given]
    assert logits(folder) == pytest.approx(expected, abs=1e-4)
