"""The order in which a plane of symbols is coded: four passes over a checkerboard of 2x2 cells.

In pass t, corner c of every cell codes the channels of group c ^ t, a quarter of them. Each pass so codes
a quarter of every group, and a symbol may depend on neighbours of its own channel and, at its own position,
on the groups of earlier passes.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PASSES = 4
Offsets = NDArray[np.int64]
Positions = tuple[Offsets, Offsets, Offsets]  # channels, rows and columns within a part, int64 (n,) each

_CORNERS = ((0, 0), (1, 1), (0, 1), (1, 0))  # offsets; diagonal neighbours come before the others


class Part(NamedTuple):
    """What one corner codes in one pass.

    Attributes:
        number: of the pass, 0 to 3.
        corner: 0 to 3.
        group: of channels, 0 to 3.
        channels: the group's channels.
        row, column: the corner's offset in its cell.
        at: index of the part in an array (channels, h, w).
    """

    number: int
    corner: int
    group: int
    channels: slice
    row: int
    column: int

    @property
    def at(self) -> tuple[slice, slice, slice]:
        """See the class."""
        return self.channels, slice(self.row, None, 2), slice(self.column, None, 2)

    def sides(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the part in a plane of `shape`."""
        rows, columns = shape
        return (rows - self.row + 1) // 2, (columns - self.column + 1) // 2

    def positions(self, offsets: Offsets, shape: tuple[int, int]) -> Positions:
        """Positions of offsets, int64 (n,), in the flat part of a plane of `shape`."""
        high, wide = self.sides(shape)
        lines = offsets // wide
        channels = lines // high
        return channels, lines - channels * high, offsets - lines * wide


class Neighbour(NamedTuple):
    """A neighbour of a part's positions.

    Attributes:
        down, right: where it is in the 3x3 around a position, 0 to 2.
        corner: which corner of its cell it is, 0 to 3.
        rows, columns: from the position's cell to its cell, -1 to 1.
    """

    down: int
    right: int
    corner: int
    rows: int
    columns: int


@lru_cache(maxsize=64)
def parts(number: int, channels: int) -> tuple[Part, ...]:
    """The four parts of pass `number`, 0 to 3; `channels` is a multiple of 4."""
    size = channels // PASSES
    groups = [corner ^ number for corner in range(PASSES)]
    return tuple(
        Part(number, corner, group, slice(group * size, (group + 1) * size), *offset)
        for corner, (group, offset) in enumerate(zip(groups, _CORNERS, strict=True))
    )


def flat_offsets(positions: Positions, shape: tuple[int, ...]) -> Offsets:
    """Offsets of positions, int64 (n,), in an array of `shape`, (channels, rows, columns), that is flat."""
    channels, rows, columns = positions
    _, high, wide = shape
    return (channels * high + rows) * wide + columns  # a quarter of the time of np.ravel_multi_index


def pass_of(group: int, row: int, column: int) -> int:
    """The pass that codes a group of channels at a position."""
    return group ^ _CORNERS.index((row % 2, column % 2))


@lru_cache(maxsize=PASSES**2)
def coded_neighbours(number: int, corner: int) -> tuple[Neighbour, ...]:
    """The neighbours, of the same channel, that are coded before what `corner` codes in pass `number`."""
    group, (first_row, first_column) = corner ^ number, _CORNERS[corner]
    found = []
    for down, right in itertools.product(range(3), range(3)):
        row, column = first_row + down - 1, first_column + right - 1
        if pass_of(group, row, column) < number:
            theirs = _CORNERS.index((row % 2, column % 2))
            found.append(Neighbour(down, right, theirs, row // 2, column // 2))
    return tuple(found)
