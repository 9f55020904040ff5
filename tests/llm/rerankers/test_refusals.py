"""Classifiers that cannot score are refused in one line, before anything is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from rankprompt.errors import ModelError
from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from tests.llm.rerankers.classifiers import (
    change,
    classifier,
    save_classifier,
    save_modular,
    save_onnx,
    write,
)


def drop_head(folder: Path) -> None:
    path = folder / "model.safetensors"
    kept = {name: one for name, one in load_file(path).items() if "classifier" not in name}
    save_file(kept, path, {"format": "pt"})


def set_config(**changes: object) -> Callable[[Path], None]:
    return lambda folder: change(folder / "config.json", **changes)


LABELS = {"0": "contradiction", "1": "entailment", "2": "neutral"}
AT_ONCE: dict[str, tuple[Callable[[Path], object], str]] = {
    "three labels": (set_config(id2label=LABELS), r"has 3 labels \(contradiction, entailment, neu"),
    "the wrong label first": (
        set_config(id2label={"0": "relevant", "1": "irrelevant"}), "the second must mean relevant",
    ),
    "labels in the order of their numbers": (
        set_config(id2label={"1": "not_relevant", "0": "relevant"}),
        "labels are 'relevant' and 'not_relevant', in this order",
    ),
    "labels as a list": (set_config(id2label=["no", "yes"]), "`id2label` .* must be an object"),
    "labels by names": (set_config(id2label={"a": "b", "c": "d"}), "`id2label` .* an object"),
    "a language model": (
        set_config(architectures=["LlamaForCausalLM"]),
        r"is a language model \(LlamaForCausalLM\), and no classifier; .* `prompt`",
    ),
    "an activation": (
        set_config(sentence_transformers={"activation_fn": "mine.Squash"}),
        "through mine.Squash, which is not understood",
    ),
    "an older activation": (
        set_config(sbert_ce_default_activation_function="mine.Squash"), "through mine.Squash",
    ),
    "a damaged configuration": (
        lambda folder: (folder / "config.json").write_text("{"),
        r"cannot read .*config\.json",
    ),
    "no tokenizer": (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "expected a folder with a tokenizer.json",
    ),
    "a damaged tokenizer": (
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        "cannot read .*tokeniz",
    ),
    "a prompt": (
        lambda folder: change(
            folder / "config_sentence_transformers.json", default_prompt_name="query"),
        "by a prompt or a chat template of its own",
    ),
}  # fmt: skip
AT_THE_FIRST_QUESTION: dict[str, tuple[Callable[[Path], object], str]] = {
    "no head": (drop_head, r"lacks weights of a classifier \(classifier.bias and 1 more\)"),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "cannot load the classifier",
    ),
    "an unknown architecture": (set_config(model_type="nothing"), "cannot load the classifier"),
    "too many layers": (set_config(num_hidden_layers=10**9), "num_hidden_layers is 1000000000"),
    "other sizes": (
        set_config(hidden_size=64),
        "cannot load the classifier .*other shapes than its config.json",
    ),
    "more labels than the head": (
        set_config(id2label={"0": "no", "1": "yes"}),
        "other shapes .* number of its labels",
    ),
}


@pytest.mark.parametrize("case", AT_ONCE)
def test_what_the_files_say_is_refused_at_once(tmp_path: Path, case: str) -> None:
    spoil, message = AT_ONCE[case]
    spoil(save_classifier(tmp_path, labels=2))
    with pytest.raises(ModelError, match=message) as caught:
        load_model(f"cross-encoder:{tmp_path}")
    assert "\n" not in str(caught.value)


REVERSED = [
    ("RELEVANT_DOC", "NOT_RELEVANT"), ("entailment", "not_entailment"), ("Yes ", "No"),
    ("POS", "NEG"), ("1", "0"), ("relevant", "other"), ("other", "non-relevant"),
    ("is relevant", "is not relevant"), ("True", "False"), ("a", "NotRelevant"),
    ("a", "unrelated"),
]  # fmt: skip
IN_ORDER = [
    ("LABEL_0", "LABEL_1"), ("0", "1"), ("NEG", "POS"), ("not_relevant", "relevant"), ("no", "yes"),
    ("irrelevant", "highly relevant"), ("class 1", "class 2"), ("a", "b"), ("not_match", "match"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), REVERSED)
def test_labels_in_the_wrong_order_are_refused_whatever_their_names(
    tmp_path: Path, first: str, second: str
) -> None:
    save_classifier(tmp_path, labels=2)
    change(tmp_path / "config.json", id2label={"1": second, "0": first})
    with pytest.raises(ModelError, match="the second must mean relevant") as caught:
        load_model(str(tmp_path))
    assert repr(first) in str(caught.value)
    assert repr(second) in str(caught.value)


@pytest.mark.parametrize(("first", "second"), IN_ORDER)
def test_labels_in_the_right_order_are_read(tmp_path: Path, first: str, second: str) -> None:
    save_classifier(tmp_path, labels=2)
    change(tmp_path / "config.json", id2label={"1": second, "0": first})
    assert load_model(str(tmp_path)).context_length


@pytest.mark.parametrize("case", AT_THE_FIRST_QUESTION)
def test_what_only_loading_tells_is_refused_at_the_first_question(
    tmp_path: Path, case: str
) -> None:
    spoil, message = AT_THE_FIRST_QUESTION[case]
    spoil(save_classifier(tmp_path))
    model = load_model(f"cross-encoder:{tmp_path}")
    with pytest.raises(ModelError, match=message) as caught:
        model.answer([Request("mill", passage="boats")])
    assert "\n" not in str(caught.value)


def test_three_labels_of_an_onnx_model_without_configuration(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = load_model(str(save_onnx(tmp_path, 3)))
    with pytest.raises(ModelError, match="has 3 labels; a cross-encoder has one label or two"):
        model.answer([Request("mill", passage="boats")])
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"cannot load .*model\.onnx"):
        load_model(str(tmp_path)).answer([Request("mill", passage="boats")])


@pytest.mark.parametrize(
    ("where", "changes", "message"),
    [
        ("1_Pooling", {"pooling_mode": "weightedmean"}, "the pooling 'weightedmean' is not unders"),
        ("2_Dense", {"activation_function": "os.system"}, "the activation os.system is not unders"),
        ("2_Dense", {"use_residual": True}, "a residual connection"),
        ("4_Dense", {"out_features": 3}, "a last layer with one output or two"),
    ],
)
def test_a_modular_folder_that_is_not_understood(
    tmp_path: Path, where: str, changes: dict[str, object], message: str
) -> None:
    save_modular(tmp_path)
    change(tmp_path / where / "config.json", **changes)
    with pytest.raises(ModelError, match=message):
        load_model(f"cross-encoder:{tmp_path}")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "1_LogitScore", "type": "x.LogitScore"}, "name its `prompt`, such as qwen3-rer"),
        ({"path": "1_CNN", "type": "x.CNN"}, "the module CNN at '1_CNN' is not understood"),
        ({"path": "../1_Pooling", "type": "x.Pooling"}, "'../1_Pooling' is not understood"),
        ({"type": "x.Pooling"}, "expected objects with a path"),
        ("Pooling", "expected objects with a path"),
    ],
)
def test_modules_that_are_not_understood(tmp_path: Path, entry: object, message: str) -> None:
    save_classifier(tmp_path)
    write(tmp_path / "modules.json", [{"path": "", "type": "x.Transformer"}, entry])
    with pytest.raises(ModelError, match=message):
        load_model(f"cross-encoder:{tmp_path}")


def test_an_ordinary_classifier_may_be_listed_as_a_module(tmp_path: Path) -> None:
    save_classifier(tmp_path)
    request = [Request("mill", passage="boats")]
    expected = load_model(str(tmp_path)).answer(request)
    write(tmp_path / "modules.json", [{"path": "", "type": "x.Transformer"}])
    assert load_model(str(tmp_path)).answer(request) == expected


def test_a_folder_with_a_vocabulary_alone_reads_as_transformers_does(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "mill", "boats", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    classifier("bert").save_pretrained(tmp_path)
    model = load_model(str(tmp_path))
    assert model.length(Request("the mill", passage="the mills")) == 2 + 3 + 3
