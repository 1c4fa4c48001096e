"""Effort 9: the symbols of a picture refined by the gradient of its distortion, segment by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from caesura.coding.cae2026 import Cae2026, Distortion
from caesura.models.conditioning import Conditioning
from caesura.runtime.parallel import each
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Layers, Pixels
from caesura.tiles.source import Strip
from caesura.tiles.stages import Coded, SegmentStages

# The distortion of a picture, uint8 (H, W, 3), at the ladder position of its conditioning.
DistortionOf = Callable[[Pixels, Conditioning], Distortion]


class RefinedStages:
    """Stages whose `encode` refines the symbols that rounding gives.

    A segment's pixels depend on the latents around it: all segments are coded before the first is refined,
    and each is refined with those around it as they are by then.
    """

    def __init__(
        self,
        stages: SegmentStages,
        coder: Cae2026,
        distortion: DistortionOf,
        progress: Callable[[int, int], None],
    ) -> None:
        """`progress` is called with the steps done and their number."""
        self._stages, self._coder = stages, coder
        self._distortion, self._progress = distortion, progress

    @property
    def layers(self) -> Layers:
        """See `Stages`."""
        return self._stages.layers

    def strips(self) -> Iterator[list[Segment]]:
        """See `Stages`: one strip, the whole picture."""
        yield list(self.layers.grid)

    def analyse(self, strip: Strip, segment: Segment) -> NDArray[np.float32]:
        """See `Stages`."""
        return self._stages.analyse(strip, segment)

    def encode(self, strip: Strip, latents: Callable[[Segment], NDArray[np.float32]]) -> list[Coded]:
        """See `Stages`."""
        mosaic = self.layers.mosaic
        encoded = each(lambda s: self._coder.encode(latents(s)), strip.segments, self.layers.work)
        for segment, start in zip(strip.segments, encoded, strict=True):
            mosaic.put(segment, start.decoded.latents)
        coded: list[Coded] = []

        def progress(done: int, total: int) -> None:
            self._progress(len(coded) * total + done, len(encoded) * total)

        for segment, start in zip(strip.segments, encoded, strict=True):
            pixels = strip.cropped(strip.rgb, segment.rows.window, segment.columns.window)
            refined = self._coder.refine(
                start,
                mosaic.window(segment),
                (segment.rows.inner, segment.columns.inner),
                self._distortion(pixels, self.layers.conditioning),
                progress,
            )
            mosaic.put(segment, refined.decoded.latents)
            coded.append(Coded(refined.pack(), refined.decoded))
        return coded

    def base(self, segment: Segment) -> Pixels:
        """See `Stages`."""
        return self._stages.base(segment)
