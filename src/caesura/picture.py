"""A picture to its segments and back, some rows of them at a time: memory grows with the width alone.

encode: rows -> window of each segment -> latents, payload -> detail layer, transparency -> segment
decode: segment -> latents -> window across segments -> pixels, detail layer, transparency -> rows

What happens within a segment is in the module of the model's architecture, `cae2017` or `cae2026`.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura import alpha, cae2017, cae2026, detail, image
from caesura.container import CELL, Header, Segment
from caesura.errors import FormatError, TruncatedError
from caesura.metadata import Metadata
from caesura.model import Bundle
from caesura.parallel import each
from caesura.segments import Grid, Mosaic, Place, groups

Pixels = NDArray[np.uint8]
# Rows of a picture, from the first to before the last: uint8 (n, W, 3), and alpha (n, W), None where opaque.
Rows = Callable[[int, int], tuple[Pixels, Pixels | None]]
Area = tuple[slice, slice]
Analysed = dict[int, NDArray[np.float32]]

_ARCHITECTURES: dict[str, Any] = {"cae2017": cae2017, "cae2026": cae2026}


class Source(NamedTuple):
    """A picture to be coded.

    Attributes:
        height, width: in pixels.
        channels: 1 (grey) or 3 (RGB), one more with transparency.
        rows: gives rows of it.
        metadata: what travels with it.
    """

    height: int
    width: int
    channels: int
    rows: Rows
    metadata: Metadata

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width


class _Layers:
    """What encoder and decoder share: the model at a rate, the grid of segments."""

    def __init__(self, header: Header, bundle: Bundle) -> None:
        self.header, self._bundle = header, bundle
        self._architecture = _ARCHITECTURES[bundle.architecture]
        self._at = self._architecture.Rate(header.quality, bundle)
        self._above = header.quality > bundle.ladder_top  # where the detail layer is
        stride = bundle.stride
        size = image.grid(header.height, header.width, stride, bundle.smallest_side)
        self._grid = Grid(*size, header.cells * CELL // stride, bundle.halo // stride)
        self._work = size[0] * size[1] * bundle.channels
        self._mosaic = Mosaic(self._grid.side)

    def _base(self, place: Place) -> Pixels:
        """A segment's pixels by its latents and those around it, uint8 (H, W, 3), of whole latents."""
        window = self._architecture.synthesise(self._mosaic.window(place), self._at)
        base: Pixels = window[self._in_pixels(place.row.inner), self._in_pixels(place.column.inner)]
        return base

    def _coloured(self, place: Place, residual: bytes | None, base: Pixels, of_symbols: Any) -> Pixels:
        """A segment's colours, its detail layer on top of its base, uint8 (h, w, colours), cropped."""
        if residual is not None and of_symbols is not None:
            base = detail.decode(residual, base, of_symbols, self.header.quality, self._bundle)
        rows, columns = self._area(place)
        cropped = base[: rows.stop - rows.start, : columns.stop - columns.start]
        return image.from_rgb(cropped, self.header.colours)

    def _area(self, place: Place) -> Area:
        """Where a segment lies in the picture, in pixels."""
        rows, columns = self._in_pixels(place.row.kept), self._in_pixels(place.column.kept)
        return (
            slice(rows.start, min(rows.stop, self.header.height)),
            slice(columns.start, min(columns.stop, self.header.width)),
        )

    def _in_pixels(self, span: slice) -> slice:
        return slice(span.start * self._bundle.stride, span.stop * self._bundle.stride)

    def _in_latents(self, span: slice) -> slice:
        return slice(span.start // self._bundle.stride, -(-span.stop // self._bundle.stride))


class _Coded(NamedTuple):
    """A segment whose latents are coded, and what its detail layer is made from, if it has one."""

    payload: bytes
    plane: NDArray[np.float32] | None
    magnitudes: NDArray[np.uint8] | None


class _Strip(NamedTuple):
    """Segments that are worked on together, and the pixels that they see."""

    places: list[Place]
    rgb: Pixels
    alpha: Pixels | None


class Encoder(_Layers):
    """Codes one picture."""

    def __init__(
        self,
        header: Header,
        bundle: Bundle,
        effort: int,
        progress: Callable[[int, int], None],
        analysed: Analysed | None = None,
        shown: Pixels | None = None,
    ) -> None:
        """Start.

        Args:
            header: of the file to be.
            bundle: the model that it names.
            effort: 1 to 9.
            progress: called with the steps done and their number at effort 9.
            analysed: segments' latents by number, as another encoder of the same picture left them at a rate
                nearby; those that are missing are put there. None to keep none.
            shown: uint8 (height, width, colours), to be filled with what the file's colours will decode to.
        """
        super().__init__(header, bundle)
        self._analysed, self._shown = analysed, shown
        self._effort, self._progress = effort, progress
        self._refines = effort == cae2026.MAX_EFFORT and bundle.architecture == "cae2026"

    def segments(self, rows: Rows) -> Iterator[Segment]:
        """The segments, in order; `rows` is asked for overlapping ranges, each further down.

        A group's detail layer waits for the next group's latents, which its pixels depend on.
        """
        waiting: tuple[_Strip, list[_Coded]] | None = None
        for strip in self._strips(rows):
            places = strip.places
            coded = each(partial(self._latents, strip), places, self._work)
            if self._refines:
                coded = self._refined(strip, coded)
            for place, one in zip(places, coded, strict=True):
                if one.plane is not None:
                    self._mosaic.put(place, one.plane)
            if waiting:
                yield from self._finish(*waiting)
                self._mosaic.forget_above(places[0].row.seen.start)
            waiting = strip, coded
        if waiting:
            yield from self._finish(*waiting)

    def analyse(self, rows: Rows) -> None:
        """Fill `analysed`, and code nothing yet."""
        for strip in self._strips(rows):
            each(partial(self._analyse, strip), strip.places, self._work)

    def _strips(self, rows: Rows) -> Iterator[_Strip]:
        for places in [list(self._grid)] if self._refines else groups(self._grid):
            first, last = self._in_pixels(places[0].row.seen), self._in_pixels(places[-1].row.seen)
            yield _Strip(places, *rows(first.start, min(last.stop, self.header.height)))

    def _analyse(self, strip: _Strip, place: Place) -> NDArray[np.float32]:
        """A segment's latents, float32 (channels, h, w)."""
        latent = None if self._analysed is None else self._analysed.get(place.number)
        if latent is None:
            window = self._window(strip, place.row.seen, place.column.seen)
            latent = self._architecture.analyse(window, self._at)[:, place.row.inner, place.column.inner]
            if self._analysed is not None:
                self._analysed[place.number] = latent
        return latent

    def _latents(self, strip: _Strip, place: Place) -> Any:
        """A segment's latents, coded, or still in symbols if they are to be refined."""
        coded = self._architecture.encode(self._analyse(strip, place), self._at, self._effort)
        return coded if self._refines else self._packed(coded)

    def _packed(self, coded: Any) -> _Coded:
        plane = coded.plane if self._above or self._shown is not None else None
        return _Coded(self._architecture.pack(coded), plane, coded.magnitudes if self._above else None)

    def _refined(self, strip: _Strip, coded: Sequence[Any]) -> list[_Coded]:
        """One segment after another, each with those around it as they are by then."""
        for place, one in zip(strip.places, coded, strict=True):
            self._mosaic.put(place, one.plane)
        refined: list[_Coded] = []

        def progress(done: int, total: int) -> None:
            self._progress(len(refined) * total + done, len(coded) * total)

        for place, one in zip(strip.places, coded, strict=True):
            better = cae2026.refine(
                one,
                self._mosaic.window(place),
                (place.row.inner, place.column.inner),
                self._seen(strip, strip.rgb, place.row.seen, place.column.seen),
                progress,
            )
            self._mosaic.put(place, better.plane)
            refined.append(self._packed(better))
        return refined

    def _finish(self, strip: _Strip, coded: list[_Coded]) -> list[Segment]:
        return each(partial(self._segment, strip), list(zip(strip.places, coded, strict=True)), self._work)

    def _segment(self, strip: _Strip, latents: tuple[Place, _Coded]) -> Segment:
        place, coded = latents
        residual = transparency = None
        base = self._base(place) if coded.plane is not None else None
        if coded.magnitudes is not None and base is not None:
            rgb = self._window(strip, place.row.kept, place.column.kept)
            residual = detail.encode(rgb, base, coded.magnitudes, self.header.quality, self._bundle)
        if self._shown is not None and base is not None:
            self._shown[self._area(place)] = self._coloured(place, residual, base, coded.magnitudes)
        if strip.alpha is not None:
            kept = self._seen(strip, strip.alpha, place.row.kept, place.column.kept)
            transparency = None if kept.min() == alpha.OPAQUE else alpha.encode(kept)
        return Segment(coded.payload, residual, transparency)

    def _seen(self, strip: _Strip, pixels: Pixels, row: slice, column: slice) -> Pixels:
        """Pixels of the strip at latents of the picture, as far as the picture goes."""
        top = self._in_pixels(strip.places[0].row.seen).start
        rows = self._in_pixels(row)
        return pixels[rows.start - top : rows.stop - top, self._in_pixels(column)]

    def _window(self, strip: _Strip, row: slice, column: slice) -> Pixels:
        """The same of the colours, padded to whole latents."""
        sides = (span.stop - span.start for span in (self._in_pixels(row), self._in_pixels(column)))
        return image.pad(self._seen(strip, strip.rgb, row, column), *sides)


class Decoder(_Layers):
    """Decodes one picture, or the segments of a region of it.

    Attributes:
        needed: numbers of the segments whose latents it takes.
        damaged: numbers of the segments that were concealed, in part or whole.
    """

    def __init__(
        self, header: Header, bundle: Bundle, region: Area | None = None, *, conceal: bool = False
    ) -> None:
        """Start.

        Args:
            header: of the file.
            bundle: the model that it names.
            region: rows and columns in pixels, all unless given.
            conceal: make up what is missing or damaged from what is around it, instead of raising.
        """
        super().__init__(header, bundle)
        self._conceals = conceal
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
        """Segment by segment where it lies in the picture, in pixels, and uint8 (h, w, channels).

        Args:
            segments: of the whole picture; None is allowed for those that are not needed, or are concealed.

        Raises:
            FormatError: a segment is not what the encoder gives for this header and model.
        """
        waiting, magnitudes = deque(self._taken), {}
        lost: list[Place] = []
        for places in groups(self._shown):
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
            parts = deque(each(partial(self._pixels, segments, magnitudes), places, self._work))
            for place in places:
                magnitudes.pop(place.number)
                yield self._area(place), parts.popleft()
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
        self, segments: Sequence[Segment | None], magnitudes: Mapping[int, Any], place: Place
    ) -> Pixels:
        """A segment's pixels, uint8 (h, w, channels), as far as the picture goes."""
        segment = segments[place.number] or Segment(b"")
        base, of_symbols = self._base(place), magnitudes[place.number]
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
        pixels = self._coloured(place, segment.detail, rgb, of_symbols)
        height, width, _ = pixels.shape
        if header.channels == header.colours:
            if segment.alpha is not None:
                raise FormatError(f"alpha: the chunk is there with {header.channels} channels")
            return pixels
        if segment.alpha is None:
            return np.dstack([pixels, np.full((height, width), alpha.OPAQUE, np.uint8)])
        return np.dstack([pixels, alpha.decode(segment.alpha, height, width)])
