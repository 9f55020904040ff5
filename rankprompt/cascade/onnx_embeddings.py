"""Reads the input embeddings out of an ONNX file.

onnxruntime gives a model's outputs but not its weights, and the package onnx would be needed for
this alone, so the few fields that matter of the protocol buffer (onnx.proto3) are parsed here. The
embeddings are the table that a ``Gather`` node looks up by ``input_ids``.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
    """Returns the input embeddings, shape (vocabulary, dimensions), with 8-bit ones de-quantised.

    Raises:
        OSError: The file cannot be read.
        ValueError, IndexError, KeyError, TypeError: The file is damaged or no such model.
    """
    import numpy as np

    graphs = _Message(memoryview(path.read_bytes())).chunks[_GRAPH]
    if not graphs:
        raise ValueError("it is not an ONNX model")
    graph = _Message(graphs[0])
    nodes = [_Message(chunk) for chunk in graph.chunks[_NODE]]
    initializers = map(_Message, graph.chunks[_INITIALIZER])
    tensors = {tensor.texts(_NAME)[0]: tensor for tensor in initializers}
    for node in nodes:
        inputs = node.texts(_INPUT)
        if node.texts(_OPERATOR) == ["Gather"] and inputs[1:] == ["input_ids"]:
            table = _array(tensors[inputs[0]])
            if table.dtype.kind == "f":
                return np.array(table, np.float32)
            scale, zero_point = _quantisation(nodes, node.texts(_OUTPUT)[0])
            offset = _array(tensors[zero_point]).astype(np.float32)
            return (table.astype(np.float32) - offset) * _array(tensors[scale]).astype(np.float32)
    raise ValueError("nothing in it looks embeddings up by input_ids")


class _Message:
    """A parsed protocol-buffer message: the varints and byte strings of each field number."""

    def __init__(self, content: memoryview) -> None:
        self.varints: defaultdict[int, list[int]] = defaultdict(list)
        self.chunks: defaultdict[int, list[memoryview]] = defaultdict(list)
        start = 0
        while start < len(content):
            tag, start = _varint(content, start)
            wire_type = tag & 7
            if wire_type == 0:
                value, start = _varint(content, start)
                self.varints[tag >> 3].append(value)
                continue
            if wire_type == 2:
                size, start = _varint(content, start)
            elif wire_type in (1, 5):
                size = 8 if wire_type == 1 else 4
            else:
                raise ValueError("it is not an ONNX model")
            if start + size > len(content):
                raise ValueError("the file is cut off")
            self.chunks[tag >> 3].append(content[start : start + size])
            start += size

    def texts(self, field: int) -> list[str]:
        """A repeated string field."""
        return [bytes(chunk).decode() for chunk in self.chunks[field]]

    def integers(self, field: int) -> list[int]:
        """A repeated integer field, packed into byte strings or not."""
        values, packed = list(self.varints[field]), memoryview(b"".join(self.chunks[field]))
        start = 0
        while start < len(packed):
            value, start = _varint(packed, start)
            values.append(value)
        return values


def _quantisation(nodes: Sequence[_Message], name: str) -> tuple[str, str]:
    """The names of the scale and the zero point of a quantised tensor."""
    for node in nodes:
        inputs = node.texts(_INPUT)
        if node.texts(_OPERATOR) == ["DequantizeLinear"] and inputs[0] == name:
            return inputs[1], inputs[2]
    raise ValueError("its embeddings are quantised in an unknown way")


def _array(tensor: _Message) -> "npt.NDArray[np.generic]":
    import numpy as np

    dtype = np.dtype(_DTYPES[tensor.varints[_DTYPE][0]])
    shape = tensor.integers(_DIMS)
    content = b"".join(tensor.chunks[_RAW][:1] or tensor.chunks[_FLOAT])
    if tensor.chunks[_RAW] or tensor.chunks[_FLOAT]:
        return np.frombuffer(content, dtype).reshape(shape)
    return np.array(tensor.integers(_INT32)).astype(dtype).reshape(shape)


def _varint(content: memoryview, start: int) -> tuple[int, int]:
    """A variable-length integer, and the index after it."""
    value = shift = 0
    while True:
        byte = content[start]
        start += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, start
