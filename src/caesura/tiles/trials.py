"""Rate control: one picture encoded at several ladder positions until a target is met.

Each trial encodes the whole picture. What another ladder position leaves as it is, trials share through a
cache, which wraps the stages of encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caesura.format import container
from caesura.format.container import QUALITY_MIN, SegmentData
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.picture.metadata import Metadata
from caesura.ratecontrol.forecast import forecast, usual
from caesura.ratecontrol.search import Target, search
from caesura.tiles.encoder import Encoder
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Layers, Pixels
from caesura.tiles.source import Source, Strip
from caesura.tiles.stages import Coded, Stages

_MOST_CACHED = 1 << 26  # pixels; trials of larger pictures share nothing, to save memory
# How much worse a decoder on another machine, whose floats round otherwise, may be.
_TOLERANCE = {"psnr": 2e-4, "ms_ssim": 2e-6}
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
        latents: float32 (channels, h, w), by segment.
        coded: strips' segments of the last trial, by their first.
        bases: segments' pixels without the detail layer, uint8 (H, W, 3), where there is one.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.latents: dict[int, Float] = {}
        self.coded: dict[int, list[Coded]] = {}
        self.bases: dict[int, Pixels] = {}
        self.cached_position = self._last = 0

    def reset(self, ladder_position: int, ladder_top: int) -> None:
        """Drop what a trial at this position cannot use, of a ladder that ends at `ladder_top`."""
        position = min(ladder_position, ladder_top)  # latents above the ladder's top are those at it
        nearest = min(max(round(position / _SPACING) * _SPACING, QUALITY_MIN), ladder_top)
        if nearest != self.cached_position:
            self.latents.clear()
        if position != self._last:
            self.coded.clear()
            self.bases.clear()
        self.cached_position, self._last = nearest, position


class CachedStages:
    """Stages of which each is done once for all trials, as far as they share it."""

    def __init__(self, stages: Stages, analysis: Stages, cache: RateControlCache) -> None:
        """Wrap stages.

        Args:
            stages: of the trial.
            analysis: of the cache's position, for the latents.
            cache: reset to the trial's position.
        """
        self._stages, self._analysis, self._cache = stages, analysis, cache

    @property
    def layers(self) -> Layers:
        """See `Stages`."""
        return self._stages.layers

    def strips(self) -> Iterator[list[Segment]]:
        """See `Stages`."""
        return self._stages.strips()

    def analyse(self, strip: Strip, segment: Segment) -> Float:
        """See `Stages`."""
        return _once(self._cache.latents, segment.number, lambda: self._analysis.analyse(strip, segment))

    def encode(self, strip: Strip, latents: Callable[[Segment], Float]) -> list[Coded]:
        """See `Stages`."""
        first = strip.segments[0].number
        return _once(self._cache.coded, first, lambda: self._stages.encode(strip, latents))

    def base(self, segment: Segment) -> Pixels:
        """See `Stages`."""
        if not self.layers.conditioning.above_ladder:  # another trial has another
            return self._stages.base(segment)
        return _once(self._cache.bases, segment.number, lambda: self._stages.base(segment))


def encode_to_target(
    target: Target,
    source: Source,
    bundle: Bundle,
    encoder: Callable[[int, RateControlCache | None], Encoder],
    write: Callable[[Encoder], bytes],
    measure: Callable[[Pixels], float],
) -> bytes:
    """The file of the best quality within a target.

    Args:
        target: a size, PSNR or MS-SSIM.
        source: the picture.
        bundle: the model.
        encoder: gives the picture's encoder at a ladder position, with what trials share.
        write: gives the file of an encoder.
        measure: gives the PSNR or MS-SSIM of decoded colours, uint8 (H, W, colours).

    Raises:
        ConfigError: no ladder position meets the target.
    """
    cache = RateControlCache() if source.size <= _MOST_CACHED else None
    start = _start(target, source, bundle)
    slope = None
    if cache is not None:
        first = encoder(start, cache)
        contrasts = first.contrasts(source.rows) if target.name == "ms_ssim" else []
        estimate = forecast(first.analyse(source.rows), contrasts, bundle, target, source.size)
        if estimate is not None:
            start, slope = estimate

    def attempt(ladder_position: int) -> tuple[float, bytes]:
        trial = encoder(ladder_position, cache)
        if target.is_size:
            file = write(trial)
            return len(file), file
        return measure(trial.reconstruct(source.rows)) - _TOLERANCE[target.name], b""

    found = search(
        target,
        attempt,
        pixels=source.size,
        start=start,
        slope=slope,
        jump=bundle.ladder_top,
        explain=_fixed_part if target.is_size else lambda file: "",
    )
    return found.result or write(encoder(found.ladder_position, cache))


def _start(target: Target, source: Source, bundle: Bundle) -> int:
    """The ladder position where photographs meet the target on average."""
    position = usual(bundle, target, source.size)
    if position is None:
        return ladder.position_of(target.guess(source.size), bundle.quality_scale)
    return position


def _fixed_part(file: bytes) -> str:
    """What an error says of the bytes that are the same at every quality."""
    header, payload = container.read(file, max_pixels=container.MAX_SIDE**2)
    kept = len(container.write_start(header, payload.metadata, max_pixels=container.MAX_SIDE**2))
    kept -= len(container.write_start(header, Metadata(), max_pixels=container.MAX_SIDE**2))
    transparency = sum(
        len(container.write_segment(number, segment))
        - len(container.write_segment(number, SegmentData(segment.latents)))
        for number, segment in enumerate(payload.segments)
        if segment is not None and segment.alpha is not None
    )
    text = f"; {kept} bytes of it are metadata, which strip (--strip) leaves out" if kept else ""
    return text + (f"; {transparency} bytes of it are transparency" if transparency else "")


def _once(cache: dict[int, T], key: int, make: Callable[[], T]) -> T:
    if key not in cache:
        cache[key] = make()
    return cache[key]
