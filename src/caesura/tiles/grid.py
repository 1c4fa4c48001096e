"""Segments: the squares of a picture whose symbols are coded independently of one another.

They are coded in parallel, a region decodes without the rest, and damage stays where it is. Entropy coder,
hyperprior and means see one segment. The transforms see across: the pixels of a segment come from a window of
latents that is wider by a halo, so that no seam shows.
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
_MOST_OF_ONE = 24  # cells a side of the largest picture that is one segment
_STRIP = 8  # segments that are coded together: enough for all processors, not the whole picture

Float = NDArray[np.float32]


def choose_cells(height: int, width: int) -> int:
    """Cells a side of the segments of a picture, 1 to MAX_CELLS."""
    cells = -(-max(height, width) // CELL)
    return cells if cells <= _MOST_OF_ONE else USUAL_CELLS


class Span:
    """Rows or columns of a segment, in latents.

    Attributes:
        kept: its own.
        window: its own and the halo, as far as the picture goes.
        inner: its own, counted from the start of the window.
    """

    def __init__(self, start: int, stop: int, end: int, halo: int) -> None:
        first, last = max(0, start - halo), min(end, stop + halo)
        self.kept = slice(start, stop)
        self.window = slice(first, last)
        self.inner = slice(start - first, stop - first)

    def __len__(self) -> int:
        return self.kept.stop - self.kept.start

    def overlaps(self, other: slice) -> bool:
        """Whether its own and `other` have any in common."""
        return bool(self.kept.start < other.stop and other.start < self.kept.stop)


def spans(length: int, side: int, halo: int) -> list[Span]:
    """Spans of `side` that cover `length`; the last takes what is left."""
    return [Span(start, min(start + side, length), length, halo) for start in range(0, length, side)]


class Segment(NamedTuple):
    """A segment of a picture.

    Attributes:
        number: its position in the file, from 0: row after row, each from left to right.
        rows, columns: in latents.
    """

    number: int
    rows: Span
    columns: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of latents."""
        return len(self.rows), len(self.columns)


@dataclass(frozen=True)
class Grid:
    """The segments of one picture.

    Attributes:
        rows, columns: of the picture, in latents.
        side: of a segment, in latents.
        halo: on each side of a segment in its window, in latents.
    """

    rows: int
    columns: int
    side: int
    halo: int

    def __iter__(self) -> Iterator[Segment]:
        """Row after row of segments, each from left to right."""
        pairs = itertools.product(
            spans(self.rows, self.side, self.halo), spans(self.columns, self.side, self.halo)
        )
        for number, (row, column) in enumerate(pairs):
            yield Segment(number, row, column)

    def within(self, rows: slice, columns: slice) -> list[Segment]:
        """The segments that have latents in these rows and columns."""
        return [one for one in self if one.rows.overlaps(rows) and one.columns.overlaps(columns)]

    def merged(self, block: Sequence[Segment]) -> Segment:
        """A rectangle of segments as one segment, with the number of the first."""
        (number, rows, columns), (_, last_rows, last_columns) = block[0], block[-1]
        return Segment(
            number,
            Span(rows.kept.start, last_rows.kept.stop, self.rows, self.halo),
            Span(columns.kept.start, last_columns.kept.stop, self.columns, self.halo),
        )


def strips(segments: Iterable[Segment], rows: int = 1) -> Iterator[list[Segment]]:
    """Whole rows of segments, a multiple of `rows`, as many at a time as keep all processors busy."""
    strip: list[Segment] = []
    for number, row in enumerate(_rows(segments), 1):
        strip += row
        if len(strip) >= _STRIP * rows**2 and number % rows == 0:
            yield strip
            strip = []
    if strip:
        yield strip


def blocks(strip: Sequence[Segment], side: int) -> list[list[Segment]]:
    """Whole rows of segments as rectangles of at most `side` segments each way, row by row."""
    rows = list(_rows(strip))
    return [
        list(itertools.chain.from_iterable(row[left : left + side] for row in rows[top : top + side]))
        for top in range(0, len(rows), side)
        for left in range(0, len(rows[0]), side)
    ]


def _rows(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    for _, row in itertools.groupby(segments, key=lambda segment: segment.rows.kept.start):
        yield list(row)


class Mosaic:
    """Decoded latents of segments, which are read as windows across their borders."""

    def __init__(self, side: int) -> None:
        """Start empty; `side` is that of the grid's segments, in latents."""
        self._side = side
        self._tiles: dict[tuple[int, int], tuple[Segment, Float]] = {}  # by row and column of the grid

    def put(self, segment: Segment, latents: Float) -> None:
        """Add a segment's latents, float32 (C, h, w)."""
        self._tiles[self._key(segment)] = segment, latents

    def forget_above(self, row: int) -> None:
        """Drop segments that end above a row of latents."""
        self._tiles = {key: tile for key, tile in self._tiles.items() if tile[0].rows.kept.stop > row}

    def _key(self, segment: Segment) -> tuple[int, int]:
        return segment.rows.kept.start // self._side, segment.columns.kept.start // self._side

    def _within(self, rows: slice, columns: slice) -> Iterator[tuple[Segment, Float]]:
        """Segments that have latents in these rows and columns."""
        ranges = (range(span.start // self._side, -(-span.stop // self._side)) for span in (rows, columns))
        for key in itertools.product(*ranges):
            if key in self._tiles:
                yield self._tiles[key]

    def guess(self, segment: Segment, channels: int) -> Float:
        """Latents for a segment that was lost, float32 (channels, h, w), from the borders of those around it.

        The weight of a border's mean falls slowly with the distance, that of its pattern within about three
        latents. Without any neighbour they are zero, which is grey.
        """
        height, width = segment.shape
        down, across = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
        total = np.zeros((channels, height, width), np.float32)
        weights = np.zeros((height, width), np.float32)
        row, column = self._key(segment)
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

    def latents(self, segment: Segment) -> Float:
        """A segment's latents, float32 (C, h, w)."""
        return self._tiles[self._key(segment)][1]

    def window(self, segment: Segment) -> Float:
        """The latents of a segment's window, float32 (C, h, w).

        They may be those that were added, and are not to be changed. Where none have been added, they are
        those of the nearest position in the segment.
        """
        rows, columns = segment.rows.window, segment.columns.window
        tiles = list(self._within(rows, columns))
        first, latents = tiles[0]
        if (first.rows.kept, first.columns.kept) == (rows, columns):
            return latents
        result = np.empty((len(latents), rows.stop - rows.start, columns.stop - columns.start), np.float32)
        missing = np.ones(result.shape[1:], bool)
        for other, latents in tiles:
            from_rows, to_rows = overlap(other.rows.kept, rows)
            from_columns, to_columns = overlap(other.columns.kept, columns)
            result[:, to_rows, to_columns] = latents[:, from_rows, from_columns]
            missing[to_rows, to_columns] = False
        if missing.any():
            own_rows, own_columns = segment.rows.inner, segment.columns.inner
            down, across = np.nonzero(missing)
            nearest = (
                down.clip(own_rows.start, own_rows.stop - 1),
                across.clip(own_columns.start, own_columns.stop - 1),
            )
            result[:, down, across] = result[:, *nearest]
        return result

    def is_complete(self, segment: Segment) -> bool:
        """Whether latents have been added throughout a segment's window."""
        rows, columns = segment.rows.window, segment.columns.window
        found = sum(
            len(range(*overlap(other.rows.kept, rows)[1].indices(rows.stop)))
            * len(range(*overlap(other.columns.kept, columns)[1].indices(columns.stop)))
            for other, _ in self._within(rows, columns)
        )
        return found == (rows.stop - rows.start) * (columns.stop - columns.start)


def overlap(one: slice, other: slice) -> tuple[slice, slice]:
    """Where two ranges overlap, counted from the start of the first and from that of the second."""
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    return slice(start - one.start, stop - one.start), slice(start - other.start, stop - other.start)
