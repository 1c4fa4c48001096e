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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.passes import PASSES, Part, parts, pass_of
from caesura.entropy.tables import Table
from caesura.errors import ModelError

FRACTION = 5
INDICES = 64
_EXACT = 1 << 24
_LARGEST_MAGNITUDE = 30


def _magnitudes() -> NDArray[np.uint8]:
    """round(2 log2(1 + a)) for a in 0 .. 2**15, in integers: half the bit length of (1 + a)**4."""
    return np.array([((1 + a) ** 4).bit_length() // 2 for a in range((1 << 15) + 1)], np.uint8)


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

    def largest_sum(self) -> int:
        """A bound of every partial sum's absolute value, for any inputs and symbols, in any order."""
        bias = np.abs(self.bias.astype(np.int64)).max(0)
        base = self.limit * np.abs(self.base.astype(np.int64)).sum(0).max((1, 2))
        near = np.abs(self.near.astype(np.int64)).sum((2, 3))
        far = np.abs(self.far.astype(np.int64)).sum(2)
        return int((bias + base + _LARGEST_MAGNITUDE * (near + far).max(0)).max()) + (1 << FRACTION)


class Indices:
    """The indices of one plane, pass after pass; encoder and decoder go through the same calls.

    for number in range(PASSES): for part in parts(number, C): index(number, part), then update(part, symbols)
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
        self._control = control
        (rows, columns), below, channels = shape, control.below, control.channels
        depth, high, wide = inputs.shape
        flat = np.clip(inputs, -control.limit, control.limit).reshape(depth, -1).astype(np.float32)
        self._sums = np.empty((channels, rows, columns), np.float32)
        bias = control.bias[row].astype(np.float32)[:, None, None]
        for down in range(below):
            for right in range(below):
                here = self._sums[:, down::below, right::below]
                weights = control.base[:, :, down, right].T.astype(np.float32)
                spread = (weights @ flat).reshape(channels, high, wide)
                here[:] = spread[:, : here.shape[1], : here.shape[2]] + bias
        self._magnitudes = np.zeros((channels, rows + 2, columns + 2), np.float32)

    def index(self, number: int, part: Part) -> NDArray[np.uint8]:
        """Indices of one part of pass `number`: uint8, shaped like the part."""
        sums = self._sums[part.at]
        if number and sums.size:
            sums = sums + self._near(number, part, sums.shape)
            self._far(number, part, sums)
        indices = np.floor((sums + (1 << FRACTION >> 1)) * (1 / (1 << FRACTION)))
        clipped: NDArray[np.uint8] = indices.clip(self._control.lowest, INDICES - 1).astype(np.uint8)
        return clipped

    def update(self, part: Part, symbols: NDArray[np.int32]) -> None:
        """Add the symbols of a part, int32, shaped like it."""
        channels, rows, columns = part.at
        inner = self._magnitudes[channels, 1:-1, 1:-1]
        inner[:, rows, columns] = magnitude(symbols)

    @property
    def magnitudes(self) -> NDArray[np.uint8]:
        """Magnitudes of all symbols so far, zero elsewhere: uint8 (C, h, w)."""
        return self._magnitudes[:, 1:-1, 1:-1].astype(np.uint8)

    def _near(self, number: int, part: Part, shape: tuple[int, ...]) -> NDArray[np.float32]:
        weights = self._control.near[number - 1, part.channels].astype(np.float32)
        _, high, wide = shape
        total = np.zeros(shape, np.float32)
        for down in range(3):
            for right in range(3):
                if pass_of(part.group, part.row + down - 1, part.column + right - 1) >= number:
                    continue  # not known yet
                top, left = part.row + down, part.column + right
                seen = self._magnitudes[part.channels, top : top + 2 * high : 2, left : left + 2 * wide : 2]
                total += weights[:, down, right, None, None] * seen[:, :high, :wide]
        return total

    def _far(self, number: int, part: Part, sums: NDArray[np.float32]) -> None:
        """Add the contribution of groups of earlier passes at the same positions."""
        weights = self._control.far[number - 1, part.channels].astype(np.float32)
        for earlier in range(number):
            known = next(p for p in parts(earlier, self._control.channels) if p.corner == part.corner)
            channels, rows, columns = known.at
            seen = self._magnitudes[channels, 1:-1, 1:-1][:, rows, columns]
            flat = weights[:, channels] @ seen.reshape(len(seen), -1)
            sums += flat.reshape(sums.shape)
