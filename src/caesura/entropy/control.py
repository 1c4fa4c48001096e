"""Exact entropy control: the table index of every symbol, an integer function of integers alone.

    sum = bias[row, channel] + base(inputs) + near(magnitudes) + far(magnitudes)     in steps of 1/32 index
    index = clip((sum + 16) >> 5, 0, 63)

`base` is a linear map from each position of a coarser plane of integers to the positions below it; `near`
(depthwise 3x3) and `far` (1x1) act on the magnitudes of symbols of earlier passes. All weights are int8. The
sums run in float32, where integers below 2**24 are exact in any order, whatever the processor; that no
partial sum can reach it is checked when the weights are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.passes import PASSES, Part, Positions, coded_neighbours, flat_offsets, parts
from caesura.entropy.tables import Table
from caesura.errors import ModelError

FRACTION = 5
INDICES = 64
_EXACT = 1 << 24
_LARGEST_MAGNITUDE = 30


def _magnitudes() -> NDArray[np.uint8]:
    """round(2 log2(1 + a)) for a in 0 .. 2**15, in integers: how many of 2, 8, 32, ... (1 + a)**4 reaches."""
    powers = np.arange(1, (1 << 15) + 2, dtype=np.int64) ** 4
    steps = np.int64(2) << 2 * np.arange(_LARGEST_MAGNITUDE, dtype=np.int64)
    return np.searchsorted(steps, powers, side="right").astype(np.uint8)


_MAGNITUDE = _magnitudes()


def magnitude(symbols: NDArray[np.int32]) -> NDArray[np.uint8]:
    """round(2 log2(1 + |s|)), 0 to 30, of symbols in SYMBOL_MIN .. SYMBOL_MAX."""
    result: NDArray[np.uint8] = _MAGNITUDE[np.abs(symbols)]
    return result


@dataclass(frozen=True, eq=False)
class Control:
    """Frozen integer weights, and the tables that indices choose from.

    Attributes:
        bias: int32 (rows, C), a row per step of the rate scale.
        base: int8 (D, C, k, k), input channel, channel, row and column below a position.
        near: int8 (PASSES - 1, C, 3, 3).
        far: int8 (PASSES - 1, C, C), channel, channel it looks at.
        limit: inputs of `base` lie within -limit .. limit.
        tables: the INDICES tables.
        lowest: smallest index; index 0 means that the symbol is zero and is not coded.
    """

    bias: NDArray[np.int32]
    base: NDArray[np.int8]
    near: NDArray[np.int8]
    far: NDArray[np.int8]
    limit: int
    tables: list[Table]
    lowest: int = 0

    def __post_init__(self) -> None:
        channels = self.bias.shape[-1] if self.bias.ndim else 0
        side = self.base.shape[-1] if self.base.ndim else 0
        expected = {
            "bias": (np.int32, (len(self.bias) if self.bias.ndim else 0, channels)),
            "base": (np.int8, (len(self.base) if self.base.ndim else 0, channels, side, side)),
            "near": (np.int8, (PASSES - 1, channels, 3, 3)),
            "far": (np.int8, (PASSES - 1, channels, channels)),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape or 0 in shape:
                raise ModelError(
                    f"control: {name} is {array.dtype} {array.shape}; {np.dtype(dtype)} {shape} expected"
                )
        if channels % PASSES or len(self.tables) != INDICES:
            raise ModelError(
                f"control: {channels} channels and {len(self.tables)} tables; "
                f"a multiple of {PASSES} and {INDICES} expected"
            )
        if (reached := self.largest_sum()) >= _EXACT:
            raise ModelError(f"control: sums may reach {reached}; below {_EXACT} is exact")

    @property
    def channels(self) -> int:
        """Number of channels of the plane that is coded."""
        return int(self.bias.shape[1])

    @property
    def below(self) -> int:
        """Positions per input position, each way."""
        return int(self.base.shape[-1])

    def base_of(self, part: Part) -> NDArray[np.float32]:
        """`base` of a part: float32 (D, k/2 k/2 C/4), the positions in a corner's plane first."""
        return self._matrices[part.number][part.corner][0]

    def far_of(self, part: Part) -> NDArray[np.float32]:
        """`far` of a part: float32 (number C/4, C/4), a row for each channel of earlier passes, in order."""
        return self._matrices[part.number][part.corner][1]

    @cached_property
    def _matrices(self) -> list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]]:
        """`base_of` and `far_of` by pass and corner."""
        ordered = [parts(number, self.channels) for number in range(PASSES)]

        def matrices(part: Part) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            base = self.base[:, part.channels, part.row :: 2, part.column :: 2].transpose(0, 2, 3, 1)
            seen = [ordered[earlier][part.corner].channels for earlier in range(part.number)]
            far = [self.far[part.number - 1, part.channels, channels].T for channels in seen]
            return (
                np.ascontiguousarray(base, np.float32).reshape(len(self.base), -1),
                np.concatenate(far).astype(np.float32) if far else np.zeros((0, 0), np.float32),
            )

        return [[matrices(part) for part in in_pass] for in_pass in ordered]

    def largest_sum(self) -> int:
        """A bound of every partial sum's absolute value, for any inputs and symbols, in any order."""
        bias = np.abs(self.bias.astype(np.int64)).max(0)
        base, near, far = (np.abs(weights.astype(np.int16)) for weights in (self.base, self.near, self.far))
        base = self.limit * base.sum(0, dtype=np.int64).max((1, 2))
        near, far = near.sum((2, 3), dtype=np.int64), far.sum(2, dtype=np.int64)
        return int((bias + base + _LARGEST_MAGNITUDE * (near + far).max(0)).max()) + (1 << FRACTION)


class Indices:
    """The indices of one plane, pass after pass; encoder and decoder go through the same calls.

    for number in range(PASSES): index(part) of all parts(number, C), then update(part, ...) of them

    Each corner of the cells of 2x2 is kept as a plane of its own, so that no step reads or writes every other
    element. At odd sides these planes are completed to whole cells, where magnitudes are zero. Channels that
    are zero everywhere, in the inputs and among the magnitudes of a part, are left out of the products.
    """

    def __init__(
        self, control: Control, inputs: NDArray[np.integer[Any]], row: int, shape: tuple[int, int]
    ) -> None:
        """Start.

        Args:
            control: the weights.
            inputs: integers (D, hh, ww) for `base`, clipped here to the control's limit.
            row: of the bias.
            shape: (h, w) of the plane; at most (hh, ww) times `control.below`.
        """
        self._control, self._shape, self._inputs_shape = control, shape, inputs.shape[1:]
        self._input_channels = np.flatnonzero(inputs.any((1, 2)))
        planes = inputs.reshape(len(inputs), -1)[self._input_channels]
        # The last row is for the bias.
        self._inputs = np.ones((len(planes) + 1, planes.shape[1]), np.float32)
        np.clip(planes, -control.limit, control.limit, out=self._inputs[:-1], casting="unsafe")
        # With half a step, so that rounding down rounds to the nearest.
        self._bias = (control.bias[row] + (1 << FRACTION >> 1)).astype(np.float32)
        rows, columns = self._cells = -(-shape[0] // 2), -(-shape[1] // 2)
        # By corner, for `far`: the planes of channels that are not zero, one below another, and which rows of
        # `far_of` they are for. The rows that are not reached take no memory.
        self._known = np.zeros((PASSES, control.channels, rows, columns), np.float32)
        self._known_channels = [np.zeros(0, np.int64) for _ in range(PASSES)]
        # By corner, for `near`: a row above and below and a column between the rows, all zero. A neighbour of
        # every element is then a slice of the flat plane; one element before and after make room for it.
        self._width = columns + 1
        self._around = np.zeros((PASSES, control.channels, (rows + 2) * self._width + 2), np.int16)

    def index(self, part: Part) -> NDArray[np.uint8]:
        """Indices of a part: uint8, shaped like it."""
        sums = self._base(part)
        if part.number:
            sums += self._near(part)
            channels = self._known_channels[part.corner]
            far = self._control.far_of(part).take(channels, axis=0)
            known = self._known[part.corner, : len(channels)].reshape(-1, sums[0].size)
            sums += (far.T @ known).reshape(sums.shape)
        sums *= 1 / (1 << FRACTION)
        # The smallest index is not below 0, so that the conversion rounds down.
        indices: NDArray[np.uint8] = sums.clip(self._control.lowest, INDICES - 1, out=sums).astype(np.uint8)
        rows, columns = part.sides(self._shape)
        return indices[:, :rows, :columns]

    def update(self, part: Part, positions: Positions, symbols: NDArray[np.int32]) -> None:
        """Add the symbols of a part that are not zero.

        Args:
            part: of the pass.
            positions: of these symbols in it.
            symbols: int32 (n,).
        """
        channels, rows, columns = positions
        magnitudes = magnitude(symbols)
        around = self._around[part.corner, part.channels]
        start = 1 + self._width
        around.reshape(-1)[channels * around.shape[1] + rows * self._width + columns + start] = magnitudes
        is_new = np.zeros(len(around), np.bool_)
        is_new[channels] = True
        known, before = self._known[part.corner], self._known_channels[part.corner]
        known_row = len(before) - 1 + np.cumsum(is_new)  # by channel
        known.reshape(-1)[flat_offsets((known_row[channels], rows, columns), known.shape)] = magnitudes
        new = part.number * len(is_new) + np.flatnonzero(is_new)
        self._known_channels[part.corner] = np.concatenate([before, new])

    @property
    def magnitudes(self) -> NDArray[np.uint8]:
        """Magnitudes of all symbols, after the last pass: uint8 (C, h, w)."""
        magnitudes = np.empty((self._control.channels, *self._shape), np.uint8)
        for number in range(PASSES):
            for part in parts(number, self._control.channels):
                rows, columns = part.sides(self._shape)
                around = self._around[part.corner, part.channels, 1 + self._width : -1 - self._width]
                plane = around.reshape(len(around), -1, self._width)
                magnitudes[part.at] = plane[:, :rows, :columns]
        return magnitudes

    def _base(self, part: Part) -> NDArray[np.float32]:
        """Bias and `base` of a part: float32 (C / 4, rows, columns)."""
        below = self._control.below // 2
        base = self._control.base_of(part)
        matrix = np.empty((len(self._inputs), base.shape[1]), np.float32)
        base.take(self._input_channels, axis=0, out=matrix[:-1])
        matrix[-1].reshape(below**2, -1)[:] = self._bias[part.channels]
        high, wide = self._inputs_shape
        spread = (matrix.T @ self._inputs).reshape(below, below, -1, high, wide)
        sums = np.empty((spread.shape[2], high, below, wide, below), np.float32)
        for down in range(below):
            # Columns first: whole rows are then copied at once, in a third of the time.
            strip = np.empty((len(sums), high, wide, below), np.float32)
            for right in range(below):
                strip[..., right] = spread[down, right]
            sums[:, :, down] = strip
        rows, columns = self._cells
        return sums.reshape(len(sums), high * below, -1)[:, :rows, :columns]

    def _near(self, part: Part) -> NDArray[np.int16]:
        """The contribution of neighbours of the same channel; 8 times 128 times 30 fits into 16 bits."""
        rows, columns = self._cells
        near = self._control.near[part.number - 1, part.channels].astype(np.int16)
        total = np.zeros((len(near), rows * self._width), np.int16)
        product = np.empty_like(total)
        for one in coded_neighbours(part.number, part.corner):
            start = 1 + (1 + one.rows) * self._width + one.columns
            seen = self._around[one.corner, part.channels, start : start + total.shape[1]]
            total += np.multiply(seen, near[:, one.down, one.right, None], out=product)
        return total.reshape(len(total), rows, self._width)[..., :columns]
