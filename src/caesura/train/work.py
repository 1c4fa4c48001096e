"""Work per pixel, counted in a bundle's graphs and integer weights: thousands of multiply-accumulates."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from caesura.entropy.passes import PASSES
from caesura.errors import ModelError
from caesura.models import bundle, manifest
from caesura.models.manifest import ANALYSIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, MEANS, SYNTHESIS

# Latents a side per unit of the graphs' dynamic dimensions.
_CELL = {HYPER_ANALYSIS: bundle.HYPER, HYPER_SYNTHESIS: bundle.HYPER} | dict.fromkeys(MEANS, 2)
_SIDE = 128  # pixels; counted on a square that every stride divides


# Operators without multiply-accumulates: elementwise, or moving data. All others are counted or refused.
_FREE = {
    *("Abs", "Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Div", "Erf"),
    *("Exp", "Expand", "Flatten", "Floor", "Gather", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mul"),
    *("Neg", "Pad", "Pow", "Relu", "Reshape", "Round", "Shape", "Sigmoid", "Sign", "Slice", "Softplus"),
    *("SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where"),
}
CONTROL = "control"


def per_pixel(files: Mapping[str, bytes], stride: int) -> dict[str, float]:
    """kMAC/pixel to encode and to decode, entropy control included, the detail layer not.

    Args:
        files: of a bundle, by name.
        stride: of its latents.
    """
    graphs = {name: content for name, content in files.items() if name.endswith(".onnx")}
    control = None
    if manifest.CONTROL in files:
        with np.load(io.BytesIO(files[manifest.CONTROL])) as arrays:
            control = arrays["base"].shape[0], arrays["far"].shape[1]
    return totals(by_part(graphs, stride, control))


def totals(parts: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """kMAC/pixel to encode and to decode, from the result of `by_part`."""
    work = {name: sum(kinds.values()) for name, kinds in parts.items()}
    shared = sum(work.get(name, 0) for name in (HYPER_SYNTHESIS, *MEANS, CONTROL))
    encode = work[ANALYSIS] + work.get(HYPER_ANALYSIS, 0) + shared
    return {"encode": round(encode, 2), "decode": round(work[SYNTHESIS] + shared, 2)}


def by_part(
    graphs: Mapping[str, bytes], stride: int, control: tuple[int, int] | None
) -> dict[str, dict[str, float]]:
    """kMAC/pixel of each graph, and of entropy control, by kind of layer.

    Args:
        graphs: by file name.
        stride: of the latents.
        control: number of hyperlatents and of latent channels, if there is entropy control.

    Raises:
        ModelError: a graph has an operator that cannot be counted.
    """
    parts = {}
    for name, content in graphs.items():
        counted = macs(content, _SIDE // (stride * _CELL.get(name, 1)), name)
        parts[name] = {kind: count / _SIDE**2 / 1000 for kind, count in counted.items()}
    if control:
        parts[CONTROL] = {"integers": _control(*control) / stride**2 / 1000}
    return parts


def _control(hyperlatents: int, channels: int) -> int:
    """MACs per latent position of the entropy control: its base, and the known channels in each pass."""
    group = channels // PASSES
    far = sum(number * group * group for number in range(PASSES))
    return hyperlatents * channels + far + 9 * channels


def macs(content: bytes, side: int, name: str = "graph") -> dict[str, int]:
    """Multiply-accumulates of a graph on a square of `side` cells, by kind of layer.

    The graph is run with inputs and outputs of its layers as outputs, since their shapes depend on its
    inputs.

    Args:
        content: serialized ONNX.
        side: size of dynamic dimensions named like "rows"; those like "16*rows" have 16 times that.
        name: for the error's message.

    Raises:
        ModelError: it has an operator that cannot be counted.
    """
    model = onnx.load_from_string(content)
    feeds = {entry.name: _zeros(entry.type.tensor_type, side) for entry in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:  # a setting; its values change no shape
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    reached, layers = set(feeds), []
    for node in model.graph.node:  # nodes that depend on no input are computed once, when the graph is loaded
        if not reached.isdisjoint(node.input):
            reached.update(node.output)
            if node.op_type in _LAYERS:
                layers.append(node)
            elif node.op_type not in _FREE or node.domain not in ("", "ai.onnx"):
                known = ", ".join(_LAYERS)
                raise ModelError(f"{name}: the work of {node.op_type} is not known; {known} are counted")
    del model.graph.output[:]
    wanted = list(dict.fromkeys(name for node in layers for name in (*node.input, node.output[0]) if name))
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    made: Any = ReferenceEvaluator(model).run(None, feeds) if wanted else []
    shapes = {wanted_name: array.shape for wanted_name, array in zip(wanted, made, strict=True)}
    counted: Counter[str] = Counter()
    for node in layers:
        options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        taken = [shapes[name] for name in node.input if name]
        kind, count = _LAYERS[node.op_type](options, taken, shapes[node.output[0]])
        counted[kind] += count
    return dict(counted)


_Shape = tuple[int, ...]


def _conv(options: dict[str, Any], taken: list[_Shape], made: _Shape) -> tuple[str, int]:
    weight = taken[1]
    kernel = "x".join(map(str, weight[2:]))
    groups = options.get("group", 1)
    kind = "convolution" if groups == 1 else "depthwise" if weight[1] == 1 else "grouped convolution"
    return f"{kind} {kernel}", math.prod(made) * math.prod(weight[1:])


def _transposed(options: dict[str, Any], taken: list[_Shape], made: _Shape) -> tuple[str, int]:
    """Each input is multiplied with every weight of its channel; also those that fall outside."""
    weight = taken[1]
    kernel = "x".join(map(str, weight[2:]))
    return f"transposed convolution {kernel}", math.prod(taken[0]) * math.prod(weight[1:])


def _product(options: dict[str, Any], taken: list[_Shape], made: _Shape) -> tuple[str, int]:
    inner = taken[0][0] if options.get("transA", 0) else taken[0][-1]
    return "matrix product", math.prod(made) * inner


def _einsum(options: dict[str, Any], taken: list[_Shape], made: _Shape) -> tuple[str, int]:
    equation = options["equation"].decode().replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    if len(terms) != 2 or "." in equation:
        raise ModelError(f"the work of Einsum {equation!r} is not known; two plain operands are counted")
    spans = {
        label: span
        for term, shape in zip(terms, taken, strict=True)
        for label, span in zip(term, shape, strict=True)
    }
    return "matrix product", math.prod(spans.values())


_LAYERS = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "MatMul": _product,
    "Gemm": _product,
    "Einsum": _einsum,
}


def _zeros(kind: onnx.TypeProto.Tensor, side: int) -> NDArray[Any]:
    """An input of zeros whose dynamic dimensions, named like "rows" or "16*rows", span `side` cells."""
    steps = [dim.dim_param.partition("*")[0] if "*" in dim.dim_param else "1" for dim in kind.shape.dim]
    shape = [dim.dim_value or side * int(step) for dim, step in zip(kind.shape.dim, steps, strict=True)]
    return np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
