"""Graphs run by ONNX Runtime; its only importer."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caesura.errors import ConfigError, DependencyError, ModelError
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import MEANS
from caesura.runtime import onnx_file
from caesura.runtime.onnx_file import ANCHOR_WEIGHTS, KNOWN
from caesura.runtime.parallel import threads
from caesura.runtime.shared_session import Session, SharedSession

_SESSIONS = 64  # kept loaded
_ALONE = 2  # of a graph, for one ladder position each; the shared one takes as long to load as two
_POSITIONS = 128  # of which a shared session's weights are kept, 0.1 to 1.3 MB each
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
    folded = _folded(conditioning)
    if folded == _AS_INPUT:
        feeds = feeds | {ANCHOR_WEIGHTS: conditioning.anchor_weights}
    session = _session(conditioning.bundle, graph, folded, threads(), device())
    try:
        output: NDArray[Any] = session.run(None, feeds)[0]
    except Exception as error:  # as below
        if "alloc" in str(error).lower() or "out of memory" in str(error):
            raise MemoryError(f"{graph}: {error}") from error
        raise
    return output


def load(conditioning: Conditioning, graphs: tuple[str, ...]) -> None:
    """Load graphs of a bundle side by side, the first time that these are asked for in a process.

    It only saves time: `run` loads what it lacks, and reports what cannot be loaded. With one thread or on a
    GPU nothing is done.
    """
    bundle, folded, count = conditioning.bundle, _folded(conditioning), threads()
    begun = _begun.setdefault(bundle, set())
    if min(count, len(graphs)) < 2 or graphs in begun or device() != "cpu":
        return
    begun.add(graphs)
    # The latter at the end of the interpreter, when no more threads can be started.
    with contextlib.suppress(ModelError, RuntimeError), ThreadPoolExecutor(min(count, len(graphs))) as pool:
        list(pool.map(lambda graph: _session(bundle, graph, folded, count, "cpu"), graphs))


_begun = WeakKeyDictionary[Bundle, set[tuple[str, ...]]]()


def _folded(conditioning: Conditioning) -> bytes | None:
    """What the graphs are loaded for, see `_session`."""
    if not conditioning.bundle.is_conditioned:
        return None
    return _AS_INPUT if conditioning.as_input else conditioning.anchor_weights.tobytes()


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


def _session(bundle: Bundle, graph: str, weights: bytes | None, threads: int, device: str) -> Session:
    """A graph loaded for anchor weights, float32 bytes, which the runtime folds into its constants.

    Or for all, `_AS_INPUT`, to be given them as it runs. None for a graph that takes none.
    """
    if weights is not None and weights != _AS_INPUT and device == "cpu":
        return _graph(bundle, graph, threads).at(weights)
    return _loaded(bundle, graph, weights, threads, device)


class _Graph:
    """A graph for all ladder positions: loaded for each of the first, and once for all others."""

    def __init__(self, bundle: Bundle, graph: str, threads: int) -> None:
        self._bundle, self._graph, self._threads = bundle, graph, threads
        self._lock, self._alone = threading.Lock(), dict[bytes, Session]()
        self._others: Callable[[bytes], Session] | None = None

    def at(self, weights: bytes) -> Session:
        """The graph at anchor weights; the result of a run is the same to the last bit either way."""
        with self._lock:
            if weights in self._alone:
                return self._alone[weights]
            if len(self._alone) < _ALONE:
                return self._alone.setdefault(weights, self._load(weights))
            self._others = self._others or self._for_others()
        return self._others(weights)

    def _for_others(self) -> Callable[[bytes], Session]:
        model, anchors = _model(self._bundle, self._graph), len(self._bundle.log_gain)
        try:
            shared = SharedSession(model, anchors, partial(_make, threads=self._threads))
        except Exception:  # the library raises many kinds; sessions for one position each do as well
            return lru_cache(maxsize=_ALONE)(self._load)
        return lru_cache(maxsize=_POSITIONS)(lambda weights: shared.at(np.frombuffer(weights, np.float32)))

    def _load(self, weights: bytes) -> Session:
        session: Session = _load(self._bundle, self._graph, weights, self._threads, "cpu")
        return session


@lru_cache(maxsize=_SESSIONS)
def _graph(bundle: Bundle, graph: str, threads: int) -> _Graph:
    return _Graph(bundle, graph, threads)


@lru_cache(maxsize=_SESSIONS)
def _loaded(bundle: Bundle, graph: str, weights: bytes | None, threads: int, device: str) -> Session:
    session: Session = _load(bundle, graph, weights, threads, device)
    return session


def _load(
    bundle: Bundle, graph: str, weights: bytes | None, threads: int, device: str
) -> onnxruntime.InferenceSession:
    """Load a graph; see `_session`."""
    anchors = len(bundle.log_gain)
    constant = None
    if weights is not None:
        constant = (
            np.zeros(anchors, np.float32) if weights == _AS_INPUT else np.frombuffer(weights, np.float32)
        )
    try:
        model = _model(bundle, graph)
        if weights == _AS_INPUT:
            model += onnx_file.inputs({ANCHOR_WEIGHTS: (anchors,)})
        session = _make(model, threads=threads, device=device, anchor_weights=constant)
    except Exception as error:  # the library raises many kinds, none with a common base but this
        raise ModelError(f"model {bundle.name}: {graph} cannot be loaded: {error}") from error
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():  # it would go on without
        raise DependencyError("CAESURA_DEVICE is 'cuda'; CUDA's libraries or a GPU are missing")
    return session


def _model(bundle: Bundle, graph: str) -> bytes:
    """The serialized graph; that of the first pass without the latents decoded so far, which are zero."""
    model = bundle.graphs[graph]
    return onnx_file.without_zeros(model, KNOWN) if graph == MEANS[0] else model


def _make(
    model: bytes,
    *,
    threads: int,
    device: str = "cpu",
    anchor_weights: NDArray[np.float32] | None = None,
    prepacks: bool = True,
    optimizes: bool = True,
    saves_to: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Make a session; see `shared_session.Load`."""
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if anchor_weights is not None:
        constant = onnxruntime.OrtValue.ortvalue_from_numpy(anchor_weights)
        options.add_external_initializers([ANCHOR_WEIGHTS], [constant])
    if not prepacks:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if not optimizes:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if saves_to is not None:
        options.optimized_model_filepath = str(saves_to)
    return onnxruntime.InferenceSession(model, options, providers=_DEVICES[device])


def forget() -> None:
    """Load all graphs again when they are next run."""
    _loaded.cache_clear()
    _graph.cache_clear()
    _begun.clear()


def _forked() -> None:
    """A forked process lacks the threads of its parent's sessions: using one hangs, ending one crashes."""
    global _graph, _loaded  # noqa: PLW0603 - caches of its own; the parent's are kept and never touched
    _of_parents.append((_graph, _loaded))
    _begun.clear()
    _loaded = lru_cache(maxsize=_SESSIONS)(_loaded.__wrapped__)
    _graph = lru_cache(maxsize=_SESSIONS)(_graph.__wrapped__)


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
