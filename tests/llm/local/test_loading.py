import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.llm import load_model
from tests.llm import tiny
from tests.llm.local.small_models import SCORED, load


def refused(name: object, kind: type[Exception] = ModelError, **how: Any) -> str:
    """The message of a refusal; one line."""
    with pytest.raises(kind) as caught:
        load_model(str(name), **{"dtype": "float32", "device": "cpu", **how})
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def test_the_name_is_the_users(llama: Path) -> None:
    assert load(llama).name == str(llama)


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./nothing", "~/no-such-model", "nothing.gguf"]
)
def test_a_missing_folder_is_refused(name: str) -> None:
    assert refused(name) == f"model {name!r}: no such file or folder"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize("left", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(llama: Path, tmp_path: Path, left: str) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    (folder / left).unlink()
    message = refused(folder)
    assert message.startswith(f"cannot load the model '{folder}'")
    assert left.split(".")[0] in message


def test_a_folder_without_a_tokenizer_is_refused(llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert "token" in refused(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_refused(llama: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    assert refused(folder).startswith(f"cannot load the model '{folder}'")


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 10**9},
        {"text_config": {"num_hidden_layers": 10**7}},
        {"model_type": "qwen2", "num_hidden_layers": 20_000},
        {"num_local_experts": 10_001},
    ],
)
def test_a_count_that_no_model_has_is_refused(
    llama: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    message = refused(folder)
    assert message.startswith(f"cannot load the model '{folder}': config.json: num_")
    assert message.endswith("more than 10,000")


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("nothing")
    assert refused(path).startswith(f"cannot load the model '{path}'")


def test_a_model_without_a_language_models_head_is_refused(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "headless", tiny.llama().model)
    assert "lacks weights of a language model (lm_head.weight)" in refused(folder)


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    message = refused(tiny.save(tmp_path / "bert", tiny.bert()))
    assert "is an encoder" in message


def test_an_encoder_without_a_head_is_refused(tmp_path: Path) -> None:
    message = refused(tiny.save(tmp_path / "bert", tiny.bert().bert))
    assert "lacks weights of a language model" in message


def test_an_unknown_number_format_is_refused(llama: Path) -> None:
    message = refused(llama, UnknownNameError, dtype="bfloat")
    assert "did you mean 'bfloat16'?" in message


@pytest.mark.parametrize("device", ["toaster", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(llama: Path, device: str) -> None:
    assert refused(llama, InputError, device=device).startswith(f"device {device!r} cannot be used")


# Code that comes with a model


def with_code(folder: Path, marker: Path, where: str) -> Path:
    """A model whose own module, once imported, leaves a marker."""
    folder.mkdir(exist_ok=True)
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    if where == "config":
        config = {
            "model_type": "evil",
            "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        }
        (folder / "config.json").write_text(json.dumps(config))
        return folder
    file, auto_map = {
        "model": ("config.json", {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.C"}),
        "tokenizer": ("tokenizer_config.json", {"AutoTokenizer": ["evil.Words", "evil.Words"]}),
    }[where]
    settings = json.loads((folder / file).read_text())
    settings["auto_map"] = auto_map
    if where == "tokenizer":
        settings["tokenizer_class"] = "EvilTokenizer"
    (folder / file).write_text(json.dumps(settings))
    return folder


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    folder = with_code(tmp_path / "model", marker, "config")
    message = refused(folder)
    assert "`trust_remote_code`" in message
    assert str(folder) in message
    assert not marker.exists()


def test_code_beside_a_model_that_transformers_knows_is_not_run(
    llama: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    folder = with_code(shutil.copytree(llama, tmp_path / "llama"), marker, "model")
    assert load(folder).answer(SCORED) == load(llama).answer(SCORED)
    assert not marker.exists()


def test_code_that_comes_with_a_tokenizer_is_not_run(llama: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    folder = with_code(shutil.copytree(llama, tmp_path / "llama"), marker, "tokenizer")
    assert "`trust_remote_code`" in refused(folder)
    assert not marker.exists()


def test_trusted_code_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So the tests above would see it run.
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hub"))
    monkeypatch.syspath_prepend(tmp_path / "hub")
    marker = tmp_path / "marker"
    refused(with_code(tmp_path / "model", marker, "config"), trust_remote_code=True)
    assert marker.exists()
