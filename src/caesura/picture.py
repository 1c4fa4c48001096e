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
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from caesura import alpha, cae2017, cae2026, detail, image, preview
from caesura.container import CELL, QUALITY_MIN, Header, Segment
from caesura.errors import FormatError, TruncatedError
from caesura.metadata import Metadata
from caesura.model import PREVIEW_SCALE, Bundle
from caesura.parallel import each
from caesura.segments import USUAL_CELLS, Grid, Mosaic, Place, blocks, common, groups

Pixels = NDArray[np.uint8]
# Rows of a picture, from the first to before the last: uint8 (n, W, 3), and alpha (n, W), None where opaque.
Rows = Callable[[int, int], tuple[Pixels, Pixels | None]]
Area = tuple[slice, slice]
T = TypeVar("T")

_NEAR = 1000  # places between those that trials' latents are made for; twice as far is 1% of the bytes

ARCHITECTURES: dict[str, Any] = {"cae2017": cae2017, "cae2026": cae2026}


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

    def __init__(self, header: Header, bundle: Bundle, *, one_of_many: bool = False) -> None:
        self.header, self._bundle = header, bundle
        self._architecture = ARCHITECTURES[bundle.architecture]
        self._at = self._architecture.Rate(header.quality, bundle, one_of_many=one_of_many)
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

    def _coloured(self, place: Place, rgb: Pixels) -> Pixels:
        """A segment's colours, uint8 (h, w, colours), cropped to the picture."""
        rows, columns = self._area(place)
        cropped = rgb[: rows.stop - rows.start, : columns.stop - columns.start]
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


class Trials:
    """What trials of one picture at several rates share: whatever another rate leaves as it is.

    The latents are made for the nearest of a few rates, so that the same trial gives the same file whichever
    trials were before it.

    Attributes:
        latents: float32 (channels, h, w), by segment, of the rate `near`.
        coded: strips' segments by their first, of the last trial.
        bases: segments' pixels without the detail layer, uint8 (H, W, 3), where it has one.
        near: the place on the model's scale that the latents are of.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.latents: dict[int, NDArray[np.float32]] = {}
        self.coded: dict[int, list[_Coded]] = {}
        self.bases: dict[int, Pixels] = {}
        self.near = self._last = 0

    def begin(self, code: int, top: int) -> None:
        """Forget what the last trial has otherwise than one at this place, of a ladder that ends at `top`."""
        code = min(code, top)
        near = min(max(round(code / _NEAR) * _NEAR, QUALITY_MIN), top)
        if near != self.near:
            self.latents.clear()
        if code != self._last:
            self.coded.clear()
            self.bases.clear()
        self.near, self._last = near, code


def _there(segments: Sequence[Segment | None], place: Place) -> Segment:
    """A segment, or one of nothing in place of one that is lost."""
    return segments[place.number] or Segment(b"")


def _once(kept: dict[int, T], number: int, make: Callable[[], T]) -> T:
    """What is kept under a number, made if there is nothing."""
    if number not in kept:
        kept[number] = make()
    return kept[number]


class _Coded(NamedTuple):
    """A segment whose latents are coded, and what its pixels are made from, if they are looked at."""

    payload: bytes
    plane: NDArray[np.float32] | None
    magnitudes: NDArray[np.uint8] | None


_CodedPlace = tuple[Place, _Coded]


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
        trials: Trials | None = None,
    ) -> None:
        """Start.

        Args:
            header: of the file to be.
            bundle: the model that it names.
            effort: 1 to 9.
            progress: called with the steps done and their number at effort 9.
            trials: of the same picture with other encoders, of which this is the next.
        """
        super().__init__(header, bundle, one_of_many=trials is not None)
        self._effort, self._progress = effort, progress
        self._refines = effort == cae2026.MAX_EFFORT and bundle.architecture == "cae2026"
        self._trials, self._analysed_at = trials, self._at
        if trials is not None:
            trials.begin(header.quality, bundle.ladder_top)
            self._analysed_at = self._architecture.Rate(trials.near, bundle, one_of_many=True)

    def segments(self, rows: Rows) -> Iterator[Segment]:
        """The segments, in order; `rows` is asked for overlapping ranges, each further down."""
        for strip, coded in self._strips_coded(rows, based=self._above):
            yield from each(partial(self._segment, strip), coded, self._work)

    def show(self, rows: Rows) -> Pixels:
        """The colours that the file will decode to, uint8 (height, width, colours), without making it."""
        header = self.header
        shown = np.empty((header.height, header.width, header.colours), np.uint8)
        for strip, coded in self._strips_coded(rows, based=True):
            each(partial(self._show, shown, strip), coded, self._work)
        return shown

    def analyse(self, rows: Rows) -> list[NDArray[np.float32]]:
        """The segments' latents, float32 (channels, h, w) each; nothing is coded."""
        return [
            latent
            for strip in self._strips(rows)
            for latent in each(partial(self._analyse, strip), strip.places, self._work)
        ]

    def _strips_coded(self, rows: Rows, *, based: bool) -> Iterator[tuple[_Strip, list[_CodedPlace]]]:
        """Strip by strip the segments coded; if `based`, what their pixels depend on is in the mosaic.

        A strip waits for the next one's latents, which its pixels depend on.
        """
        waiting: tuple[_Strip, list[_CodedPlace]] | None = None
        for strip in self._strips(rows):
            pairs = list(zip(strip.places, self._coded(strip, based), strict=True))
            for place, one in pairs:
                if one.plane is not None:
                    self._mosaic.put(place, one.plane)
            if waiting:
                yield waiting
                self._mosaic.forget_above(strip.places[0].row.seen.start)
            waiting = strip, pairs
        if waiting:
            yield waiting

    def _strips(self, rows: Rows) -> Iterator[_Strip]:
        for places in [list(self._grid)] if self._refines else groups(self._grid):
            first, last = self._in_pixels(places[0].row.seen), self._in_pixels(places[-1].row.seen)
            yield _Strip(places, *rows(first.start, min(last.stop, self.header.height)))

    def _analyse(self, strip: _Strip, place: Place) -> NDArray[np.float32]:
        """A segment's latents, float32 (channels, h, w)."""

        def latents() -> NDArray[np.float32]:
            window = self._window(strip, place.row.seen, place.column.seen)
            seen = self._architecture.analyse(window, self._analysed_at)
            inner: NDArray[np.float32] = seen[:, place.row.inner, place.column.inner]
            return inner

        return latents() if self._trials is None else _once(self._trials.latents, place.number, latents)

    def _coded(self, strip: _Strip, based: bool) -> list[_Coded]:
        """The segments' latents coded."""

        def symbols(place: Place) -> Any:
            return self._architecture.encode(self._analyse(strip, place), self._at, self._effort)

        def packed(coded: Any) -> _Coded:
            payload = self._architecture.pack(coded)
            looked_at = based or self._trials is not None
            return (
                _Coded(payload, coded.plane, coded.magnitudes) if looked_at else _Coded(payload, None, None)
            )

        def coded() -> list[_Coded]:
            if self._refines:
                refined = self._refined(strip, each(symbols, strip.places, self._work))
                return [packed(one) for one in refined]
            return each(lambda place: packed(symbols(place)), strip.places, self._work)

        return coded() if self._trials is None else _once(self._trials.coded, strip.places[0].number, coded)

    def _refined(self, strip: _Strip, coded: Sequence[Any]) -> list[Any]:
        """Symbols, one segment after another, each with those around it as they are by then."""
        for place, one in zip(strip.places, coded, strict=True):
            self._mosaic.put(place, one.plane)
        refined: list[Any] = []

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
            refined.append(better)
        return refined

    def _segment(self, strip: _Strip, pair: _CodedPlace) -> Segment:
        place, coded = pair
        residual = transparency = None
        if self._above and coded.magnitudes is not None:
            rgb, base = self._original_and_base(strip, place)
            residual = detail.encode(rgb, base, coded.magnitudes, self.header.quality, self._bundle)
        if strip.alpha is not None:
            kept = self._seen(strip, strip.alpha, place.row.kept, place.column.kept)
            transparency = None if kept.min() == alpha.OPAQUE else alpha.encode(kept)
        return Segment(coded.payload, residual, transparency)

    def _show(self, shown: Pixels, strip: _Strip, pair: _CodedPlace) -> None:
        """Fill in a segment's colours: the mirror of `Decoder._layered`, with no payload between."""
        place, _ = pair
        rgb, base = self._original_and_base(strip, place)
        if self._above:
            base = detail.show(rgb, base, self.header.quality, self._bundle)
        shown[self._area(place)] = self._coloured(place, base)

    def _original_and_base(self, strip: _Strip, place: Place) -> tuple[Pixels, Pixels]:
        """A segment's pixels, as they are and by the latents alone, uint8 (H, W, 3), of whole latents."""
        rgb, base = self._window(strip, place.row.kept, place.column.kept), partial(self._base, place)
        if self._trials is None or not self._above:  # on the ladder, another trial has another
            return rgb, base()
        return rgb, _once(self._trials.bases, place.number, base)

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
        scale: of the parts that it gives: 8 with `preview` if the model has one, else 1.
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
            preview: give pixels at an eighth of the sides, by the latents alone, if the model can.
        """
        super().__init__(header, bundle)
        self._conceals = conceal
        # Small segments' pixels are made together: each alone would see a halo many times its size.
        self._block = max(1, USUAL_CELLS // header.cells)
        self._preview = bundle.preview if preview else None
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
        pixels = image.from_rgb(rgb, self.header.colours)
        transparency = self._transparency(segment, rows, columns)
        if transparency is None:
            return pixels
        return np.dstack([pixels, image.reduce(transparency[:, :, None], self.scale)])

    def _transparency(self, segment: Segment, height: int, width: int) -> Pixels | None:
        """A segment's alpha, uint8 (h, w), None in a picture without."""
        if self.header.channels == self.header.colours:
            if segment.alpha is not None:
                raise FormatError(f"alpha: the chunk is there with {self.header.channels} channels")
            return None
        if segment.alpha is None:
            return np.full((height, width), alpha.OPAQUE, np.uint8)
        return alpha.decode(segment.alpha, height, width)
