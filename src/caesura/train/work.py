"""Work per pixel, counted from a bundle's graphs and integer weights: thousands of multiply-accumulates."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from caesura import model as bundle
from caesura.entropy.passes import PASSES

# Latents a side of what the graphs' free dimensions count.
_CELL = {bundle.HYPER_ANALYSIS: bundle.HYPER, bundle.HYPER_SYNTHESIS: bundle.HYPER} | dict.fromkeys(
    bundle.MEANS, 2
)
_SIDE = 128  # pixels; counted on a square that every stride divides


def per_pixel(files: Mapping[str, bytes], stride: int) -> dict[str, float]:
    """kMAC/pixel to encode and to decode, entropy control included, the detail layer not.

    Args:
        files: of a bundle, by name.
        stride: of its latents.
    """
    work = {}
    for name, content in files.items():
        if name.endswith(".onnx"):
            work[name] = _macs(content, _SIDE // (stride * _CELL.get(name, 1))) / _SIDE**2 / 1000
    shared = sum(work.get(name, 0) for name in (bundle.HYPER_SYNTHESIS, *bundle.MEANS))
    shared += _control(files[bundle.CONTROL], stride) if bundle.CONTROL in files else 0
    encode = work[bundle.ANALYSIS] + work.get(bundle.HYPER_ANALYSIS, 0) + shared
    return {"encode": round(encode, 2), "decode": round(work[bundle.SYNTHESIS] + shared, 2)}


def _control(content: bytes, stride: int) -> float:
    """kMAC/pixel of the integer path: the base once, of each pass what is known by then."""
    with np.load(io.BytesIO(content)) as arrays:
        base, channels = arrays["base"], arrays["far"].shape[1]
    group = channels // PASSES
    spread = base.shape[0] * channels
    far = sum(number * group * group for number in range(PASSES))
    return float((spread + far + 9 * channels) / stride**2 / 1000)


def _macs(content: bytes, side: int) -> int:
    """Multiply-accumulates of convolutions and matrix products on a square of `side` cells.

    Shapes within a graph are known only once it runs, so it runs, and gives out what each such node makes.
    """
    model = onnx.load_from_string(content)
    feeds = {entry.name: _zeros(entry.type.tensor_type, side) for entry in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:  # a setting, which changes no shape
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    reached, nodes = set(feeds), []
    for node in model.graph.node:  # what no input reaches is worked out once, when the graph is loaded
        if not reached.isdisjoint(node.input):
            reached.update(node.output)
            if node.op_type in ("Conv", "MatMul", "Gemm"):
                nodes.append(node)
    del model.graph.output[:]
    wanted = [name for node in nodes for name in (node.output[0], node.input[1])]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    made: Any = ReferenceEvaluator(model).run(None, feeds)
    return sum(
        output.size * math.prod(weight.shape[1:] if node.op_type == "Conv" else weight.shape[:1])
        for node, output, weight in zip(nodes, made[::2], made[1::2], strict=True)
    )


def _zeros(kind: onnx.TypeProto.Tensor, side: int) -> NDArray[Any]:
    """An input whose free dimensions, named like "rows" or "16*rows", span `side` cells."""
    steps = [dim.dim_param.partition("*")[0] if "*" in dim.dim_param else "1" for dim in kind.shape.dim]
    shape = [dim.dim_value or side * int(step) for dim, step in zip(kind.shape.dim, steps, strict=True)]
    return np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
