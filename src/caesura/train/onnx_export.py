"""PyTorch modules to ONNX graphs as bundles hold them: no notes of the machine, weights in half precision."""

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

_HALVED_FROM = 256  # elements; smaller tensors stay in float32: they cost nothing


class Axis(NamedTuple):
    """A dimension of an input that may take any size: `step` times a number that goes by `name`."""

    name: str
    step: int = 1


def to_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    axes: Mapping[str, Mapping[int, Axis]],
    settings: Mapping[str, Tensor] | None = None,
) -> bytes:
    """Serialize a module as ONNX.

    Args:
        module: takes the inputs and the settings in order, gives one tensor.
        inputs: an example of each, by the name the graph gives it.
        axes: for each input its dimensions that vary.
        settings: further inputs that become constants, float32, whose values are given when the graph is
            loaded: a runtime then works out beforehand what depends on nothing else.
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
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that nobody needs here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter about itself
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
        raise ConfigError(f"{type(module).__name__}: the exporter gave no graph")
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
    """Turn an input into an initializer that lies elsewhere: in memory, for whoever loads the graph."""
    graph.input.remove(next(entry for entry in graph.input if entry.name == name))
    tensor = graph.initializer.add(name=name, dims=shape, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", "0"), ("length", str(4 * math.prod(shape)))):
        tensor.external_data.add(key=key, value=value)


def _halve_weights(graph: Any) -> None:
    """Store large float32 initializers as float16, cast back by a node; runtimes fold it when loading."""
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
