"""Sizes of weights by their headers, and where they go."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from rankprompt.errors import ModelError
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.machine import available_memory
from rankprompt.llm.local.memory import StoredTensor, free_bytes, loaded_bytes, stored_tensors
from rankprompt.llm.local.placement import place, placement
from rankprompt.llm.local.variant import PLAIN, Variant
from tests.llm import tiny

CPU, CARDS, CARD = torch.device("cpu"), torch.device("cuda"), torch.device("cuda:1")
GIB = 1 << 30


def test_headers_tell_what_the_weights_take(llama: Path) -> None:
    tensors = stored_tensors(llama)
    assert tensors is not None
    model, _ = load_pair(str(llama), dtype=torch.float32, device=CPU)
    taken = sum(weight.nbytes for weight in model.parameters())
    assert loaded_bytes(tensors, torch.float32) == taken
    head = model.lm_head.weight.numel()
    assert loaded_bytes(tensors, torch.bfloat16) == taken // 2 + 4 * head


def test_a_model_in_several_files_is_added_up(tmp_path: Path) -> None:
    model = tiny.llama()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    # Some models come with another copy, which nobody loads.
    save_file({"weight": torch.zeros(9)}, tmp_path / "consolidated.safetensors")
    tensors = stored_tensors(tmp_path)
    assert tensors is not None
    taken = sum(weight.nbytes for weight in model.parameters())
    assert loaded_bytes(tensors, torch.float32) == taken


def test_quantised_numbers_are_counted_as_they_are_kept() -> None:
    tensors = [
        StoredTensor("model.embed_tokens.weight", "BF16", (1000, 64)),
        StoredTensor("model.layers.0.mlp.up_proj.weight", "BF16", (640, 64)),
        StoredTensor("model.norm.weight", "BF16", (64,)),
    ]
    head, kept, linear = 4 * 64_000, 2 * 64_064, 40_960
    assert loaded_bytes(tensors, torch.bfloat16) == head + kept + 2 * linear
    assert loaded_bytes(tensors, torch.bfloat16, "8bit") == head + kept + linear
    assert loaded_bytes(tensors, torch.bfloat16, "4bit") == head + kept + linear * 9 // 16
    stored = [StoredTensor("packed", "I32", (10, 10)), StoredTensor("scaled", "F8_E4M3", (10, 10))]
    assert loaded_bytes(stored, torch.bfloat16) == 500


@given(st.binary(max_size=64))
def test_a_damaged_header_says_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(content)
    assert not stored_tensors(folder)
    (folder / "model.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)
    assert not stored_tensors(folder)


def test_weights_go_where_there_is_room() -> None:
    for device, free, expected in (
        (CARD, [9 * GIB], CARD),
        (CARDS, [9 * GIB, 9 * GIB], CARDS),
        (CARDS, [5 * GIB, 5 * GIB], "auto"),
        (CPU, [], CPU),
    ):
        assert place("m", 8 * GIB, device, free) == expected


@pytest.mark.parametrize(
    ("device", "free", "problem"),
    [
        (CARD, [5 * GIB], "m takes 8.0 GiB and cuda:1 has 5.0 GiB free: take a smaller model"),
        (CPU, [GIB // 2], "m takes 8.0 GiB and cpu has 0.5 GiB free: take a smaller model"),
        (CARDS, [3 * GIB, 3 * GIB], "m takes 8.0 GiB and 2 cards have together 6.0 GiB free: "),
    ],
)
def test_too_little_room_is_one_line_with_both_sizes(
    device: torch.device, free: list[int], problem: str
) -> None:
    with pytest.raises(ModelError) as caught:
        place("m", 8 * GIB, device, free)
    assert str(caught.value).startswith(problem)


def test_too_large_a_model_is_told_before_it_is_read(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankprompt.llm.local.placement.free_bytes", lambda _: [1000])
    with pytest.raises(ModelError, match=r"has 0.0 GiB free.*or `dtype` bfloat16"):
        load_pair(str(llama), dtype=torch.float32, device=CPU)


def test_a_card_receives_the_weights_directly(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how: Any = {"dtype": torch.bfloat16, "variant": PLAIN}
    assert placement("m", str(llama), device=CPU, **how) == {}
    monkeypatch.setattr("rankprompt.llm.local.placement.free_bytes", lambda _: [GIB])
    assert placement("m", str(llama), device=CARD, **how) == {"device_map": CARD}
    monkeypatch.setattr("rankprompt.llm.local.placement.free_bytes", lambda _: [100_000] * 2)
    spread = placement("m", str(llama), device=CARDS, **how)
    assert spread == {"device_map": "auto", "max_memory": {0: 100_000, 1: 100_000}}
    with pytest.raises(ModelError, match=r"or `quantize` 4bit, which takes 0.0 GiB$"):
        placement("m", str(llama), device=CARD, **how)
    with pytest.raises(ModelError, match=r"take a smaller model$"):
        placement("m", str(llama), device=CARD, **{**how, "variant": Variant(quantize="4bit")})


def test_the_memory_that_is_free_is_known_here() -> None:
    free = available_memory()
    assert free is None or free > 1 << 20
    assert free_bytes(CPU) == [] or free_bytes(CPU)[0] > 1 << 20
    assert free_bytes(CARD) == []
