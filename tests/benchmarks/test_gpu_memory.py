"""What the table of memory says of a real model, and at its edges."""

import json

import pytest

from benchmarks.gpu_memory import MODELS, Shape, free_tokens, token_bytes, weight_bytes
from rankprompt.llm.embedded import converted_folder

SHAPE = Shape(8.0, 32, 8, 128)


@pytest.mark.model
def test_a_real_model_has_the_shape_and_the_size_of_the_table() -> None:
    folder = converted_folder()
    config = json.loads((folder / "config.json").read_text())
    shape = MODELS["SmolLM2-135M"]
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    assert shape[1:] == (config["num_hidden_layers"], config["num_key_value_heads"], head)
    written = (folder / "model.safetensors").stat().st_size
    assert weight_bytes(shape, 32) == pytest.approx(written, rel=1e-3)


def test_tokens_fill_what_the_weights_leave() -> None:
    assert token_bytes(SHAPE) == 128 * 1024
    assert free_tokens(SHAPE, 16, 24, share=1.0) == 8_000_000_000 // token_bytes(SHAPE)
    assert free_tokens(SHAPE, 16, 16, share=1.0) == 0
    assert free_tokens(SHAPE, 16, 8) == 0
