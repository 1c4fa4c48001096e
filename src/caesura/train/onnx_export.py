"""PyTorch modules to ONNX graphs for bundles: no metadata of the machine, weights in half precision."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from caesura.errors import ConfigError

_HALVED_FROM = 256  # elements; smaller tensors stay in float32


class Axis(NamedTuple):
    """A dynamic dimension of an input: `step` times a number with the name `name`."""

    name: str
    step: int = 1


def to_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    axes: Mapping[str, Mapping[int, Axis]],
    settings: Mapping[str, Tensor] | None = None,
) -> bytes:
    """A module as a serialized ONNX graph.

    Args:
        module: takes the inputs and the settings in order, returns one tensor.
        inputs: an example of each, by its name in the graph.
        axes: for each input its dynamic dimensions.
        settings: further float32 inputs that become constants with external data, given when the graph is
            loaded: a runtime then computes once what depends on them alone.
    """
    settings = settings or {}
    values = {**inputs, **settings}
    names = sorted({axis.name for dims in axes.values() for axis in dims.values()})
    free = {name: torch.export.Dim(name) for name in names}
    shapes = tuple(
        {
            dim: axis.step * free[axis.name] if axis.step > 1 else free[axis.name]
            for dim, axis in axes[name].items()
        }
        for name in inputs
    ) + tuple({} for _ in settings)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # warnings about packages that are not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about the exporter's own code
        warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # two inputs share their axes
        program = torch.onnx.export(
            module.eval(),
            tuple(values.values()),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(values),
            output_names=["output"],
            verbose=False,
        )
    if program is None:
        raise ConfigError(f"{type(module).__name__}: torch.onnx.export returned no graph")
    proto = program.model_proto
    for entry in list(proto.metadata_props):
        proto.metadata_props.remove(entry)
    for node in proto.graph.node:  # exporter notes: source lines and machine paths
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    _halve_weights(proto.graph)
    onnx.checker.check_model(proto)
    for name, value in settings.items():
        _make_setting(proto.graph, name, value.shape)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _make_setting(graph: Any, name: str, shape: Sequence[int]) -> None:
    """Turn an input into an initializer with external data, which is given when the graph is loaded."""
    graph.input.remove(next(entry for entry in graph.input if entry.name == name))
    tensor = graph.initializer.add(name=name, dims=shape, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", "0"), ("length", str(4 * math.prod(shape)))):
        tensor.external_data.add(key=key, value=value)


def _halve_weights(graph: Any) -> None:
    """Store large float32 initializers as float16 with a Cast node, which runtimes fold when loading."""
    casts = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _HALVED_FROM:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), tensor.name + ".half")
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
    for number, cast in enumerate(casts):
        graph.node.insert(number, cast)
