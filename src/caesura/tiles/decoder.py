"""Segments to a picture, some rows of them at a time; the mirror of `encoder`.

segment -> latents -> window across segments -> pixels, detail layer, clipped areas, lossless layer
        -> transparency -> rows
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.coding import clipped, detail, lossless, preview
from caesura.coding.base import Decoded
from caesura.errors import FormatError, TruncatedError
from caesura.format.container import Header, SegmentData
from caesura.models.bundle import PREVIEW_SCALE, Bundle
from caesura.picture import alpha, pixels
from caesura.runtime import transform
from caesura.runtime.parallel import each
from caesura.tiles import grid
from caesura.tiles.grid import USUAL_CELLS, Segment, overlap
from caesura.tiles.layers import Area, Layers, Pixels


class _Found(NamedTuple):
    """What the pixels of a decoded segment need besides latents.

    Attributes:
        magnitudes: of its symbols, see `Decoded`.
        rgb: its pixels, uint8 (h, w, 3), if it is lossless as a whole.
    """

    magnitudes: NDArray[np.uint8] | None = None
    rgb: Pixels | None = None


def _or_empty(data: Sequence[SegmentData | None], segment: Segment) -> SegmentData:
    """A segment's data, or none of any layer if it is lost."""
    return data[segment.number] or SegmentData(b"")


class Decoder:
    """Decodes one picture, or the segments of a region of it.

    Attributes:
        scale: of the parts that it gives: 8 with `preview` if there can be one, else 1.
        needed: numbers of the segments whose latents it takes.
        damaged: numbers of the segments that were concealed, in part or whole.
    """

    def __init__(
        self,
        header: Header,
        bundle: Bundle,
        region: Area | None = None,
        *,
        conceal: bool = False,
        preview: bool = False,
    ) -> None:
        """Start.

        Args:
            header: of the file.
            bundle: the model that it names.
            region: rows and columns in pixels; the whole picture unless given.
            conceal: fill in what is missing or damaged from what is around it, instead of raising.
            preview: give pixels at an eighth of the sides, by the latents alone, if the model can and the
                picture is opaque: latents do not tell visible colours from hidden ones beside them.
        """
        self.header, self._layers = header, Layers.for_header(header, bundle)
        self._conditioning = self._layers.conditioning
        self._conceals = conceal
        # Small segments' pixels are made together: the window of each alone would be many times its size.
        self._block = max(1, USUAL_CELLS // header.cells)
        self._preview = bundle.preview if preview and header.channels == header.colours else None
        self.scale = 1 if self._preview is None else PREVIEW_SCALE
        graphs = transform.DECODING if self._preview is None else transform.DECODING_LATENTS
        transform.load(self._conditioning, graphs)
        self.damaged: set[int] = set()
        rows, columns = region or (slice(0, header.height), slice(0, header.width))
        self._segments = self._layers.grid.within(
            self._layers.in_latents(rows), self._layers.in_latents(columns)
        )
        first, last = self._segments[0], self._segments[-1]
        self._needed = self._layers.grid.within(
            slice(first.rows.window.start, last.rows.window.stop),
            slice(first.columns.window.start, last.columns.window.stop),
        )
        self.needed = {segment.number for segment in self._needed}

    def areas(self, numbers: Set[int]) -> list[Area]:
        """Where segments lie in the picture, in pixels."""
        return [self._layers.area(segment) for segment in self._layers.grid if segment.number in numbers]

    def parts(self, data: Sequence[SegmentData | None]) -> Iterator[tuple[Area, Pixels]]:
        """Segment by segment where it lies in the picture, in pixels, and uint8 (h, w, channels) of `scale`.

        Args:
            data: the segments of the whole picture; None is allowed for those that are not needed, or are
                concealed.

        Raises:
            FormatError: a segment is not what the encoder gives for this header and model.
        """
        waiting = deque(self._needed)
        decoded: dict[int, _Found] = {}
        lost: list[Segment] = []
        for strip in grid.strips(self._segments, self._block):
            end = strip[-1].rows.window.stop
            # What is lost is guessed from the row below as well.
            ahead = end + self._layers.grid.side if self._conceals else end
            taken = []
            while waiting and waiting[0].rows.kept.start < ahead:
                taken.append(waiting.popleft())
            # A method of its own, so that rows that are forgotten take no memory while others are decoded.
            decoded |= self._put_latents(data, taken, lost)
            while lost and lost[0].rows.kept.start < end:
                segment = lost.pop(0)
                channels = self._conditioning.bundle.channels
                self._layers.mosaic.put(segment, self._layers.mosaic.guess(segment, channels))
            blocks = grid.blocks(strip, self._block)
            made = each(partial(self._pixels, data, decoded), blocks, self._layers.work)
            parts = {number: pixels for block in made for number, pixels in block}
            del made
            for segment in strip:
                decoded.pop(segment.number)
                yield self._layers.area(segment), parts.pop(segment.number)
            self._layers.mosaic.forget_above(strip[-1].rows.kept.stop - self._layers.grid.halo)

    def bands(self, data: Sequence[SegmentData | None]) -> Iterator[Pixels]:
        """The picture from top to bottom, a row of segments at a time, uint8 (h, width, channels)."""
        for _, row in itertools.groupby(self.parts(data), key=lambda part: part[0][0].start):
            yield np.concatenate([pixels for _, pixels in row], axis=1)

    def _put_latents(
        self, data: Sequence[SegmentData | None], segments: Sequence[Segment], lost: list[Segment]
    ) -> dict[int, _Found]:
        """Decode segments, latents into the mosaic, and append to `lost` those that are to be concealed."""
        result: dict[int, _Found] = {}
        decoded = each(partial(self._latents, data), segments, self._layers.work)
        for segment, found in zip(segments, decoded, strict=True):
            if isinstance(found, Decoded):
                self._layers.mosaic.put(segment, found.latents)
                result[segment.number] = _Found(found.magnitudes)
            elif found is None:
                lost.append(segment)
                result[segment.number] = _Found()
            else:
                result[segment.number] = _Found(rgb=found)
        return result

    def _latents(self, data: Sequence[SegmentData | None], segment: Segment) -> Decoded | Pixels | None:
        """A segment's latents, or its pixels if it has none; None if they are to be concealed."""
        try:
            return self._decoded(data[segment.number], segment)
        except FormatError:
            if not self._conceals:
                raise
            self.damaged.add(segment.number)
            return None

    def _decoded(self, data: SegmentData | None, segment: Segment) -> Decoded | Pixels:
        if data is None:
            raise TruncatedError(f"segment {segment.number} is missing")
        covered = data.lossless is not None and lossless.covers(data.lossless)
        if covered == (data.latents is not None):
            there = "latents under" if covered else "no latents, and not"
            raise FormatError(f"segment {segment.number} has {there} a lossless layer without holes")
        if data.latents is None:
            return self._covered(data, segment)
        if (above := self._conditioning.above_ladder) != (data.detail is not None):
            if not self._conceals:
                there, position = "missing" if above else "there", self.header.ladder_position
                raise FormatError(f"detail: the chunk is {there} at ladder position {position}")
            self.damaged.add(segment.number)
        return self._layers.coder.decode(data.latents, segment.shape)

    def _covered(self, data: SegmentData, segment: Segment) -> Pixels:
        """The pixels of a segment that is lossless as a whole, uint8 (h, w, 3), cropped to the picture."""
        assert data.lossless is not None
        for name in ("detail", "clipped"):
            if getattr(data, name) is not None:
                raise FormatError(f"segment {segment.number} has no latents, but {name}")
        return lossless.decode(data.lossless, *self._layers.size(segment))[0]

    def _pixels(
        self,
        data: Sequence[SegmentData | None],
        decoded: Mapping[int, _Found],
        block: list[Segment],
    ) -> list[tuple[int, Pixels]]:
        """Number and pixels of each of a block's segments, uint8 (h, w, channels), cropped to the picture."""
        if self._preview is not None:
            return [
                (one.number, self._reduced(_or_empty(data, one), one, decoded[one.number].rgb, self._preview))
                for one in block
            ]
        whole = self._layers.grid.merged(block)
        if len(block) > 1 and not self._layers.mosaic.is_complete(whole):
            # What stands in for missing latents depends on the segment.
            return [part for one in block for part in self._pixels(data, decoded, [one])]
        rows, columns = self._layers.in_pixels(whole.rows.kept), self._layers.in_pixels(whole.columns.kept)
        covered = all(decoded[segment.number].rgb is not None for segment in block)
        base = None if covered else self._layers.base(whole)
        found = []
        for segment in block:
            down, _ = overlap(rows, self._layers.in_pixels(segment.rows.kept))
            across, _ = overlap(columns, self._layers.in_pixels(segment.columns.kept))
            own = None if base is None else base[down, across]
            pixels = self._concealed(_or_empty(data, segment), segment, own, decoded[segment.number])
            found.append((segment.number, pixels))
        return found

    def _concealed(self, data: SegmentData, segment: Segment, base: Pixels | None, found: _Found) -> Pixels:
        """A segment's pixels; without the layers on top of its base where these are to be concealed."""
        try:
            return self._layered(data, segment, base, found)
        except FormatError:
            if not self._conceals:
                raise
            self.damaged.add(segment.number)
            return self._layered(SegmentData(None), segment, base, _Found(rgb=found.rgb))

    def _layered(self, data: SegmentData, segment: Segment, base: Pixels | None, found: _Found) -> Pixels:
        """The base's pixels with the layers on top of them, cropped to the picture."""
        if found.rgb is not None:
            colours = pixels.from_rgb(found.rgb, self.header.colours)
        else:
            assert base is not None
            if data.detail is not None and found.magnitudes is not None:
                base = detail.decode(data.detail, base, found.magnitudes, self._conditioning)
            colours = self._layers.coloured(segment, base)
            if data.clipped is not None:
                colours = clipped.apply(data.clipped, colours)
            if data.lossless is not None:
                colours = self._layers.overlaid(colours, *lossless.decode(data.lossless, *colours.shape[:2]))
        transparency = self._transparency(data, *colours.shape[:2])
        return colours if transparency is None else np.dstack([colours, transparency])

    def _reduced(
        self, data: SegmentData, segment: Segment, rgb: Pixels | None, weights: NDArray[np.float32]
    ) -> Pixels:
        """The pixels of a preview, without synthesis and detail layer."""
        height, width = self._layers.size(segment)
        self._transparency(data, height, width)  # there must be none
        if rgb is not None:
            return pixels.reduce(pixels.from_rgb(rgb, self.header.colours), self.scale)
        high, wide = (-(-side // self.scale) for side in (height, width))
        found = preview.pixels(self._layers.mosaic.latents(segment), weights)[:high, :wide]
        colours = pixels.from_rgb(found, self.header.colours)
        if data.clipped is not None:
            colours = clipped.apply_reduced(data.clipped, colours, height, width, self.scale)
        if data.lossless is not None:
            exact, kept = lossless.decode(data.lossless, height, width)
            reduced = pixels.reduce(np.dstack([exact, kept * np.uint8(alpha.OPAQUE)]), self.scale)
            colours = self._layers.overlaid(colours, reduced[:, :, :3], reduced[:, :, 3] == alpha.OPAQUE)
        return colours

    def _transparency(self, data: SegmentData, height: int, width: int) -> Pixels | None:
        """A segment's alpha, uint8 (h, w), None in a picture without."""
        if self.header.channels == self.header.colours:
            if data.alpha is not None:
                raise FormatError(f"alpha: the chunk is there with {self.header.channels} channels")
            return None
        if data.alpha is None:
            return np.full((height, width), alpha.OPAQUE, np.uint8)
        return alpha.decode(data.alpha, height, width)
