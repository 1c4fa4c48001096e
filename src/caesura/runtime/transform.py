"""The float networks of a bundle, run by ONNX Runtime; its only importer."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caesura.errors import ConfigError, DependencyError, ModelError
from caesura.models import bundle as models
from caesura.models.bundle import Bundle
from caesura.runtime.parallel import threads

Float = NDArray[np.float32]

_SESSIONS = 64  # kept loaded
_FED = b"fed"
_MIX = "mix"  # what graphs call the rate
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


class Fed(NamedTuple):
    """A rate that graphs are fed with as they run, instead of being loaded for it.

    One loading does for all rates, and each run takes an eighth longer: for a picture that is tried at many.
    """

    mix: Float


Mix = Float | Fed


def analyse(pixels: NDArray[np.uint8], bundle: Bundle, mix: Mix | None = None) -> Float:
    """Pixels to latents.

    Args:
        pixels: uint8 (H, W, 3); H and W multiples of the bundle's stride and at least its smallest side.
        bundle: the model.
        mix: float32 (anchors,), the rate, where the transforms depend on it.

    Returns:
        float32 (channels, H / stride, W / stride).
    """
    return _run(bundle, models.ANALYSIS, mix, input=pixels)


def synthesise(latent: Float, bundle: Bundle, mix: Mix | None = None) -> NDArray[np.uint8]:
    """Latents to pixels; the mirror of `analyse`.

    Args:
        latent: float32 (channels, h, w).
        bundle: the model.
        mix: float32 (anchors,), the rate, where the transforms depend on it.

    Returns:
        uint8 (h * stride, w * stride, 3).
    """
    return _run(bundle, models.SYNTHESIS, mix, input=latent)


def hyper_analyse(scaled: Float, bundle: Bundle, mix: Mix) -> Float:
    """Scaled latents, float32 (channels, 4h, 4w), to the hyperlatent, float32 (hyperlatents, h, w)."""
    return _run(bundle, models.HYPER_ANALYSIS, mix, input=scaled)


def hyper_synthesise(hyper: NDArray[np.integer[Any]], bundle: Bundle, mix: Mix) -> Float:
    """The hyperlatent, integers (D, h, w), to features, float32 (F, 4h, 4w)."""
    return _run(bundle, models.HYPER_SYNTHESIS, mix, input=hyper.astype(np.float32))


def means(number: int, features: Float, known: Float, bundle: Bundle, mix: Mix) -> Float:
    """The means of pass `number`, each channel's where the pass codes it.

    Args:
        number: 0 to 3.
        features: float32 (F, 2h, 2w), from `hyper_synthesise`.
        known: float32 (channels, 2h, 2w), latents decoded so far, zero elsewhere.
        bundle: the model.
        mix: float32 (anchors,), the rate.

    Returns:
        float32 (channels, h, w), one of each cell of 2x2, in units of `known`.
    """
    return _run(bundle, models.MEANS[number], mix, input=features, known=known)


def _run(bundle: Bundle, graph: str, mix: Mix | None, **inputs: NDArray[Any]) -> NDArray[Any]:
    feeds = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
    if isinstance(mix, Fed):
        session = _session(bundle, graph, _FED, threads(), device())
        feeds[_MIX] = mix.mix
    else:
        session = _session(bundle, graph, None if mix is None else mix.tobytes(), threads(), device())
    try:
        output: NDArray[Any] = session.run(None, feeds)[0]
    except Exception as error:  # as below
        if "alloc" in str(error).lower() or "out of memory" in str(error):
            raise MemoryError(f"{graph}: {error}") from error
        raise
    return output


def device() -> str:
    """The setting CAESURA_DEVICE: where networks run, "cpu" unless it says "cuda".

    Raises:
        ConfigError: it says something else.
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
    bundle: Bundle, graph: str, mix: bytes | None, threads: int, device: str
) -> onnxruntime.InferenceSession:
    """A graph loaded for one rate, float32 bytes: the runtime folds what depends on it into the weights.

    Or for all, `_FED`, to be given to it as it runs.
    """
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    model, anchors = bundle.graphs[graph], len(bundle.log_gain)
    if mix is not None:
        rate = np.frombuffer(mix, np.float32) if mix != _FED else np.zeros(anchors, np.float32)
        options.add_external_initializers([_MIX], [onnxruntime.OrtValue.ortvalue_from_numpy(rate)])
    if mix == _FED:
        model += _input(_MIX, anchors)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=_DEVICES[device])
    except Exception as error:  # the library raises many kinds, none with a common base but this
        raise ModelError(f"model {bundle.name}: {graph} cannot be loaded: {error}") from error
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():  # it would go on without
        raise DependencyError("CAESURA_DEVICE is 'cuda'; CUDA's libraries or a GPU are missing")
    return session


def _input(name: str, length: int) -> bytes:
    """What, behind a model, declares an input of its graph, float32 (length,).

    Messages of protocol buffers that follow one another are one, their lists joined: this is a model of
    nothing but a graph of nothing but an input. An initializer of that name is then its value unless another
    is given.
    """

    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    def integer(number: int, value: int) -> bytes:
        return bytes([number << 3, value])

    shape = field(1, integer(1, length))  # TensorShapeProto: dim, dim_value
    kind = field(1, integer(1, 1) + field(2, shape))  # TypeProto: tensor_type of elem_type FLOAT and shape
    value = field(1, name.encode()) + field(2, kind)  # ValueInfoProto
    return field(7, field(11, value))  # ModelProto: graph; GraphProto: input


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
    """Let all sessions take memory from one place: of its own, each would keep what it once needed."""
    kind = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    with contextlib.suppress(Exception):  # another user of the library in this process has done it
        onnxruntime.create_and_register_allocator(kind, None)
