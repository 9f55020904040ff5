"""Adapters, tokenizers, revisions and kinds of attention of local models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.llm import load_model
from rankprompt.llm.local.adapters import with_adapter
from rankprompt.llm.local.facts import FactsFile
from rankprompt.llm.local.lazy import LazyModel
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.variant import Variant
from tests.llm import tiny
from tests.llm.local.small_models import SCORED, WRITTEN

peft = pytest.importorskip("peft", reason="peft is not installed")
# PEFT's own use of transformers, where a test trains; loading must be silent by itself.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))


def load(folder: Path | str, **how: Any) -> Any:
    return load_model(str(folder), **{"dtype": "float32", "device": "cpu", "threads": 1, **how})


def refused(folder: Path | str, kind: type[Exception] = ModelError, **how: Any) -> str:
    with pytest.raises(kind) as caught:
        load(folder, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def adapter(folder: Path, *, seed: int = 0, **settings: Any) -> tuple[Path, Any]:
    """A trained adapter, and the model with it, unmerged, as PEFT runs it."""
    config = peft.LoraConfig(
        r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], **settings
    )
    model = peft.get_peft_model(tiny.llama(), config)
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # they are zero before training
            weight.data.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder, model.eval()


def test_an_adapter_answers_as_peft_runs_it(llama: Path, tmp_path: Path) -> None:
    folder, unmerged = adapter(tmp_path / "adapter", task_type="CAUSAL_LM")
    adapted, plain = load(llama, adapter=str(folder)), load(llama)
    assert adapted.fingerprint != plain.fingerprint
    asked = LocalModel(unmerged.base_model.model, tiny.tokenizer(), name="peft")
    for requests in (SCORED, WRITTEN):
        found, _ = adapted.answer(requests)
        expected, _ = asked.answer(requests)
        for one, other in zip(found, expected, strict=True):
            assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
            assert one.text == other.text
    (without, _), (found, _) = plain.answer(SCORED), adapted.answer(SCORED)
    assert (
        max(
            abs(a.loglikelihoods[0] - b.loglikelihoods[0])
            for a, b in zip(found, without, strict=True)
        )
        > 0.1
    )


def test_an_adapter_beside_the_weights_answers_alike(llama: Path, tmp_path: Path) -> None:
    folder, _ = adapter(tmp_path / "adapter")
    answers = {}
    for merge in (True, False):
        model, words = load_pair(str(llama), dtype=torch.float32, device=torch.device("cpu"))
        asked = LocalModel(with_adapter(model, "a", folder, merge=merge), words, name="m")
        answers[merge] = asked.answer(SCORED)[0]
        assert asked.fingerprint != load(llama).fingerprint
    for one, other in zip(answers[True], answers[False], strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)


def test_facts_of_a_model_are_not_those_of_it_with_an_adapter(llama: Path, tmp_path: Path) -> None:
    one, _ = adapter(tmp_path / "one")
    other, _ = adapter(tmp_path / "other", seed=1)
    seen = set()
    for given in (None, str(one), str(other)):
        first, again = load(llama, adapter=given), load(llama, adapter=given)
        assert isinstance(first, LocalModel)
        assert isinstance(again, LazyModel)
        assert again.fingerprint == first.fingerprint
        assert again.answer(SCORED) == first.answer(SCORED)
        seen.add(first.fingerprint)
    assert len(seen) == 3
    (one / "adapter_model.safetensors").touch()  # trained anew, it might be
    assert isinstance(load(llama, adapter=str(one)), LocalModel)


def test_what_is_no_adapter_of_this_model_is_refused(llama: Path, tmp_path: Path) -> None:
    assert refused(llama, adapter="./nothing") == "`adapter` ./nothing: no such folder"
    assert "expected a folder of PEFT" in refused(llama, adapter=str(llama))
    classifier, _ = adapter(tmp_path / "classifier", task_type="SEQ_CLS")
    assert "only LORA of a language model" in refused(llama, adapter=str(classifier))
    folder, _ = adapter(tmp_path / "adapter")
    wide = tiny.save(tmp_path / "wide", tiny.llama(hidden_size=64))
    assert "was it trained with another one?" in refused(wide, adapter=str(folder))
    # PEFT would leave the third layer as it is, with a warning.
    deep = tiny.save(tmp_path / "deep", tiny.llama(num_hidden_layers=3))
    assert "has no counterpart" in refused(deep, adapter=str(folder))
    flat = tiny.save(tmp_path / "flat", tiny.llama(num_hidden_layers=1))
    assert "has no counterpart" in refused(flat, adapter=str(folder))


def test_an_adapter_given_as_the_model_stands_for_its_base_with_it(
    llama: Path, tmp_path: Path
) -> None:
    folder, _ = adapter(tmp_path / "adapter")
    assert "does not tell its base model: give it as `adapter`" in refused(folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(llama)
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    alone, both = load(folder), load(llama, adapter=str(folder))
    assert alone.name == str(folder)
    assert alone.fingerprint == both.fingerprint
    assert alone.answer(SCORED) == both.answer(SCORED)
    assert isinstance(load(folder), LazyModel)
    told = refused(folder, InputError, adapter=str(folder))
    assert told.endswith(f"give its base, {llama}, as `model`, and one `adapter`")
    with pytest.raises(ModelError, match=f"this takes a whole model, as {llama}"):
        load_pair(str(folder), dtype=torch.float32, device=torch.device("cpu"))
    (folder / "adapter_config.json").write_text("{")
    assert "cannot read" in refused(folder)


def test_another_tokenizer_is_used(llama: Path, tmp_path: Path) -> None:
    bare = shutil.copytree(llama, tmp_path / "bare")
    for file in bare.glob("*token*"):
        file.unlink()
    assert "token" in refused(bare)
    model = load(bare, tokenizer=str(llama))
    assert model.answer(SCORED) == load(llama).answer(SCORED)
    assert isinstance(load(bare, tokenizer=str(llama)), LazyModel)
    other = tiny.save(tmp_path / "other", tiny.llama(), tiny.tokenizer(bos=True))
    longer = load(bare, tokenizer=str(other))
    assert longer.length(SCORED[0]) == model.length(SCORED[0]) + 1
    assert longer.fingerprint != model.fingerprint


def test_a_tokenizer_of_another_model_is_refused(llama: Path, tmp_path: Path) -> None:
    small = tiny.save(tmp_path / "small", tiny.llama(vocab_size=300))
    assert "`tokenizer` has 400 tokens, and the model" in refused(small, tokenizer=str(llama))


def test_attention_changes_only_the_rounding(llama: Path) -> None:
    (eager, _), (sdpa, _) = (
        load(llama, attention=name).answer(SCORED) for name in ("eager", "sdpa")
    )
    for one, other in zip(eager, sdpa, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
    assert "flash" in refused(llama, attention="flash_attention_2").lower()
    assert "did you mean 'sdpa'?" in refused(llama, UnknownNameError, attention="spda")


def test_what_needs_a_gpu_or_a_hub_says_so(llama: Path) -> None:
    assert "needs a CUDA device, and this is cpu" in refused(llama, InputError, quantize="4bit")
    assert "goes with a model of the hub" in refused(llama, InputError, revision="main")


def test_a_revision_of_a_hub_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    base = tmp_path / "hub" / "models--org--tiny"
    (base / "refs").mkdir(parents=True)
    fingerprints = {}
    for seed, name in enumerate(("main", "trained")):
        commit = f"{seed}" * 40
        tiny.save(base / "snapshots" / commit, tiny.llama(seed))
        (base / "refs" / name).write_text(commit)
        fingerprints[name] = load(base / "snapshots" / commit).fingerprint
    model = "org/tiny"
    assert load(model).fingerprint == fingerprints["main"]
    assert load(model, revision="trained").fingerprint == fingerprints["trained"]
    assert isinstance(load(model, revision="trained"), LazyModel)
    assert load(model, revision="trained").fingerprint == fingerprints["trained"]
    assert "cannot be reached; its local cache lacks" in refused(model, revision="absent")
    absent = FactsFile("org/tiny", {}, Variant(revision="absent"))
    assert absent.read() is None


def test_a_reranker_has_no_adapter() -> None:
    for name in ("adapter", "tokenizer", "quantize", "attention"):
        with pytest.raises(InputError, match=f"`{name}` plays no part"):
            load("cross-encoder:org/model", **{name: "x"})
