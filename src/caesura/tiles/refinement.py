"""Effort 9: the symbols of a picture refined by the gradient of its distortion, segment by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from caesura.coding.cae2026 import Cae2026, Distortion
from caesura.models.conditioning import Conditioning
from caesura.runtime.parallel import each
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Pixels
from caesura.tiles.source import Strip
from caesura.tiles.stages import Coded, SegmentStages


class Refinement(NamedTuple):
    """What effort 9 needs besides a picture.

    Attributes:
        distortion: gives the distortion of a picture, uint8 (H, W, 3), for a model at a ladder position.
        progress: called with the steps done and their number.
    """

    distortion: Callable[[Pixels, Conditioning], Distortion]
    progress: Callable[[int, int], None]


class RefinedStages:
    """Stages whose `encode` refines the symbols that rounding gives.

    A segment's pixels depend on the latents around it: all segments are coded before the first is refined,
    and each is refined with those around it as refined so far.
    """

    def __init__(self, stages: SegmentStages, coder: Cae2026, refinement: Refinement) -> None:
        self._stages, self._coder, self._refinement = stages, coder, refinement
        self.layers, self.analyse = stages.layers, stages.analyse

    def strips(self) -> Iterator[list[Segment]]:
        """See `Stages`: one strip, the whole picture."""
        yield list(self.layers.grid)

    def encode(self, strip: Strip) -> list[Coded]:
        """See `Stages`."""
        mosaic, segments = self.layers.mosaic, strip.learned
        encoded = each(
            lambda one: self._coder.encode(self.analyse(strip, one), strip.free(one)),
            segments,
            self.layers.work,
        )
        for segment, start in zip(segments, encoded, strict=True):
            mosaic.put(segment, start.decoded.latents)
        coded: list[Coded] = []

        def progress(done: int, total: int) -> None:
            self._refinement.progress(len(coded) * total + done, len(encoded) * total)

        for segment, start in zip(segments, encoded, strict=True):
            pixels = strip.cropped(strip.rgb, segment.rows.window, segment.columns.window)
            refined = self._coder.refine(
                start,
                mosaic.window(segment).copy(),  # which refining changes
                (segment.rows.inner, segment.columns.inner),
                self._refinement.distortion(pixels, self.layers.conditioning),
                progress,
            )
            mosaic.put(segment, refined.decoded.latents)
            coded.append(Coded(refined.pack(), refined.decoded))
        return coded

    def base(self, segment: Segment) -> Pixels:
        """See `Stages`."""
        return self._stages.base(segment)
