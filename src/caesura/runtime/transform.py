"""The float networks of a bundle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.models.conditioning import ONNX_RUNTIME, OPENVINO, Conditioning
from caesura.models.manifest import ANALYSIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, MEANS, SYNTHESIS
from caesura.runtime import choice, onnx_runtime
from caesura.runtime.onnx_file import KNOWN

Float = NDArray[np.float32]

ENCODING = (ANALYSIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, *MEANS)  # the largest first
DECODING_LATENTS = (HYPER_SYNTHESIS, *MEANS)
DECODING = (SYNTHESIS, *DECODING_LATENTS)


def load(conditioning: Conditioning, graphs: tuple[str, ...]) -> None:
    """Load those of the graphs that the bundle has and ONNX Runtime will run, see `onnx_runtime.load`."""
    there = (graph for graph in graphs if graph in conditioning.bundle.graphs)
    onnx_runtime.load(
        conditioning, tuple(graph for graph in there if choice.of_graph(conditioning, graph) == ONNX_RUNTIME)
    )


def analyse(pixels: NDArray[np.uint8], conditioning: Conditioning) -> Float:
    """Latents of pixels.

    Args:
        pixels: uint8 (H, W, 3); H and W multiples of the model's stride and at least its smallest side.
        conditioning: the model at a ladder position.

    Returns:
        float32 (channels, H / stride, W / stride).
    """
    return _run(conditioning, ANALYSIS, input=pixels)


def synthesise(latents: Float, conditioning: Conditioning) -> NDArray[np.uint8]:
    """Pixels of latents; the mirror of `analyse`.

    Args:
        latents: float32 (channels, h, w).
        conditioning: the model at a ladder position.

    Returns:
        uint8 (h * stride, w * stride, 3).
    """
    return _run(conditioning, SYNTHESIS, input=latents)


def hyper_analyse(scaled: Float, conditioning: Conditioning) -> Float:
    """Hyperlatents, float32 (D, h, w), of latents in quantization steps, float32 (channels, 4h, 4w)."""
    return _run(conditioning, HYPER_ANALYSIS, input=scaled)


def hyper_synthesise(
    hyperlatents: NDArray[np.int32] | NDArray[np.int16], conditioning: Conditioning
) -> Float:
    """Features, float32 (F, 4h, 4w), of hyperlatents, integers (D, h, w)."""
    return _run(conditioning, HYPER_SYNTHESIS, input=hyperlatents.astype(np.float32))


def means(number: int, features: Float, known: Float, conditioning: Conditioning) -> Float:
    """The means of pass `number`, each channel's where the pass codes it.

    Args:
        number: 0 to 3.
        features: float32 (F, 2h, 2w), from `hyper_synthesise`.
        known: float32 (channels, 2h, 2w), latents decoded so far, zero elsewhere; not looked at in pass 0.
        conditioning: the model at a ladder position.

    Returns:
        float32 (channels, h, w), one of each cell of 2x2, in units of `known`.
    """
    decoded = {KNOWN: known} if number else {}
    return _run(conditioning, MEANS[number], input=features, **decoded)


def _run(conditioning: Conditioning, graph: str, **inputs: NDArray[Any]) -> NDArray[Any]:
    feeds = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
    if choice.of_graph(conditioning, graph) == OPENVINO and onnx_runtime.device() == "cpu":
        from caesura.runtime import openvino_runtime

        if openvino_runtime.is_usable:
            return openvino_runtime.run(conditioning, graph, feeds)
    return onnx_runtime.run(conditioning, graph, feeds)
