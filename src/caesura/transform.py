"""The float networks of a bundle, run by ONNX Runtime; its only importer."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caesura import model as models
from caesura.errors import ModelError
from caesura.model import Bundle
from caesura.parallel import threads

Float = NDArray[np.float32]

_SESSIONS = 64  # kept loaded


def analyse(pixels: NDArray[np.uint8], bundle: Bundle, mix: Float | None = None) -> Float:
    """Pixels to latents.

    Args:
        pixels: uint8 (H, W, 3); H and W multiples of the bundle's stride and at least its smallest side.
        bundle: the model.
        mix: float32 (anchors,), the rate, where the transforms depend on it.

    Returns:
        float32 (channels, H / stride, W / stride).
    """
    return _run(bundle, models.ANALYSIS, mix, input=pixels)


def synthesise(latent: Float, bundle: Bundle, mix: Float | None = None) -> NDArray[np.uint8]:
    """Latents to pixels; the mirror of `analyse`.

    Args:
        latent: float32 (channels, h, w).
        bundle: the model.
        mix: float32 (anchors,), the rate, where the transforms depend on it.

    Returns:
        uint8 (h * stride, w * stride, 3).
    """
    return _run(bundle, models.SYNTHESIS, mix, input=latent)


def hyper_analyse(scaled: Float, bundle: Bundle, mix: Float) -> Float:
    """Scaled latents, float32 (channels, 4h, 4w), to the hyperlatent, float32 (hyperlatents, h, w)."""
    return _run(bundle, models.HYPER_ANALYSIS, mix, input=scaled)


def hyper_synthesise(hyper: NDArray[np.integer[Any]], bundle: Bundle, mix: Float) -> Float:
    """The hyperlatent, integers (D, h, w), to features, float32 (F, 4h, 4w)."""
    return _run(bundle, models.HYPER_SYNTHESIS, mix, input=hyper.astype(np.float32))


def means(number: int, features: Float, known: Float, bundle: Bundle, mix: Float) -> Float:
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


def _run(bundle: Bundle, graph: str, mix: Float | None, **inputs: NDArray[Any]) -> NDArray[Any]:
    session = _session(bundle, graph, None if mix is None else mix.tobytes(), threads())
    feeds = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
    try:
        output: NDArray[Any] = session.run(None, feeds)[0]
    except Exception as error:  # as below
        if "allocate" in str(error):
            raise MemoryError(f"{graph}: {error}") from error
        raise
    return output


@lru_cache(maxsize=_SESSIONS)
def _session(bundle: Bundle, graph: str, mix: bytes | None, threads: int) -> onnxruntime.InferenceSession:
    """A graph loaded for one rate, float32 bytes: the runtime folds what depends on it into the weights.

    That takes 2 to 13 ms a graph, and saves a sixth of the time of every picture.
    """
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if mix is not None:
        rate = onnxruntime.OrtValue.ortvalue_from_numpy(np.frombuffer(mix, np.float32))
        options.add_external_initializers(["mix"], [rate])
    try:
        return onnxruntime.InferenceSession(bundle.graphs[graph], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises many kinds, none with a common base but this
        raise ModelError(f"model {bundle.name}: {graph} cannot be loaded: {error}") from error


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
