"""Segments to a picture, some rows of them at a time; the mirror of `encoder`.

segment -> latents -> window across segments -> pixels, detail layer, transparency -> rows
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.coding import detail, preview
from caesura.errors import FormatError, TruncatedError
from caesura.format.container import Header, Segment
from caesura.models.bundle import PREVIEW_SCALE, Bundle
from caesura.picture import alpha
from caesura.picture import pixels as image
from caesura.runtime.parallel import each
from caesura.tiles.grid import USUAL_CELLS, Place, blocks, common, groups
from caesura.tiles.layers import Area, Layers, Pixels


def _there(segments: Sequence[Segment | None], place: Place) -> Segment:
    """A segment, or one of nothing in place of one that is lost."""
    return segments[place.number] or Segment(b"")


class Decoder(Layers):
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
            region: rows and columns in pixels, all unless given.
            conceal: make up what is missing or damaged from what is around it, instead of raising.
            preview: give pixels at an eighth of the sides, by the latents alone, if the model can and the
                picture is opaque: latents do not tell the colours that are seen from those beside them.
        """
        super().__init__(header, bundle)
        self._conceals = conceal
        # Small segments' pixels are made together: each alone would see a halo many times its size.
        self._block = max(1, USUAL_CELLS // header.cells)
        self._preview = bundle.preview if preview and header.channels == header.colours else None
        self.scale = 1 if self._preview is None else PREVIEW_SCALE
        self.damaged: set[int] = set()
        rows, columns = region or (slice(0, header.height), slice(0, header.width))
        self._shown = self._grid.within(self._in_latents(rows), self._in_latents(columns))
        first, last = self._shown[0], self._shown[-1]
        self._taken = self._grid.within(
            slice(first.row.seen.start, last.row.seen.stop),
            slice(first.column.seen.start, last.column.seen.stop),
        )
        self.needed = {place.number for place in self._taken}

    def areas(self, numbers: Set[int]) -> list[Area]:
        """Where segments lie in the picture, in pixels."""
        return [self._area(place) for place in self._grid if place.number in numbers]

    def parts(self, segments: Sequence[Segment | None]) -> Iterator[tuple[Area, Pixels]]:
        """Segment by segment where it lies in the picture, in pixels, and uint8 (h, w, channels) of `scale`.

        Args:
            segments: of the whole picture; None is allowed for those that are not needed, or are concealed.

        Raises:
            FormatError: a segment is not what the encoder gives for this header and model.
        """
        waiting, magnitudes = deque(self._taken), {}
        lost: list[Place] = []
        for places in groups(self._shown, self._block):
            end = places[-1].row.seen.stop
            # What is lost is guessed from the row below as well.
            ahead = end + self._grid.side if self._conceals else end
            taken = []
            while waiting and waiting[0].row.kept.start < ahead:
                taken.append(waiting.popleft())
            found = each(partial(self._latents, segments), taken, self._work)
            for place, (plane, of_symbols) in zip(taken, found, strict=True):
                if plane is None:
                    lost.append(place)
                else:
                    self._mosaic.put(place, plane)
                magnitudes[place.number] = of_symbols
            while lost and lost[0].row.kept.start < end:
                place = lost.pop(0)
                self._mosaic.put(place, self._mosaic.guess(place, self._bundle.channels))
            del found  # so that rows that are forgotten take no memory while others are decoded
            made = each(partial(self._pixels, segments, magnitudes), blocks(places, self._block), self._work)
            parts = {number: pixels for block in made for number, pixels in block}
            del made
            for place in places:
                magnitudes.pop(place.number)
                yield self._area(place), parts.pop(place.number)
            self._mosaic.forget_above(places[-1].row.kept.stop - self._grid.halo)

    def bands(self, segments: Sequence[Segment | None]) -> Iterator[Pixels]:
        """The picture from top to bottom, a row of segments at a time, uint8 (h, width, channels)."""
        for _, row in itertools.groupby(self.parts(segments), key=lambda part: part[0][0].start):
            yield np.concatenate([pixels for _, pixels in row], axis=1)

    def _latents(self, segments: Sequence[Segment | None], place: Place) -> tuple[Any, Any]:
        """A segment's latents, and the magnitudes of its symbols if the detail layer needs them.

        None if they are to be concealed.
        """
        try:
            return self._decoded(segments[place.number], place)
        except FormatError:
            if not self._conceals:
                raise
            self.damaged.add(place.number)
            return None, None

    def _decoded(self, segment: Segment | None, place: Place) -> tuple[Any, Any]:
        if segment is None:
            raise TruncatedError(f"segment {place.number} is missing")
        if self._above != (segment.detail is not None):
            if not self._conceals:
                there = "missing" if self._above else "there"
                raise FormatError(f"detail: the chunk is {there} at quality {self.header.quality}")
            self.damaged.add(place.number)
        decoded = self._architecture.decode(segment.latents, place.shape, self._at)
        return decoded.plane, decoded.magnitudes if self._above else None

    def _pixels(
        self, segments: Sequence[Segment | None], magnitudes: Mapping[int, Any], places: list[Place]
    ) -> list[tuple[int, Pixels]]:
        """Number and pixels of each of a block's segments, uint8 (h, w, channels), cropped to the picture."""
        if self._preview is not None:
            return [(p.number, self._reduced(_there(segments, p), p, self._preview)) for p in places]
        whole = self._grid.block(places)
        base = self._base(whole)
        found = []
        for place in places:
            rows, _ = common(self._in_pixels(whole.row.kept), self._in_pixels(place.row.kept))
            columns, _ = common(self._in_pixels(whole.column.kept), self._in_pixels(place.column.kept))
            mine, of_symbols = base[rows, columns], magnitudes[place.number]
            found.append((place.number, self._sound(_there(segments, place), place, mine, of_symbols)))
        return found

    def _sound(self, segment: Segment, place: Place, base: Pixels, of_symbols: Any) -> Pixels:
        """A segment's pixels; without the layers on top of its base where these are to be concealed."""
        try:
            return self._layered(segment, place, base, of_symbols)
        except FormatError:
            if not self._conceals:
                raise
            self.damaged.add(place.number)
            return self._layered(Segment(b""), place, base, None)

    def _layered(self, segment: Segment, place: Place, rgb: Pixels, of_symbols: Any) -> Pixels:
        """The base's pixels with the layers on top of them, cropped to the picture."""
        header = self.header
        if segment.detail is not None and of_symbols is not None:
            rgb = detail.decode(segment.detail, rgb, of_symbols, header.quality, self._bundle)
        pixels = self._coloured(place, rgb)
        transparency = self._transparency(segment, *pixels.shape[:2])
        return pixels if transparency is None else np.dstack([pixels, transparency])

    def _reduced(self, segment: Segment, place: Place, weights: NDArray[np.float32]) -> Pixels:
        """The pixels of a preview, without synthesis and detail layer."""
        rows, columns = (span.stop - span.start for span in self._area(place))
        high, wide = (-(-side // self.scale) for side in (rows, columns))
        rgb = preview.pixels(self._mosaic.of(place), weights)[:high, :wide]
        self._transparency(segment, rows, columns)  # there must be none
        return image.from_rgb(rgb, self.header.colours)

    def _transparency(self, segment: Segment, height: int, width: int) -> Pixels | None:
        """A segment's alpha, uint8 (h, w), None in a picture without."""
        if self.header.channels == self.header.colours:
            if segment.alpha is not None:
                raise FormatError(f"alpha: the chunk is there with {self.header.channels} channels")
            return None
        if segment.alpha is None:
            return np.full((height, width), alpha.OPAQUE, np.uint8)
        return alpha.decode(segment.alpha, height, width)
