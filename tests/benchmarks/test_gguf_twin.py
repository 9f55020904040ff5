"""The GGUF copies and the rounding with which docs/results/judges.md explains its differences."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from benchmarks.gguf_twin import copy_gguf, round_as_ggml

Kind = gguf.GGMLQuantizationType
WIDTH = 64
SHAPES = {
    "token_embd.weight": (6, Kind.Q8_0),
    "blk.0.attn_q.weight": (8, Kind.Q4_1),
    "blk.0.attn_norm.weight": (1, Kind.F32),
    "blk.0.ffn_up.weight": (5, Kind.Q4_1),
    "blk.1.ffn_up.weight": (5, Kind.Q4_1),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "source.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_token_list(["a", "日本", "c"])
    writer.add_token_types([1, 3, 1])
    writer.add_add_bos_token(False)
    for name, (rows, kind) in SHAPES.items():
        # Not around nought, so that the minima of the blocks matter.
        values = random.normal(0.5, 1, (rows, WIDTH)).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def fields(path: Path) -> dict[str, Any]:
    found = gguf.GGUFReader(path).fields.values()
    return {one.name: (one.types, one.contents()) for one in found if "GGUF." not in one.name}


def tensors(path: Path) -> dict[str, Any]:
    return {one.name: one for one in gguf.GGUFReader(path).tensors}


def values(tensor: Any) -> np.ndarray:
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def test_a_twin_has_the_same_numbers_in_float32(source: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.gguf"
    copy_gguf(source, twin)
    before, after = fields(source), fields(twin)
    assert after.pop("general.file_type")[1] == gguf.LlamaFileType.ALL_F32
    assert before.pop("general.file_type")[1] == gguf.LlamaFileType.MOSTLY_Q4_1
    assert after == before
    copies = tensors(twin)
    assert list(copies) == list(SHAPES)
    for name, tensor in tensors(source).items():
        assert copies[name].tensor_type == Kind.F32
        assert np.array_equal(copies[name].data, values(tensor))


def test_a_copy_may_keep_some_tensors_and_fewer_blocks(source: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.gguf"
    copy_gguf(source, part, quantised=lambda name: "ffn" in name, blocks=1)
    assert fields(part)["llama.block_count"][1] == 1
    copies, before = tensors(part), tensors(source)
    assert list(copies) == [name for name in SHAPES if "blk.1" not in name]
    assert copies["blk.0.ffn_up.weight"].tensor_type == Kind.Q4_1
    assert np.array_equal(copies["blk.0.ffn_up.weight"].data, before["blk.0.ffn_up.weight"].data)
    assert copies["token_embd.weight"].tensor_type == Kind.F32


def by_integers(tensor: Any, row: np.ndarray) -> np.ndarray:
    """A product in ggml's way: whole numbers within a block, scaled and added up in between."""
    blocks = row.reshape(-1, 32)
    scales = np.abs(blocks).max(1) / np.float32(127)
    whole = np.round(blocks / scales[:, None]).astype(np.int64)
    products = []
    for data in np.asarray(tensor.data):
        total = 0.0
        size = 34 if tensor.tensor_type == Kind.Q8_0 else 20
        for block, raw in enumerate(data.reshape(-1, size)):
            scale = float(raw[:2].view(np.float16)[0]) * float(np.float16(scales[block]))
            if tensor.tensor_type == Kind.Q8_0:
                total += scale * int(raw[2:].view(np.int8) @ whole[block])
                continue
            minimum = float(raw[2:4].view(np.float16)[0])
            weights = np.concatenate([raw[4:] & 15, raw[4:] >> 4]).astype(np.int64)
            total += scale * int(weights @ whole[block])
            total += minimum * float(np.float16(scales[block] * whole[block].sum()))
        products.append(total)
    return np.array(products)


@pytest.mark.parametrize(
    ("name", "module", "order"),
    [
        ("token_embd.weight", "lm_head", range(6)),
        ("blk.1.ffn_up.weight", "1 up_proj", range(5)),
        # Two heads of four rows: transformers has each head's even ones first.
        ("blk.0.attn_q.weight", "q_proj", [0, 2, 1, 3, 4, 6, 5, 7]),
    ],
)
def test_products_round_as_whole_numbers_do(
    name: str, module: str, order: list[int], source: Path, tmp_path: Path
) -> None:
    path = tmp_path / "some.gguf"
    copy_gguf(source, path, quantised=lambda one: one == name)
    tensor = tensors(path)[name]
    model: Any = torch.nn.ModuleDict()
    for place in ("q_proj", "0 up_proj", "1 up_proj", "lm_head"):
        model[place] = torch.nn.Linear(WIDTH, len(order), bias=False)
    model[module].weight.data = torch.from_numpy(values(tensor)[list(order)])
    model.config = SimpleNamespace(num_attention_heads=2, num_key_value_heads=1)
    row = np.random.default_rng(1).normal(0.2, 1, WIDTH).astype(np.float32)
    exact = model[module](torch.from_numpy(row)).detach().numpy()
    others = {place: model[place](torch.from_numpy(row)) for place in model if place != module}
    round_as_ggml(model, path)
    rounded = model[module](torch.from_numpy(row)).detach().numpy()
    expected = by_integers(tensor, row)[list(order)]
    assert rounded == pytest.approx(expected, abs=1e-4)
    assert np.abs(exact - expected).max() > 1e-2
    for place, before in others.items():
        assert torch.equal(model[place](torch.from_numpy(row)), before)
