"""Graphs run by ONNX Runtime; its only importer."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caesura.errors import ConfigError, DependencyError, ModelError
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.runtime.onnx_protobuf import ANCHOR_WEIGHTS, graph_input
from caesura.runtime.parallel import threads

_SESSIONS = 64  # kept loaded
_AS_INPUT = b"as input"
_DEVICES: dict[str, list[Any]] = {
    "cpu": ["CPUExecutionProvider"],
    # Without TF32, whose 10 bits would move pixels by more than other machines' rounding does, and without
    # trying every convolution for each new size of picture. Many sessions share the memory: each takes what
    # it needs, not the next power of two.
    "cuda": [
        (
            "CUDAExecutionProvider",
            {
                "use_tf32": "0",
                "cudnn_conv_algo_search": "HEURISTIC",
                "arena_extend_strategy": "kSameAsRequested",
            },
        ),
        "CPUExecutionProvider",
    ],
}


def run(conditioning: Conditioning, graph: str, feeds: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The output of a bundle's graph for arrays by input name.

    Args:
        conditioning: the model at a ladder position.
        graph: file name, see `manifest`.
        feeds: contiguous arrays; the anchor weights are added here.
    """
    bundle, weights = conditioning.bundle, conditioning.anchor_weights
    folded: bytes | None = None
    if bundle.is_conditioned:
        folded = _AS_INPUT if conditioning.as_input else weights.tobytes()
        if conditioning.as_input:
            feeds = feeds | {ANCHOR_WEIGHTS: weights}
    session = _session(bundle, graph, folded, threads(), device())
    try:
        output: NDArray[Any] = session.run(None, feeds)[0]
    except Exception as error:  # as below
        if "alloc" in str(error).lower() or "out of memory" in str(error):
            raise MemoryError(f"{graph}: {error}") from error
        raise
    return output


def device() -> str:
    """The setting CAESURA_DEVICE, the device that networks run on: "cpu", the default, or "cuda".

    Raises:
        ConfigError: it is something else.
        DependencyError: the ONNX Runtime that is installed cannot use it.
    """
    name = os.environ.get("CAESURA_DEVICE") or "cpu"
    if name not in _DEVICES:
        raise ConfigError(f"CAESURA_DEVICE is {name!r}; {' or '.join(_DEVICES)} is allowed")
    if name == "cuda" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise DependencyError("CAESURA_DEVICE is 'cuda'; onnxruntime-gpu is needed in place of onnxruntime")
    return name


@lru_cache(maxsize=_SESSIONS)
def _session(
    bundle: Bundle, graph: str, weights: bytes | None, threads: int, device: str
) -> onnxruntime.InferenceSession:
    """A graph loaded for anchor weights, float32 bytes, which the runtime folds into its constants.

    Or for all, `_AS_INPUT`, to be given them as it runs. None for a graph that takes none.
    """
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    model, anchors = bundle.graphs[graph], len(bundle.log_gain)
    if weights is not None:
        constant = (
            np.zeros(anchors, np.float32) if weights == _AS_INPUT else np.frombuffer(weights, np.float32)
        )
        options.add_external_initializers(
            [ANCHOR_WEIGHTS], [onnxruntime.OrtValue.ortvalue_from_numpy(constant)]
        )
    if weights == _AS_INPUT:
        model += graph_input(ANCHOR_WEIGHTS, anchors)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=_DEVICES[device])
    except Exception as error:  # the library raises many kinds, none with a common base but this
        raise ModelError(f"model {bundle.name}: {graph} cannot be loaded: {error}") from error
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():  # it would go on without
        raise DependencyError("CAESURA_DEVICE is 'cuda'; CUDA's libraries or a GPU are missing")
    return session


def _forked() -> None:
    """A forked process lacks the threads of its parent's sessions: using one hangs, ending one crashes."""
    global _session  # noqa: PLW0603 - a cache of its own; the parent's is kept and never touched
    _of_parents.append(_session)
    _session = lru_cache(maxsize=_SESSIONS)(_session.__wrapped__)


_of_parents: list[Any] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


@lru_cache(maxsize=1)
def _share_memory() -> None:
    """Let all sessions share one memory arena: each of its own would keep the most that it ever needed."""
    kind = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    with contextlib.suppress(Exception):  # another user of the library in this process has done it
        onnxruntime.create_and_register_allocator(kind, None)
