"""Graphs run by OpenVINO; its only importer, imported where it is used.

A graph is loaded once for all rates and sizes: it takes the anchor weights as an input, which costs up to 3%
of its time, and any height and width, up to 10%. Loading it for each rate or size would cost more. It is run
in bf16 where the processor has instructions for it, otherwise in fp32.

The linear part of cae2026's synthesis makes nearly all of a pixel's value. It is not run in bf16, which would
move pixels twice as often and by up to 3 levels, but computed by NumPy in fp32.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections import deque
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset8
from openvino.frontend import FrontEndManager

from caesura.errors import ModelError
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import SYNTHESIS
from caesura.picture import files
from caesura.runtime import onnx_file
from caesura.runtime.onnx_file import ANCHOR_WEIGHTS
from caesura.runtime.parallel import threads

_GRAPHS = 16  # kept loaded
_BF16 = "bf16"
_LINEAR, _LINEAR_WEIGHTS = "linear", "synthesis.linear.weight"  # an input made here; a name in the graphs

is_usable = True
"""Whether graphs can be run: not in a process that was forked from one that had loaded some."""


def run(conditioning: Conditioning, graph: str, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The output of a bundle's graph for arrays by input name; as `onnx_runtime.run`, but for rounding.

    Args:
        conditioning: the model at a ladder position.
        graph: file name, see `manifest`.
        feeds: contiguous arrays; the anchor weights are added here.
    """
    bundle = conditioning.bundle
    if bundle.is_conditioned:
        feeds = feeds | {ANCHOR_WEIGHTS: conditioning.anchor_weights}
    key = bundle, graph, threads(), precision()
    if (weights := _linear_weights(*key)) is not None:
        latents = feeds["input"]
        linear = weights @ latents.reshape(len(latents), -1)
        feeds = feeds | {_LINEAR: linear.reshape(1, -1, *latents.shape[1:])}
    free = _free_requests(*key)
    try:
        request = free.pop()
    except IndexError:  # all are at work in other threads, or there is none yet
        request = _load(*key).create_infer_request()
    try:
        output: NDArray[Any] = request.infer(feeds, share_inputs=True)[0]
    except Exception as error:  # the library raises RuntimeError alone
        if "alloc" in str(error).lower() or "memory" in str(error).lower():
            raise MemoryError(f"{graph}: {error}") from error
        raise
    finally:
        free.append(request)
    return output


@lru_cache(maxsize=1)
def precision() -> str:
    """The precision of graphs: "bf16" where the processor has instructions for it, otherwise "f32"."""
    return _BF16 if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


@lru_cache(maxsize=_GRAPHS)
def _free_requests(bundle: Bundle, graph: str, threads: int, precision: str) -> deque[Any]:
    """Requests of a graph that run nothing now. Each runs one input at a time, and keeps its graph loaded."""
    del bundle, graph, threads, precision
    return deque()


def _load(bundle: Bundle, graph: str, threads: int, precision: str) -> openvino.CompiledModel:
    """A graph that has `threads` threads for itself."""
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # other graphs and processes use the same processors
    }
    path = _cache_path(bundle.graphs[graph], settings)
    with contextlib.suppress(Exception):  # not there, damaged, or of no use here
        content = path.read_bytes()
        digest, compiled = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(compiled).digest() == digest:
            return _core().import_model(compiled, "CPU", settings)
    try:
        model = _model(bundle, graph)
        if precision == _BF16:
            _take_out_linear(model)
        loaded = _core().compile_model(model, "CPU", settings)
    except Exception as error:  # RuntimeError, as all of the library's
        raise ModelError(f"model {bundle.name}: {graph} cannot be loaded: {error}") from error
    with contextlib.suppress(Exception):  # the cache only saves time
        compiled = loaded.export_model().getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, hashlib.sha256(compiled).digest() + compiled, force=True)
    return loaded


def _model(bundle: Bundle, graph: str) -> openvino.Model:
    """A graph as the library represents it, with the anchor weights as an input."""
    content = bundle.graphs[graph]
    reader = FrontEndManager().load_by_framework("onnx")
    if not bundle.is_conditioned:
        return reader.convert(reader.load(io.BytesIO(content)))
    # The weights are an initializer outside the file. The library replaces only one that is an input by
    # values, and makes a constant of them, which is made an input here.
    anchors = len(bundle.log_gain)
    read = reader.load(io.BytesIO(content + onnx_file.inputs({ANCHOR_WEIGHTS: (anchors,)})))
    read.set_tensor_value(read.get_place_by_tensor_name(ANCHOR_WEIGHTS), np.zeros(anchors, np.float32))
    model = reader.convert(read)
    (constant,) = (node for node in model.get_ops() if node.get_friendly_name() == ANCHOR_WEIGHTS)
    _replace(model, constant, _parameter(ANCHOR_WEIGHTS, [anchors]))
    return model


# The linear part


@lru_cache(maxsize=_GRAPHS)
def _linear_weights(bundle: Bundle, graph: str, threads: int, precision: str) -> NDArray[np.float32] | None:
    """The matrix, float32 (outputs, channels), that latents are multiplied by outside the graph, if any."""
    del threads
    if precision != _BF16 or graph != SYNTHESIS:
        return None
    convolution = _linear_part(_model(bundle, graph))
    if convolution is None:
        return None
    node = convolution.input_value(1).get_node()
    while node.get_type_name() != "Constant":  # weights are stored in half precision
        node = node.input_value(0).get_node()
    weights: NDArray[np.float32] = node.data.astype(np.float32)
    return weights.reshape(weights.shape[:2])


def _take_out_linear(model: openvino.Model) -> None:
    """Replace the linear part by an input."""
    convolution = _linear_part(model)
    if convolution is not None:
        outputs = convolution.output(0).get_partial_shape()[1].get_length()
        parameter = _parameter(_LINEAR, openvino.PartialShape([1, outputs, -1, -1]))
        _replace(model, convolution, parameter)


def _linear_part(model: openvino.Model) -> Any:
    """The 1 x 1 convolution of the latents that is added to the network's output, if there is one."""
    for node in model.get_ops():
        if node.get_type_name() == "Convolution":
            weights = node.input_value(1).get_node()
            if weights.get_friendly_name() == _LINEAR_WEIGHTS:
                return node
    return None


def _parameter(name: str, shape: Any) -> Any:
    parameter = opset8.parameter(shape, np.float32, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter


def _replace(model: openvino.Model, node: Any, parameter: Any) -> None:
    """Have a new parameter of the model in place of a node."""
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(parameter.output(0))
    model.add_parameters([parameter])


# Loading a compiled graph takes a third of the time of compiling it.

_DIGEST = hashlib.sha256().digest_size


def _cache_path(graph: bytes, settings: dict[str, Any]) -> Path:
    """Where a compiled graph is kept for later processes: a digest of all that it depends on is its name."""
    machine = [
        _core().get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
    ]
    described = repr((openvino.get_version(), machine, settings)).encode()
    name = hashlib.sha256(hashlib.sha256(graph).digest() + described).hexdigest()[:32]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "caesura" / "openvino" / name


@lru_cache(maxsize=1)
def _core() -> openvino.Core:
    return openvino.Core()


def _forked() -> None:
    """A forked process lacks the threads of its parent's graphs, and the library would wait for them."""
    global is_usable, _core  # noqa: PLW0603 - what the parent has loaded is kept and never touched
    is_usable = not _free_requests.cache_info().currsize
    _of_parent.append(_core)
    _core = lru_cache(maxsize=1)(_core.__wrapped__)


_of_parent: list[Any] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
