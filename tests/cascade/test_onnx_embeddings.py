"""Embeddings out of ONNX files written here byte by byte, and out of a real one."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from rankprompt.cascade.input_embeddings import load_encoder
from rankprompt.cascade.onnx_embeddings import read_embeddings
from rankprompt.cascade.teachers import find_reranker
from rankprompt.errors import ModelError
from tests.llm import tiny

TABLE = [[1.0, -2.0], [0.5, 3.0], [0.0, 0.25]]


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, form: int, *, dims: tuple[int, ...] = (), rest: bytes = b"") -> bytes:
    shape = b"".join(field(1, size) for size in dims)
    return field(5, shape + field(2, form) + rest + field(8, name))


def node(operator: str, inputs: list[str], output: str) -> bytes:
    given = b"".join(field(1, name) for name in inputs)
    return field(1, given + field(2, output) + field(4, operator))


def model(*parts: bytes) -> bytes:
    # A version before the graph, and another look-up before the right one.
    other = node("Gather", ["positions", "places"], "p")
    return field(1, 8) + field(7, other + b"".join(parts))


def plain(packed: bool) -> bytes:
    numbers = [one for row in TABLE for one in row]
    data = struct.pack("<6f", *numbers)
    rest = field(4, data) if packed else field(9, data)
    return model(
        node("Gather", ["words", "input_ids"], "x"), tensor("words", 1, dims=(3, 2), rest=rest)
    )


def quantised() -> bytes:
    # Table = (number - 3) * 0.25.
    numbers = bytes(int(one / 0.25 + 3) & 255 for row in TABLE for one in row)
    return model(
        tensor("q", 3, dims=(3, 2), rest=field(9, numbers)),
        tensor("scale", 1, rest=field(9, struct.pack("<f", 0.25))),
        tensor("zero", 3, rest=field(5, 3)),
        node("Gather", ["q", "input_ids"], "x"),
        node("DequantizeLinear", ["x", "scale", "zero"], "y"),
    )


@pytest.mark.parametrize("content", [plain(False), plain(True), quantised()])
def test_the_table_is_read_and_de_quantised(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    found = read_embeddings(tmp_path / "model.onnx")
    assert found.dtype == np.float32
    assert found.tolist() == TABLE


def test_every_cut_of_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path)
    whole = quantised()
    for end in range(0, len(whole), 7):
        (tmp_path / "model.onnx").write_bytes(whole[:end])
        with pytest.raises(ModelError, match="cannot read the input embeddings") as caught:
            load_encoder(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_table_smaller_than_the_vocabulary_is_refused(tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path)
    (tmp_path / "model.onnx").write_bytes(plain(False))
    with pytest.raises(ModelError, match="do not belong together"):
        load_encoder(tmp_path)


def test_a_real_models_embeddings_know_words() -> None:
    try:
        folder = find_reranker()
    except ModelError as error:
        pytest.skip(str(error))
    encoder = load_encoder(folder)
    assert encoder.weight.shape == (30522, 384)

    def alike(one: str, other: str) -> float:
        pair = [encoder.weight[encoder.tokenizer.token_to_id(word)] for word in (one, other)]
        return torch.cosine_similarity(pair[0], pair[1], dim=0).item()

    assert alike("army", "military") > 0.5 > alike("army", "green")
