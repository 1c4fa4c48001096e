"""The rate-control cache: what trials of one picture at several ladder positions share.

Each trial encodes the whole picture; results that do not depend on the ladder position are made once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caesura.coding.lossless import LosslessLayer
from caesura.format.container import POSITION_MIN
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Pixels
from caesura.tiles.source import Strip
from caesura.tiles.stages import Analysis, Coded, Stages

# Hundredths between the ladder positions that latents are cached for; twice as far costs 1% of the bytes.
_SPACING = 1000

Float = NDArray[np.float32]
T = TypeVar("T")


class RateControlCache:
    """What trials of one picture at several ladder positions share.

    Latents are made for the nearest of a few ladder positions, so that a trial gives the same file whichever
    trials were before it.

    Attributes:
        cached_position: the ladder position that the latents are of.
        lossless: candidates of segments for a lossless layer, by number.
        latents: float32 (channels, h, w), by segment and the lossless layers of its strip.
        coded: strips' segments of the last trial, by their first and the lossless layers.
        bases: segments' pixels without the detail layer, uint8 (H, W, 3), where there is one, by segment and
            the lossless layers so far.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.lossless: dict[int, list[LosslessLayer]] = {}
        self.latents: dict[Hashable, Float] = {}
        self.coded: dict[Hashable, list[Coded]] = {}
        self.bases: dict[Hashable, Pixels] = {}
        self.cached_position = self._last = 0

    def reset(self, ladder_position: int, ladder_top: int) -> None:
        """Drop what a trial at this position cannot use, of a ladder that ends at `ladder_top`."""
        position = min(ladder_position, ladder_top)  # latents above the ladder's top are those at it
        nearest = min(max(round(position / _SPACING) * _SPACING, POSITION_MIN), ladder_top)
        if nearest != self.cached_position:
            self.latents.clear()
        if position != self._last:
            self.coded.clear()
            self.bases.clear()
        self.cached_position, self._last = nearest, position


class CachedAnalysis:
    """An analysis at the cache's ladder position, done once for all trials there."""

    def __init__(self, analyse: Analysis, cache: RateControlCache) -> None:
        self._analyse, self._cache = analyse, cache

    def __call__(self, strip: Strip, segment: Segment) -> Float:
        """The latents of a segment of a strip, float32 (channels, h, w)."""
        key = segment.number, strip.lossless_key
        return _once(self._cache.latents, key, lambda: self._analyse(strip, segment))


class CachedStages:
    """Stages that reuse the results of earlier trials."""

    def __init__(self, stages: Stages, cache: RateControlCache) -> None:
        """Wrap stages; the cache has been reset to their ladder position."""
        self._stages, self._cache = stages, cache
        self.layers, self.analyse = stages.layers, stages.analyse
        self._lossless: tuple[Hashable, ...] = ()  # the layers of the strips so far

    def strips(self) -> Iterator[list[Segment]]:
        """See `Stages`."""
        self._lossless = ()
        return self._stages.strips()

    def encode(self, strip: Strip) -> list[Coded]:
        """See `Stages`."""
        self._lossless += (strip.lossless_key,)
        key = strip.segments[0].number, self._lossless
        return _once(self._cache.coded, key, lambda: self._stages.encode(strip))

    def base(self, segment: Segment) -> Pixels:
        """See `Stages`."""
        if not self.layers.conditioning.above_ladder:  # another trial has another
            return self._stages.base(segment)
        key = segment.number, self._lossless
        return _once(self._cache.bases, key, lambda: self._stages.base(segment))


def _once(cache: dict[Hashable, T], key: Hashable, make: Callable[[], T]) -> T:
    if key not in cache:
        cache[key] = make()
    return cache[key]
