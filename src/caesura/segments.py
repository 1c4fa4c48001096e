"""Segments: the squares of a picture whose symbols are coded alone. So they decode side by side, a region
decodes without the rest, and damage stays where it is.

The entropy coder, the hyperprior and the means see one segment; the transforms see across: each segment's
pixels come from a window of latents wider by a halo, so that no seam shows.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.container import CELL

_USUAL_CELLS = 16
_ALONE_CELLS = 24  # up to here a picture is one segment
_GROUP = 8  # segments that are worked on together: enough for all processors, not the whole picture

Float = NDArray[np.float32]


def choose(height: int, width: int) -> int:
    """Cells a side of the segments of a picture, 1 to MAX_CELLS."""
    cells = -(-max(height, width) // CELL)
    return cells if cells <= _ALONE_CELLS else _USUAL_CELLS


class Span:
    """One direction of a segment: what it keeps, what its window sees, where the first lies in the second."""

    def __init__(self, start: int, stop: int, end: int, halo: int) -> None:
        first, last = max(0, start - halo), min(end, stop + halo)
        self.kept = slice(start, stop)
        self.seen = slice(first, last)
        self.inner = slice(start - first, stop - first)

    def __len__(self) -> int:
        return self.kept.stop - self.kept.start

    def overlaps(self, other: slice) -> bool:
        """Whether anything of its own lies in `other`."""
        return bool(self.kept.start < other.stop and other.start < self.kept.stop)


def spans(length: int, side: int, halo: int) -> list[Span]:
    """Spans of `side` that cover `length`; the last takes what is left."""
    return [Span(start, min(start + side, length), length, halo) for start in range(0, length, side)]


class Place(NamedTuple):
    """A segment of a picture, spans in latents."""

    number: int
    row: Span
    column: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of latents."""
        return len(self.row), len(self.column)


@dataclass(frozen=True)
class Grid:
    """The segments of one picture.

    Attributes:
        rows, columns: of latents, the whole picture.
        side: of a segment, in latents.
        halo: of a window, in latents.
    """

    rows: int
    columns: int
    side: int
    halo: int

    def __iter__(self) -> Iterator[Place]:
        """Row after row of segments, each from left to right."""
        pairs = itertools.product(
            spans(self.rows, self.side, self.halo), spans(self.columns, self.side, self.halo)
        )
        for number, (row, column) in enumerate(pairs):
            yield Place(number, row, column)

    def within(self, rows: slice, columns: slice) -> list[Place]:
        """The segments that have latents in these rows and columns."""
        return [place for place in self if place.row.overlaps(rows) and place.column.overlaps(columns)]


def groups(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Whole rows of segments, as many at a time as keep all processors busy."""
    group: list[Place] = []
    for _, row in itertools.groupby(places, key=lambda place: place.row.kept.start):
        group += row
        if len(group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group


class _Tiles:
    """Segments of one row, by where they start."""

    def __init__(self) -> None:
        self.starts: list[int] = []  # rising
        self.by_start: dict[int, tuple[Place, Float]] = {}

    def put(self, place: Place, latents: Float) -> None:
        start = place.column.kept.start
        if start not in self.by_start:
            insort(self.starts, start)
        self.by_start[start] = place, latents

    def within(self, columns: slice) -> Iterator[tuple[Place, Float]]:
        """Those that have latents in these columns."""
        first = bisect_right(self.starts, columns.start) - 1
        for start in self.starts[max(0, first) : bisect_left(self.starts, columns.stop)]:
            if self.by_start[start][0].column.overlaps(columns):
                yield self.by_start[start]


class Mosaic:
    """Latents of segments, given back as windows across their borders."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Span, _Tiles]] = {}

    def put(self, place: Place, latents: Float) -> None:
        """Take in a segment's latents, float32 (C, h, w)."""
        _, tiles = self._rows.setdefault(place.row.kept.start, (place.row, _Tiles()))
        tiles.put(place, latents)

    def forget_above(self, row: int) -> None:
        """Drop segments that end above a row of latents."""
        self._rows = {start: there for start, there in self._rows.items() if there[0].kept.stop > row}

    def window(self, place: Place) -> Float:
        """What a segment's window sees, float32 (C, h, w); zero where nothing has been put."""
        row, column = place.row.seen, place.column.seen
        near = (tiles for span, tiles in self._rows.values() if span.overlaps(row))
        seen = [tile for tiles in near for tile in tiles.within(column)]
        channels = len(seen[0][1])
        result = np.zeros((channels, row.stop - row.start, column.stop - column.start), np.float32)
        for other, latents in seen:
            rows, mine = _common(other.row.kept, row)
            columns, also = _common(other.column.kept, column)
            result[:, mine, also] = latents[:, rows, columns]
        return result


def _common(span: slice, seen: slice) -> tuple[slice, slice]:
    """Where two spans overlap: within the first, within the second."""
    start, stop = max(span.start, seen.start), min(span.stop, seen.stop)
    return slice(start - span.start, stop - span.start), slice(start - seen.start, stop - seen.start)
