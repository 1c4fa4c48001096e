"""The float networks of a bundle, run by ONNX Runtime; its only importer.

Pictures beyond one tile go through in tiles with a halo as wide as the networks see, so that tiles give
what the whole would give and memory stays bounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caesura import model as models
from caesura.errors import ModelError
from caesura.model import HYPER, Bundle
from caesura.parallel import threads

# Pixels a side. Larger tiles spend less on halos, smaller ones less memory.
_TILE = 1280
Float = NDArray[np.float32]


def analyse(pixels: NDArray[np.uint8], bundle: Bundle, mix: Float | None = None) -> Float:
    """Pixels to latents.

    Args:
        pixels: uint8 (H, W, 3); H and W multiples of the bundle's stride and at least its smallest side.
        bundle: the model.
        mix: float32 (anchors,), the rate, where the transforms depend on it.

    Returns:
        float32 (channels, H / stride, W / stride).
    """
    rows, columns = pixels.shape[0] // bundle.stride, pixels.shape[1] // bundle.stride
    latent = np.empty((bundle.channels, rows, columns), np.float32)
    inputs = {"input": _Plane(pixels, bundle.stride)}
    _tiled(bundle, models.ANALYSIS, inputs, _Plane(latent, 1), mix, bundle.stride, bundle.halo)
    return latent


def synthesise(latent: Float, bundle: Bundle, mix: Float | None = None) -> NDArray[np.uint8]:
    """Latents to pixels; the mirror of `analyse`.

    Args:
        latent: float32 (channels, h, w).
        bundle: the model.
        mix: float32 (anchors,), the rate, where the transforms depend on it.

    Returns:
        uint8 (h * stride, w * stride, 3).
    """
    rows, columns = latent.shape[1:]
    pixels = np.empty((rows * bundle.stride, columns * bundle.stride, 3), np.uint8)
    inputs = {"input": _Plane(latent, 1)}
    _tiled(bundle, models.SYNTHESIS, inputs, _Plane(pixels, bundle.stride), mix, bundle.stride, bundle.halo)
    return pixels


def hyper_analyse(scaled: Float, hyperlatents: int, bundle: Bundle, mix: Float) -> Float:
    """Scaled latents, float32 (channels, 4h, 4w), to the hyperlatent, float32 (hyperlatents, h, w)."""
    # Positions see their own latents and, through one 3x3 kernel, half of their neighbours'.
    hyper = np.empty((hyperlatents, scaled.shape[1] // HYPER, scaled.shape[2] // HYPER), np.float32)
    cell = bundle.stride * HYPER
    inputs = {"input": _Plane(scaled, HYPER)}
    _tiled(bundle, models.HYPER_ANALYSIS, inputs, _Plane(hyper, 1), mix, cell, cell)
    return hyper


def hyper_synthesise(hyper: NDArray[np.integer[Any]], bundle: Bundle, mix: Float) -> Float:
    """The hyperlatent, integers (D, h, w), to features, float32 (F, 4h, 4w)."""
    session = _session(bundle, models.HYPER_SYNTHESIS, mix.tobytes())
    features = int(session.get_outputs()[0].shape[0])
    plane = np.empty((features, hyper.shape[1] * HYPER, hyper.shape[2] * HYPER), np.float32)
    cell = bundle.stride * HYPER
    inputs = {"input": _Plane(hyper.astype(np.float32), 1)}
    _tiled(bundle, models.HYPER_SYNTHESIS, inputs, _Plane(plane, HYPER), mix, cell, 2 * cell)
    return plane


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
    _, rows, columns = known.shape
    plane = np.empty((len(known), rows // 2, columns // 2), np.float32)
    inputs = {"input": _Plane(features, 2), "known": _Plane(known, 2)}
    cell = 2 * bundle.stride
    _tiled(bundle, models.MEANS[number], inputs, _Plane(plane, 1), mix, cell, cell)
    return plane


@dataclass(frozen=True)
class _Plane:
    """An array over the picture, (H, W, 3) of uint8 or (C, h, w), and its positions a cell each way."""

    array: NDArray[Any]
    per_cell: int

    def __getitem__(self, place: tuple[slice, slice]) -> NDArray[Any]:
        row, column = (slice(s.start * self.per_cell, s.stop * self.per_cell) for s in place)
        return self.array[row, column] if self.array.dtype == np.uint8 else self.array[:, row, column]


def _tiled(
    bundle: Bundle,
    graph: str,
    inputs: Mapping[str, _Plane],
    out: _Plane,
    mix: Float | None,
    cell: int,
    halo: int,
) -> None:
    """Run a graph over the picture in tiles of whole cells; `cell` and `halo` in pixels."""
    session = _session(bundle, graph, None if mix is None else mix.tobytes())
    first = inputs["input"]
    extent = first.array.shape[:2] if first.array.dtype == np.uint8 else first.array.shape[1:]
    rows, columns = (side // first.per_cell for side in extent)
    for row, column in tiles(rows, columns, max(1, _TILE // cell), -(-halo // cell)):
        feeds = {name: np.ascontiguousarray(plane[row.seen, column.seen]) for name, plane in inputs.items()}
        (part,) = session.run(None, feeds)
        out[row.kept, column.kept][...] = _Plane(part, out.per_cell)[row.inner, column.inner]


class Span:
    """One direction of a tile, in cells: what is kept, what is seen, where the first lies in the second."""

    def __init__(self, start: int, stop: int, end: int, halo: int) -> None:
        first, last = max(0, start - halo), min(end, stop + halo)
        self.kept = slice(start, stop)
        self.seen = slice(first, last)
        self.inner = slice(start - first, stop - first)


def tiles(rows: int, columns: int, tile: int, halo: int) -> Iterator[tuple[Span, Span]]:
    """Tiles that cover a plane, rows and columns of each; all in cells."""
    for row in _spans(rows, tile, halo):
        for column in _spans(columns, tile, halo):
            yield row, column


def _spans(length: int, tile: int, halo: int) -> list[Span]:
    """Spans of about equal length, as few as the tile size allows."""
    count = -(-length // tile)
    edges = [length * i // count for i in range(count + 1)]
    return [Span(start, stop, length, halo) for start, stop in itertools.pairwise(edges)]


@lru_cache(maxsize=64)
def _session(bundle: Bundle, graph: str, mix: bytes | None) -> onnxruntime.InferenceSession:
    """A graph loaded for one rate, float32 bytes: the runtime folds what depends on it into the weights.

    That takes 2 to 13 ms a graph, and saves a sixth of the time of every picture.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if mix is not None:
        rate = onnxruntime.OrtValue.ortvalue_from_numpy(np.frombuffer(mix, np.float32))
        options.add_external_initializers(["mix"], [rate])
    try:
        return onnxruntime.InferenceSession(bundle.graphs[graph], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises many kinds, none with a common base but this
        raise ModelError(f"model {bundle.name}: {graph} cannot be loaded: {error}") from error
