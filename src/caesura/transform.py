"""Analysis and synthesis of a bundle, run by ONNX Runtime; its only importer.

Pictures beyond one tile go through in tiles with a halo as wide as the transforms see, so that tiles give
what the whole would give and memory stays bounded.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from caesura.errors import ConfigError, ModelError
from caesura.model import Bundle

# Pixels a side. Larger tiles spend less on halos, smaller ones less memory: about 200 MB at this size.
_TILE = 768


def analyse(pixels: NDArray[np.uint8], bundle: Bundle) -> NDArray[np.float32]:
    """Pixels to latents.

    Args:
        pixels: uint8 (H, W, 3); H and W multiples of the bundle's stride and at least its smallest side.
        bundle: the model.

    Returns:
        float32 (channels, H / stride, W / stride).
    """
    session, stride = _session(bundle, "analysis"), bundle.stride
    rows, columns = pixels.shape[0] // stride, pixels.shape[1] // stride
    latent = np.empty((bundle.channels, rows, columns), np.float32)
    for row, column in _tiles(rows, columns, bundle):
        seen = np.ascontiguousarray(pixels[_times(row.seen, stride), _times(column.seen, stride)])
        (part,) = session.run(None, {"input": seen})
        latent[:, row.kept, column.kept] = part[:, row.inner, column.inner]
    return latent


def synthesise(latent: NDArray[np.float32], bundle: Bundle) -> NDArray[np.uint8]:
    """Latents to pixels; the mirror of `analyse`.

    Args:
        latent: float32 (channels, h, w).
        bundle: the model.

    Returns:
        uint8 (h * stride, w * stride, 3).
    """
    session, stride = _session(bundle, "synthesis"), bundle.stride
    rows, columns = latent.shape[1:]
    pixels = np.empty((rows * stride, columns * stride, 3), np.uint8)
    for row, column in _tiles(rows, columns, bundle):
        seen = np.ascontiguousarray(latent[:, row.seen, column.seen])
        (part,) = session.run(None, {"input": seen})
        pixels[_times(row.kept, stride), _times(column.kept, stride)] = part[
            _times(row.inner, stride), _times(column.inner, stride)
        ]
    return pixels


class _Span:
    """One direction of a tile, in latents: what is kept, what is seen, where the first lies in the second."""

    def __init__(self, start: int, stop: int, end: int, halo: int) -> None:
        first, last = max(0, start - halo), min(end, stop + halo)
        self.kept = slice(start, stop)
        self.seen = slice(first, last)
        self.inner = slice(start - first, stop - first)


def _tiles(rows: int, columns: int, bundle: Bundle) -> Iterator[tuple[_Span, _Span]]:
    halo = bundle.halo // bundle.stride
    for row in _spans(rows, _TILE // bundle.stride, halo):
        for column in _spans(columns, _TILE // bundle.stride, halo):
            yield row, column


def _spans(length: int, tile: int, halo: int) -> list[_Span]:
    """Spans of about equal length, as few as the tile size allows."""
    count = -(-length // tile)
    edges = [length * i // count for i in range(count + 1)]
    return [_Span(start, stop, length, halo) for start, stop in itertools.pairwise(edges)]


def _times(span: slice, stride: int) -> slice:
    return slice(span.start * stride, span.stop * stride)


@lru_cache(maxsize=16)
def _session(bundle: Bundle, which: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("CAESURA_THREADS", "0")
    if not threads.isdecimal():
        raise ConfigError(f"CAESURA_THREADS is {threads!r}; a whole number is allowed, 0 for all processors")
    options.intra_op_num_threads = int(threads)
    options.enable_cpu_mem_arena = False  # tiles come in several sizes; an arena keeps the sum of all
    options.log_severity_level = 3
    graph = bundle.analysis if which == "analysis" else bundle.synthesis
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises many kinds, none with a common base but this
        raise ModelError(f"model {bundle.name}: the {which} graph cannot be loaded: {error}") from error
