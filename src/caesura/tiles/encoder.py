"""A picture to its segments, some rows of them at a time; the mirror of `decoder`.

rows -> window of each segment -> latents, payload -> detail layer, transparency -> segment
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from caesura.coding import cae2026, detail
from caesura.format.container import QUALITY_MIN, Header, Segment
from caesura.models.bundle import Bundle
from caesura.picture import alpha
from caesura.picture import pixels as image
from caesura.picture.metadata import Metadata
from caesura.runtime.parallel import each
from caesura.tiles.grid import Place, groups
from caesura.tiles.layers import Layers, Pixels

# Rows of a picture, from the first to before the last: uint8 (n, W, 3), and alpha (n, W), None where opaque.
Rows = Callable[[int, int], tuple[Pixels, Pixels | None]]
T = TypeVar("T")

_NEAR = 1000  # places between those that trials' latents are made for; twice as far is 1% of the bytes


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


class Encoder(Layers):
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

    def contrasts(self, rows: Rows) -> list[NDArray[np.float32]]:
        """The variance of the pixels behind each segment's latents, float32 (h, w), mean over colours."""
        stride = self._bundle.stride

        def contrast(window: Pixels) -> NDArray[np.float32]:
            high, wide, colours = window.shape
            blocks = window.reshape(high // stride, stride, wide // stride, stride, colours)
            # Copied such that each block's pixels are next to one another: three times as fast.
            pixels = blocks.transpose(0, 2, 4, 1, 3).reshape(high // stride, wide // stride, colours, -1)
            found: NDArray[np.float32] = pixels.astype(np.float32).var(axis=-1).mean(axis=-1)
            return found

        return [
            contrast(self._window(strip, place.row.kept, place.column.kept))
            for strip in self._strips(rows)
            for place in strip.places
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
            payload = self._architecture.pack(coded)  # even if it is only looked at: symbols take more memory
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
