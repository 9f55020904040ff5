"""What the files of a model tell before the engine starts."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError, ModelError
from rankprompt.llm import load_model
from rankprompt.llm.vllm.model_folder import (
    ModelFolder,
    digest_folder,
    find_folder,
    lora_rank,
)
from rankprompt.llm.vllm.settings import EngineSettings
from tests.llm import tiny

Fields = dict[str, Any]


def folder(path: Path, config: Fields, **files: Fields) -> ModelFolder:
    path.mkdir(exist_ok=True)
    for name, content in {"config": config, **files}.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return ModelFolder(path, "m")


@pytest.mark.parametrize(
    ("config", "asked", "dtype"),
    [
        ({"torch_dtype": "float16"}, "auto", "float16"),
        ({"dtype": "bfloat16"}, "auto", "bfloat16"),
        ({"torch_dtype": "float32"}, "auto", "bfloat16"),
        ({"text_config": {"dtype": "float16"}}, "auto", "float16"),
        ({}, "auto", "bfloat16"),
        ({"torch_dtype": "float16"}, "float32", "float32"),
    ],
)
def test_the_number_format_is_that_of_the_weights(
    config: Fields, asked: str, dtype: str, tmp_path: Path
) -> None:
    assert folder(tmp_path, config).dtype(asked) == dtype


def test_the_context_is_as_long_as_model_and_tokenizer_let_it_be(tmp_path: Path) -> None:
    small = folder(tmp_path, {"max_position_embeddings": 2048})
    assert small.context_length(10**30) == 2048
    assert small.context_length(512) == 512
    assert small.context_length(10**30, 4096) == 4096  # what the user asks for
    large = folder(tmp_path, {"text_config": {"max_position_embeddings": 262_144}})
    assert large.context_length(None) == 32_768


@pytest.mark.parametrize(
    ("config", "files", "ends"),
    [
        ({"eos_token_id": 5}, {}, [5]),
        ({"eos_token_id": 5}, {"generation_config": {"eos_token_id": [6, 7]}}, [6, 7]),
        ({"eos_token_id": 5}, {"generation_config": {}}, [1]),
        ({}, {}, [1]),
        ({"text_config": {"eos_token_id": 9}}, {}, [9]),
    ],
)
def test_a_text_ends_where_transformers_ends_it(
    config: Fields, files: dict[str, Fields], ends: list[int], tmp_path: Path
) -> None:
    assert folder(tmp_path, config, **files).end_tokens(1) == ends


@pytest.mark.parametrize(
    ("quantization", "plain"),
    [
        (None, True),
        ({"quant_method": "awq"}, True),
        ({"quant_method": "fp8"}, True),
        ({"quant_method": "gptq"}, True),
        ({"quant_method": "gptq", "lm_head": True}, False),
        ({"quant_method": "compressed-tensors", "ignore": ["lm_head"]}, True),
        ({"quant_method": "compressed-tensors", "ignore": []}, False),
        ({"quant_method": "something new"}, False),
    ],
)
def test_output_embeddings_are_float32_where_they_are_not_quantised(
    quantization: Fields | None, plain: bool, tmp_path: Path
) -> None:
    config = {"quantization_config": quantization} if quantization else {}
    assert folder(tmp_path, config).has_plain_head is plain


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["BertForSequenceClassification"]}, "cross-encoder:m"),
        ({"is_encoder_decoder": True}, "no encoder-decoder"),
        ({"num_hidden_layers": 10**9}, "more than 10,000"),
    ],
)
def test_what_vllm_does_not_run_is_refused(config: Fields, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        folder(tmp_path, config)


def test_gguf_files_and_missing_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="reads folders and hub ids"):
        find_folder(str(tmp_path / "m.gguf"))
    with pytest.raises(ModelError, match="no such file or folder"):
        find_folder(str(tmp_path / "missing"))
    with pytest.raises(ModelError, match="cannot load the model"):
        ModelFolder(tmp_path, "m")


def test_the_digest_changes_with_settings_and_with_spread_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    content = bytearray(9 << 20)
    weights.write_bytes(content)
    digests = {digest_folder(tmp_path)}
    for start in (0, len(content) // 2, len(content) - 9000):
        changed = content.copy()
        changed[start : start + 9000] = b"\1" * 9000  # a sample lies within
        weights.write_bytes(changed)
        digests.add(digest_folder(tmp_path))
    weights.write_bytes(content)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    digests.add(digest_folder(tmp_path))
    assert len(digests) == 5
    (tmp_path / "notes.md").write_text("of no matter")
    assert digest_folder(tmp_path) in digests


def adapter(path: Path, **settings: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **settings}))
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    return path


def test_an_adapter_is_given_room_for_its_rank(tmp_path: Path) -> None:
    assert lora_rank(adapter(tmp_path, r=8)) == 8
    assert lora_rank(adapter(tmp_path, r=8, rank_pattern={"q_proj": 24})) == 32
    for wrong in ({"r": 1000}, {}):
        with pytest.raises(ModelError, match="`adapter`"):
            lora_rank(adapter(tmp_path, **wrong))


def test_what_is_no_adapter_is_refused(started: list[Fields], llama: Path, tmp_path: Path) -> None:
    other = str(adapter(tmp_path, r=8, peft_type="IA3"))
    for wrong in (other, str(tmp_path / "missing")):
        with pytest.raises(ModelError, match="`adapter`"):
            load_model(f"vllm:{llama}", adapter=wrong)
    with pytest.raises(ModelError, match="does not tell its base model: give it as `adapter`"):
        load_model(f"vllm:{tmp_path}")
    with pytest.raises(InputError, match="`revision` goes with a model of the hub"):
        load_model(f"vllm:{llama}", revision="main")
    assert not started


def test_the_fingerprint_tells_what_changes_answers(
    started: list[Fields], llama: Path, tmp_path: Path
) -> None:
    def of(path: Path, dtype: str = "float32", **how: Any) -> str:
        return load_model(f"vllm:{path}", dtype=dtype, **how).fingerprint

    copied = tmp_path / "elsewhere"
    shutil.copytree(llama, copied)
    other = tiny.save(tmp_path / "other", tiny.llama(seed=1), tiny.tokenizer())
    pace = EngineSettings(2, {"gpu_memory_utilization": 0.5, "enforce_eager": True})
    same = {of(llama), of(copied), of(llama, engine=pace)}
    assert len(same) == 1
    eight_bits = EngineSettings(options={"quantization": "fp8"})
    lora = str(adapter(tmp_path / "lora", r=4))
    others = {
        of(llama, "bfloat16"),
        of(other),
        of(llama, engine=eight_bits),
        of(llama, adapter=lora),
    }
    assert len(same | others) == 5
    (tmp_path / "lora" / "adapter_model.safetensors").write_bytes(b"trained on")
    assert of(llama, adapter=lora) not in others
    assert not started
