"""ONNX graphs of one matrix product, written byte by byte.

The daemon does not depend on the package `onnx`, and two nodes need no more than the wire format of
protocol buffers: a field is its number and kind, then a varint or a length and that many bytes.
Numbers of fields and types are those of the ONNX specification (onnx.proto, IR version 9).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
"""TensorProto.DataType."""
IR_VERSION, OPSET = 9, 17


def product_graph(weights: NDArray[np.int8] | NDArray[np.float32], rows: int) -> bytes:
    """A model with the input `a`, (rows, K), and the output `c` = a x weights, (rows, N).

    Args:
        weights: (K, N); int8 gives MatMulInteger on uint8 rows, float32 gives MatMul. They are a
            constant of the graph, as a network's weights are, so the runtime may pack them first.
        rows: of `a`.
    """
    inner, columns = weights.shape
    whole = weights.dtype == np.int8
    operator, a_type, b_type, c_type = (
        ("MatMulInteger", UINT8, INT8, INT32) if whole else ("MatMul", FLOAT, FLOAT, FLOAT)
    )
    node = _text(1, "a") + _text(1, "b") + _text(2, "c") + _text(4, operator)
    dims = b"".join(_number(1, size) for size in weights.shape)
    constant = dims + _number(2, b_type) + _text(8, "b") + _bytes(9, weights.tobytes())
    graph = _bytes(1, node) + _text(2, "product") + _bytes(5, constant)
    graph += _bytes(11, _value("a", a_type, (rows, inner)))
    graph += _bytes(12, _value("c", c_type, (rows, columns)))
    return _number(1, IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, OPSET))


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    """ValueInfoProto: a name, and a tensor's type and shape."""
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    tensor = _number(1, kind) + _bytes(2, dims)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
