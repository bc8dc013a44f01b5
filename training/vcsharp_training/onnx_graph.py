"""The two ONNX files of a student, written node by node.

Both have the same signature: `y` (uint8, 1 x 1 x H x W, both multiples of the stride) and
`strength` (float32 scalar) in, `out` (uint8, 1 x 1 x H x W) out. Opset 17; the int8 file also uses
`com.microsoft.QLinearAdd`, so that the sum with the input is made on bytes and strength 0 returns
them unchanged, and `com.microsoft.QLinearConv`, which takes channels last.

The int8 file keeps channels last throughout: that is how ONNX Runtime multiplies bytes. A row of a
block then lies together on both sides of the shuffle, so that it moves as a whole; SpaceToDepth
and DepthToSpace move single bytes, and took a sixth of the smallest student's time.

SpaceToDepth and torch's `pixel_unshuffle` order the channels alike for one input channel only;
`DepthToSpace` in its default mode and `pixel_shuffle` for one output channel. More planes would
need a permutation of the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vcsharp_training.quant import INPUT_SCALE
from vcsharp_training.weights import FloatLayer, IntLayer

OPSET = 17
IR_VERSION = 9
INPUT_ZERO = 128
"""Zero point of the bytes at the door: padding is mid-grey, and the network sees values around
zero.
"""


class _Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def model(self, name: str, domains: dict[str, int]) -> onnx.ModelProto:
        shape: list[str | int | None] = [1, 1, "height", "width"]
        inputs = [
            helper.make_tensor_value_info("y", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("strength", TensorProto.FLOAT, []),
        ]
        outputs = [helper.make_tensor_value_info("out", TensorProto.UINT8, shape)]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="vcsharp-training"
        )
        onnx.checker.check_model(model)
        return model


def int8_model(name: str, layers: list[IntLayer], stride: int) -> onnx.ModelProto:
    """The graph of the int8 file: integer arithmetic throughout."""
    graph = _Graph()
    graph.constant("byte_scale", np.float32(INPUT_SCALE))
    graph.constant("zero", np.uint8(0))
    graph.constant("mid_grey", np.uint8(INPUT_ZERO))
    x = _unshuffled(graph, stride)
    scale, zero = "byte_scale", "mid_grey"
    for index, layer in enumerate(layers):
        x, scale, zero = _int8_conv(graph, index, layer, (x, scale, zero))
    _shuffled(graph, x, stride)
    graph.node("Mul", ["strength", scale], "residual_scale")
    terms = ["y", "byte_scale", "zero", "residual", "residual_scale", zero, "byte_scale", "zero"]
    graph.node("QLinearAdd", terms, "out", domain="com.microsoft")
    return graph.model(name, {"": OPSET, "com.microsoft": 1})


def _unshuffled(graph: _Graph, stride: int) -> str:
    """From 1 x 1 x H x W to 1 x H/stride x W/stride x stride^2; 0 in a shape is "as it was"."""
    x = _reshaped(graph, "y", "in_rows", [1, -1, stride, 0])
    x = _reshaped(graph, x, "in_blocks", [0, 0, 0, -1, stride])
    x = graph.node("Transpose", [x], "in_swapped", perm=[0, 1, 3, 2, 4])
    return _reshaped(graph, x, "unshuffled", [0, 0, 0, stride**2])


def _shuffled(graph: _Graph, x: str, stride: int) -> str:
    """Back to 1 x 1 x H x W."""
    x = _reshaped(graph, x, "out_blocks", [0, 0, 0, stride, stride])
    x = graph.node("Transpose", [x], "out_swapped", perm=[0, 1, 3, 2, 4])
    x = _reshaped(graph, x, "out_rows", [0, 0, 0, -1])
    return _reshaped(graph, x, "residual", [1, 1, -1, 0])


def _reshaped(graph: _Graph, x: str, output: str, shape: list[int]) -> str:
    """Costs nothing: the bytes stay where they are."""
    name = graph.constant(f"{output}_shape", np.array(shape, np.int64))
    return graph.node("Reshape", [x, name], output)


def _int8_conv(
    graph: _Graph, index: int, layer: IntLayer, source: tuple[str, str, str]
) -> tuple[str, str, str]:
    """Adds one QLinearConv; returns the names of its output, scale and zero point."""
    weight = [
        graph.constant(f"weight{index}", layer.weight),
        graph.constant(f"weight{index}_scale", layer.weight_scale),
        graph.constant(f"weight{index}_zero", np.zeros(len(layer.bias), np.int8)),
    ]
    scale = graph.constant(f"x{index}_scale", np.float32(layer.output_scale))
    zero = (
        "zero"
        if layer.output_zero == 0
        else graph.constant(f"x{index}_zero", np.uint8(layer.output_zero))
    )
    bias = graph.constant(f"bias{index}", layer.bias)
    inputs = [*source, *weight, scale, zero, bias]
    graph.node(
        "QLinearConv",
        inputs,
        f"x{index}",
        domain="com.microsoft",
        channels_last=1,
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
    )
    return f"x{index}", scale, zero


def float_model(name: str, layers: list[FloatLayer], stride: int) -> onnx.ModelProto:
    """The graph of the fp32 file: float inside, bytes at the doors, rounding half to even."""
    graph = _Graph()
    graph.constant("byte_scale", np.float32(INPUT_SCALE))
    graph.constant("full_scale", np.float32(255))
    graph.constant("mid_grey", np.float32(INPUT_ZERO))
    graph.constant("lowest", np.float32(0))
    graph.node("Cast", ["y"], "bytes", to=TensorProto.FLOAT)
    graph.node("Sub", ["bytes", "mid_grey"], "centred_bytes")
    graph.node("Mul", ["centred_bytes", "byte_scale"], "centred")
    x = graph.node("SpaceToDepth", ["centred"], "unshuffled", blocksize=stride)
    for index, layer in enumerate(layers):
        x = _float_conv(graph, index, layer, x)
        if index < len(layers) - 1:
            x = graph.node("Relu", [x], f"relu{index}")
    graph.node("DepthToSpace", [x], "residual", blocksize=stride)
    graph.node("Mul", ["strength", "full_scale"], "levels")
    graph.node("Mul", ["residual", "levels"], "scaled")
    graph.node("Add", ["bytes", "scaled"], "sum")
    graph.node("Round", ["sum"], "rounded")
    graph.node("Clip", ["rounded", "lowest", "full_scale"], "clipped")
    graph.node("Cast", ["clipped"], "out", to=TensorProto.UINT8)
    return graph.model(name, {"": OPSET})


def _float_conv(graph: _Graph, index: int, layer: FloatLayer, x: str) -> str:
    weight = graph.constant(f"weight{index}", layer.weight)
    bias = graph.constant(f"bias{index}", layer.bias)
    return graph.node(
        "Conv", [x, weight, bias], f"x{index}", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )
