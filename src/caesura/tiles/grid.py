"""Segments: the squares of a picture whose symbols are coded alone. So they decode side by side, a region
decodes without the rest, and damage stays where it is.

The entropy coder, the hyperprior and the means see one segment; the transforms see across: each segment's
pixels come from a window of latents wider by a halo, so that no seam shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.format.container import CELL

USUAL_CELLS = 16
_ALONE_CELLS = 24  # up to here a picture is one segment
_GROUP = 8  # segments that are worked on together: enough for all processors, not the whole picture

Float = NDArray[np.float32]


def choose(height: int, width: int) -> int:
    """Cells a side of the segments of a picture, 1 to MAX_CELLS."""
    cells = -(-max(height, width) // CELL)
    return cells if cells <= _ALONE_CELLS else USUAL_CELLS


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

    def block(self, places: Sequence[Place]) -> Place:
        """All of a rectangle of segments as if it were one, with the first one's number."""
        (number, row, column), (_, last_row, last_column) = places[0], places[-1]
        return Place(
            number,
            Span(row.kept.start, last_row.kept.stop, self.rows, self.halo),
            Span(column.kept.start, last_column.kept.stop, self.columns, self.halo),
        )


def groups(places: Iterable[Place], rows: int = 1) -> Iterator[list[Place]]:
    """Whole rows of segments, a multiple of `rows`, as many at a time as keep all processors busy."""
    group: list[Place] = []
    for number, (_, row) in enumerate(itertools.groupby(places, key=lambda place: place.row.kept.start), 1):
        group += row
        if len(group) >= _GROUP * rows**2 and number % rows == 0:
            yield group
            group = []
    if group:
        yield group


def blocks(places: Sequence[Place], side: int) -> list[list[Place]]:
    """Whole rows of segments as rectangles of at most `side` segments each way, row by row."""
    rows = [list(row) for _, row in itertools.groupby(places, key=lambda place: place.row.kept.start)]
    return [
        list(itertools.chain.from_iterable(row[left : left + side] for row in rows[top : top + side]))
        for top in range(0, len(rows), side)
        for left in range(0, len(rows[0]), side)
    ]


class Mosaic:
    """Latents of segments, given back as windows across their borders."""

    def __init__(self, side: int) -> None:
        """Start; `side` is that of the grid's segments."""
        self._side = side
        self._tiles: dict[tuple[int, int], tuple[Place, Float]] = {}  # by row and column of the grid

    def put(self, place: Place, latents: Float) -> None:
        """Take in a segment's latents, float32 (C, h, w)."""
        self._tiles[self._key(place)] = place, latents

    def forget_above(self, row: int) -> None:
        """Drop segments that end above a row of latents."""
        self._tiles = {key: tile for key, tile in self._tiles.items() if tile[0].row.kept.stop > row}

    def _key(self, place: Place) -> tuple[int, int]:
        return place.row.kept.start // self._side, place.column.kept.start // self._side

    def _within(self, rows: slice, columns: slice) -> Iterator[tuple[Place, Float]]:
        """Segments that have latents in these rows and columns."""
        ranges = (range(span.start // self._side, -(-span.stop // self._side)) for span in (rows, columns))
        for key in itertools.product(*ranges):
            if key in self._tiles:
                yield self._tiles[key]

    def guess(self, place: Place, channels: int) -> Float:
        """Latents for a segment that was lost, float32 (channels, h, w), from the borders of those around it.

        A border's mean reaches far, its pattern three positions or so; zero, a grey, if none is left.
        """
        height, width = place.shape
        down, across = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
        total = np.zeros((channels, height, width), np.float32)
        weights = np.zeros((height, width), np.float32)
        row, column = self._key(place)
        borders = (
            ((row - 1, column), np.s_[:, -1:, :], down + 1 + 0 * across),
            ((row + 1, column), np.s_[:, :1, :], height - down + 0 * across),
            ((row, column - 1), np.s_[:, :, -1:], across + 1 + 0 * down),
            ((row, column + 1), np.s_[:, :, :1], width - across + 0 * down),
        )
        for key, border, distance in borders:
            if key not in self._tiles:
                continue
            line = self._tiles[key][1][border]
            mean = line.mean((1, 2), keepdims=True)
            total += (mean + (line - mean) * np.exp(-distance / 3)) / distance
            weights += 1 / distance
        result: Float = (total / np.maximum(weights, 1e-9)).astype(np.float32)
        return result

    def of(self, place: Place) -> Float:
        """What was put for a segment."""
        return self._tiles[self._key(place)][1]

    def window(self, place: Place) -> Float:
        """What a segment's window sees, float32 (C, h, w); zero where nothing has been put."""
        row, column = place.row.seen, place.column.seen
        seen = list(self._within(row, column))
        channels = len(seen[0][1])
        result = np.zeros((channels, row.stop - row.start, column.stop - column.start), np.float32)
        for other, latents in seen:
            rows, mine = common(other.row.kept, row)
            columns, also = common(other.column.kept, column)
            result[:, mine, also] = latents[:, rows, columns]
        return result


def common(span: slice, seen: slice) -> tuple[slice, slice]:
    """Where two spans overlap: within the first, within the second."""
    start, stop = max(span.start, seen.start), min(span.stop, seen.stop)
    return slice(start - span.start, stop - span.start), slice(start - seen.start, stop - seen.start)
