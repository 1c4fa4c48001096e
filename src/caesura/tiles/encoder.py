"""A picture to its segments, some rows of them at a time; the mirror of `decoder`.

rows -> lossless layers -> window of each segment -> latents, payload -> detail layer, clipped areas
     -> transparency -> segment
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from caesura.coding import clipped, detail
from caesura.coding import lossless as lossless_layer
from caesura.format import container
from caesura.format.container import Payload, SegmentData
from caesura.picture import alpha
from caesura.runtime.parallel import each
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Pixels
from caesura.tiles.lossless import LosslessChoice
from caesura.tiles.source import Rows, Source, Strip, in_pixels
from caesura.tiles.stages import Coded, Stages

_CodedSegment = tuple[Segment, Coded | None]  # None for a segment that is lossless as a whole


class Encoder:
    """Encodes one picture at one ladder position: a loop over its segments.

    Attributes:
        header: of the file.
    """

    def __init__(self, stages: Stages, choose_lossless: LosslessChoice) -> None:
        self._stages, self._layers, self._choose_lossless = stages, stages.layers, choose_lossless
        self.header, self._conditioning = stages.layers.header, stages.layers.conditioning

    def file(self, source: Source, max_pixels: int) -> bytes:
        """The .cae file of a picture of at most `max_pixels` pixels."""
        payload = Payload(list(self.segments(source.rows)), source.metadata)
        return container.write(self.header, payload, max_pixels=max_pixels)

    def segments(self, rows: Rows) -> Iterator[SegmentData]:
        """The segments, in order, of a picture whose rows a function gives."""
        for strip, coded in self._coded(rows):
            yield from each(partial(self._segment, strip), coded, self._layers.work)

    def reconstruct(self, rows: Rows) -> Pixels:
        """The colours that the file decodes to, uint8 (height, width, colours), without writing it."""
        header = self.header
        picture = np.empty((header.height, header.width, header.colours), np.uint8)
        for strip, coded in self._coded(rows):
            each(partial(self._reconstruct, picture, strip), coded, self._layers.work)
        return picture

    def analyse(self, rows: Rows) -> list[NDArray[np.float32]]:
        """The segments' latents, float32 (channels, h, w) each; nothing is coded."""
        return [
            latents
            for strip in self.strips(rows)
            for latents in each(partial(self._stages.analyse, strip), strip.segments, self._layers.work)
        ]

    def strips(self, rows: Rows) -> Iterator[Strip]:
        """The strips of a picture, from top to bottom."""
        stride = self._conditioning.bundle.stride
        for segments in self._stages.strips():
            first, last = (in_pixels(one.rows.window, stride) for one in (segments[0], segments[-1]))
            found = rows(first.start, min(last.stop, self.header.height))
            yield Strip(segments, first.start, *found, stride)

    def _coded(self, rows: Rows) -> Iterator[tuple[Strip, list[_CodedSegment]]]:
        """Strip by strip the segments coded, and their decoded latents in the mosaic, if there are any.

        A strip waits until the next one is coded, whose latents its pixels depend on.
        """
        waiting: tuple[Strip, list[_CodedSegment]] | None = None
        for plain in self.strips(rows):
            strip = self._choose_lossless(plain)
            coded = dict(zip((one.number for one in strip.learned), self._stages.encode(strip), strict=True))
            pairs = [(segment, coded.get(segment.number)) for segment in strip.segments]
            for segment, one in pairs:
                if one is not None and one.decoded is not None:
                    self._layers.mosaic.put(segment, one.decoded.latents)
            if waiting:
                yield waiting
                self._layers.mosaic.forget_above(strip.segments[0].rows.window.start)
            waiting = strip, pairs
        if waiting:
            yield waiting

    def _segment(self, strip: Strip, pair: _CodedSegment) -> SegmentData:
        segment, coded = pair
        lossless = strip.lossless.get(segment.number)
        payload = residual = areas = transparency = None
        if coded is not None:
            payload = coded.payload
            if self._conditioning.above_ladder:
                assert coded.decoded is not None  # see `build`
                assert coded.decoded.magnitudes is not None  # the architecture has the layer
                base, magnitudes = self._stages.base(segment), coded.decoded.magnitudes
                residual = detail.encode(strip.kept(segment), base, magnitudes, self._conditioning)
            areas = self._clipped(strip, segment, coded)
        if strip.alpha is not None:
            kept = strip.cropped(strip.alpha, segment.rows.kept, segment.columns.kept)
            transparency = None if kept.min() == alpha.OPAQUE else alpha.encode(kept)
        return SegmentData(payload, residual, transparency, lossless and lossless.payload, areas)

    def _clipped(self, strip: Strip, segment: Segment, coded: Coded) -> bytes | None:
        """The clipped areas of a segment without a lossless layer."""
        if segment.number in strip.lossless:
            return None
        rgb = strip.cropped(strip.rgb, segment.rows.kept, segment.columns.kept)
        return clipped.encode(rgb, len(coded.payload), fine=self._conditioning.above_ladder)

    def _reconstruct(self, picture: Pixels, strip: Strip, pair: _CodedSegment) -> None:
        """Fill in a segment's colours: the mirror of `Decoder._layered`, with no payload between."""
        segment, coded = pair
        area = self._layers.area(segment)
        if coded is not None:
            rgb = self._stages.base(segment)
            if self._conditioning.above_ladder:
                rgb = detail.reconstruct(strip.kept(segment), rgb, self._conditioning)
            colours = self._layers.coloured(segment, rgb)
            areas = self._clipped(strip, segment, coded)
            picture[area] = colours if areas is None else clipped.apply(areas, colours)
        if (lossless := strip.lossless.get(segment.number)) is not None:
            found = lossless_layer.decode(lossless.payload, *lossless.kept.shape)
            picture[area] = self._layers.overlaid(picture[area], *found)
