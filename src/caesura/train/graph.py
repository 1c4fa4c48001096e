"""PyTorch modules to ONNX graphs as bundles hold them: no notes of the machine, weights in half precision."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
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


def graph(module: nn.Module, inputs: Mapping[str, Tensor], axes: Mapping[str, Mapping[int, Axis]]) -> bytes:
    """Serialize a module as ONNX.

    Args:
        module: takes the inputs in order, gives one tensor.
        inputs: an example of each, by the name the graph gives it.
        axes: for each input its dimensions that vary.
    """
    names = sorted({axis.name for dims in axes.values() for axis in dims.values()})
    free = {name: torch.export.Dim(name) for name in names}
    shapes = tuple(
        {
            dim: axis.step * free[axis.name] if axis.step > 1 else free[axis.name]
            for dim, axis in axes[name].items()
        }
        for name in inputs
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that nobody needs here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter about itself
        warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # two inputs share their axes
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(inputs),
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
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


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
