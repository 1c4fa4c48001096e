"""Integer probability tables.

A table covers the symbols low..high; its last entry is the escape, for every symbol outside. Frequencies are
integers of at least 1 that sum to 2**24, so a table means the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from caesura.errors import ModelError

PRECISION = 24
TOTAL = 1 << PRECISION
SYMBOL_MIN, SYMBOL_MAX = -(1 << 15), (1 << 15) - 1
_LONGEST = SYMBOL_MAX - SYMBOL_MIN + 2  # every symbol, and the escape


@dataclass(frozen=True, eq=False)
class Table:
    """One frozen table, equal to itself alone, so that the coder can keep what it makes of it.

    Attributes:
        low: the first symbol covered.
        frequencies: int64 (n + 1,), n covered symbols and then the escape; sums to 2**24.
    """

    low: int
    frequencies: NDArray[np.int64]

    @cached_property
    def escape(self) -> int:
        """Index of the escape: symbols covered are low .. low + escape - 1."""
        return len(self.frequencies) - 1


@dataclass(frozen=True, eq=False)
class TableGrid:
    """Tables of a bundle: one row per step of the rate ladder, one column per latent channel.

    Attributes:
        low, length: int32 (rows, channels), each table's first symbol and number of frequencies.
        frequencies: uint32 (sum of lengths,), all tables one after another, row by row.
    """

    low: NDArray[np.int32]
    length: NDArray[np.int32]
    frequencies: NDArray[np.uint32]

    def __post_init__(self) -> None:
        shape = self.low.shape
        if len(shape) != 2 or 0 in shape or self.length.shape != shape or self.frequencies.ndim != 1:
            raise ModelError(
                f"tables: shapes {shape}, {self.length.shape}, {self.frequencies.shape} do not fit"
            )
        dtypes = ", ".join(str(array.dtype) for array in (self.low, self.length, self.frequencies))
        if dtypes != "int32, int32, uint32":
            raise ModelError(f"tables: dtypes are {dtypes}; int32, int32, uint32 expected")
        if self.length.min() < 2 or self.length.max() > _LONGEST:
            raise ModelError(f"tables: a length is outside 2..{_LONGEST}")
        if self.low.min() < SYMBOL_MIN or (self.low.astype(np.int64) + self.length - 2).max() > SYMBOL_MAX:
            raise ModelError(f"tables: a symbol is outside {SYMBOL_MIN}..{SYMBOL_MAX}")
        if int(self.length.sum(dtype=np.int64)) != len(self.frequencies):
            raise ModelError(f"tables: {len(self.frequencies)} frequencies, {self.length.sum()} expected")
        sums = np.add.reduceat(self.frequencies.astype(np.int64), self._starts())
        if self.frequencies.min() < 1 or (sums != TOTAL).any():
            raise ModelError(f"tables: frequencies must be 1 or more and sum to {TOTAL}")

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.low.shape[0])

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return int(self.low.shape[1])

    @lru_cache(maxsize=8)  # noqa: B019 - grids live as long as their bundles
    def row(self, row: int) -> list[Table]:
        """The tables of one row, a channel each."""
        starts = self._starts().reshape(self.low.shape)[row]
        return [
            Table(int(low), self.frequencies[start : start + length].astype(np.int64))
            for low, start, length in zip(self.low[row], starts, self.length[row], strict=True)
        ]

    def _starts(self) -> NDArray[np.int64]:
        ends = np.cumsum(self.length.reshape(-1), dtype=np.int64)
        return ends - self.length.reshape(-1)


def quantize_probabilities(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Turn probabilities into table frequencies.

    Args:
        probabilities: float64 (n,), finite, 0 or more, not all zero, n at most 2**16.

    Returns:
        int64 (n,), each at least 1, summing to 2**24; the largest entry takes what rounding leaves over.
    """
    free = TOTAL - len(probabilities)
    frequencies: NDArray[np.int64] = 1 + np.floor(probabilities / probabilities.sum() * free).astype(np.int64)
    frequencies[np.argmax(frequencies)] += TOTAL - frequencies.sum()
    return frequencies
