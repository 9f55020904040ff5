"""Reads one table, the input embeddings, out of an ONNX file.

onnxruntime gives a model's outputs but not its weights, and the package onnx would be installed for
this alone; so the few fields of the protocol buffer (onnx.proto3) are read here. The table is what
a ``Gather`` looks up by ``input_ids``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["read_embeddings"]

# Field numbers of onnx.proto3.
_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_INPUT, _OUTPUT, _OPERATOR = 1, 2, 4
_DIMS, _DTYPE, _FLOAT, _INT32, _NAME, _RAW = 1, 2, 4, 5, 8, 9
_DTYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 10: "<f2"}


def read_embeddings(path: Path) -> "npt.NDArray[np.float32]":
    """The input embeddings, shape (vocabulary, dimensions); 8-bit ones are de-quantised.

    Raises:
        OSError: the file cannot be read.
        ValueError, IndexError, KeyError, TypeError: it is no such model, or damaged.
    """
    import numpy as np

    graph = next((part for number, part in _fields(_bytes(path)) if number == _GRAPH), None)
    if graph is None:
        raise ValueError("it is not an ONNX model")
    nodes, tensors = [], {}
    for number, part in _fields(graph):
        if number == _NODE:
            nodes.append(_node(part))
        elif number == _INITIALIZER:
            fields = list(_fields(part))
            tensors[_text(next(value for key, value in fields if key == _NAME))] = fields
    for operator, inputs, outputs in nodes:
        if operator == "Gather" and inputs[1:] == ["input_ids"]:
            table = _tensor(tensors[inputs[0]])
            if table.dtype.kind == "f":
                return np.array(table, np.float32)
            scale, zero = _quantisation(nodes, outputs[0])
            offset = _tensor(tensors[zero]).astype(np.float32)
            values = (table.astype(np.float32) - offset) * _tensor(tensors[scale])
            return np.asarray(values, np.float32)
    raise ValueError("nothing in it looks embeddings up by input_ids")


def _quantisation(nodes: list[tuple[str, list[str], list[str]]], name: str) -> tuple[str, str]:
    for operator, inputs, _ in nodes:
        if operator == "DequantizeLinear" and inputs[0] == name:
            return inputs[1], inputs[2]
    raise ValueError("its embeddings are quantised in a way that is not known")


def _node(part: memoryview) -> tuple[str, list[str], list[str]]:
    fields = list(_fields(part))
    found = {
        key: [_text(value) for number, value in fields if number == key]
        for key in (_INPUT, _OUTPUT, _OPERATOR)
    }
    return "".join(found[_OPERATOR]), found[_INPUT], found[_OUTPUT]


def _tensor(fields: list[tuple[int, Any]]) -> "npt.NDArray[Any]":
    import numpy as np

    form = _DTYPES[next(value for key, value in fields if key == _DTYPE)]
    shape: list[int] = []
    for key, value in fields:
        if key == _DIMS:  # packed into one field, or a field each
            shape += [value] if isinstance(value, int) else _varints(value)
    raw = next((value for key, value in fields if key == _RAW), None)
    if raw is not None:
        return np.frombuffer(raw, form).reshape(shape)
    floats = [bytes(value) for key, value in fields if key == _FLOAT]
    if floats:
        return np.frombuffer(b"".join(floats), form).reshape(shape)
    small = [value for key, value in fields if key == _INT32]
    numbers = [n for one in small for n in ([one] if isinstance(one, int) else _varints(one))]
    return np.array(numbers).astype(form).reshape(shape)


def _fields(part: memoryview) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(part):
        tag, place = _varint(part, place)
        kind = tag & 7
        if kind == 0:
            value: Any
            value, place = _varint(part, place)
        elif kind in (1, 2, 5):
            size = {1: 8, 5: 4}.get(kind, 0)
            if kind == 2:
                size, place = _varint(part, place)
            value, place = part[place : place + size], place + size
            if place > len(part):
                raise ValueError("the file is cut off")
        else:
            raise ValueError("it is not an ONNX model")
        yield tag >> 3, value


def _varint(part: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = part[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place


def _varints(part: memoryview) -> list[int]:
    found, place = [], 0
    while place < len(part):
        value, place = _varint(part, place)
        found.append(value)
    return found


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _bytes(path: Path) -> memoryview:
    return memoryview(path.read_bytes())
