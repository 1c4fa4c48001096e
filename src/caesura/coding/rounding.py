"""Rate-distortion optimised rounding: a value is rounded to the symbol of least rate + distortion.

With the quantization step as unit, an entropy-coded uniform quantizer at high rate balances D = step^2 / 12
against R = const - log2(step) at 6 / ln 2 bits per squared step. With that slope, zeros and small symbols win
wherever they cost little.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.control import Control
from caesura.entropy.tables import PRECISION, SYMBOL_MAX, SYMBOL_MIN, Table

SLOPE = 6 / np.log(2)  # bits per squared step
_REACH = 64  # beyond, neighbouring symbols cost about the same


def nearest(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Plain rounding, int32 within what symbols may be."""
    symbols: NDArray[np.int32] = np.rint(values).clip(SYMBOL_MIN, SYMBOL_MAX).astype(np.int32)
    return symbols


def optimised(
    values: NDArray[np.float32],
    indices: NDArray[np.uint8],
    control: Control,
    rate_weight: float | np.float32 | NDArray[np.float32],
) -> NDArray[np.int32]:
    """The nearest symbol or the one below it in magnitude, whichever costs less in rate and distortion.

    Args:
        values: in quantization steps, float32.
        indices: their table indices, shaped alike.
        control: has the tables.
        rate_weight: of the rate against the distortion, one or one for each value; 1 as in high-rate theory,
            0 for plain rounding.

    Returns:
        int32 symbols, shaped alike.
    """
    symbols = nearest(values)
    flat = symbols.reshape(-1)
    open_ = np.flatnonzero(flat != 0)  # few
    upper, index = flat.take(open_), indices.take(open_)
    inside = (np.abs(upper) <= _REACH) & (index > 0)
    if not inside.all():
        open_, upper, index = open_[inside], upper[inside], index[inside]
    value, lower = values.take(open_), upper - np.sign(upper)
    bits = _bits(control)
    saved = bits[index, upper + _REACH] - bits[index, lower + _REACH]
    lost = (value - lower) ** 2 - (value - upper) ** 2
    weight = np.broadcast_to(rate_weight, values.shape).take(open_) if np.ndim(rate_weight) else rate_weight
    flat[open_] = np.where(weight * saved > SLOPE * lost, lower, upper)
    return symbols


def cost(symbols: NDArray[np.int32], indices: NDArray[np.uint8], control: Control) -> float:
    """Bits of symbols with the tables of their indices; symbols beyond 64 count as 64."""
    return float(_bits(control)[indices, symbols.clip(-_REACH, _REACH) + _REACH].sum(dtype=np.float64))


@lru_cache(maxsize=8)
def _bits(control: Control) -> NDArray[np.float32]:
    """Bits of each symbol of -REACH .. REACH with each table: float32 (tables, 2 * REACH + 1)."""
    return np.stack([_table_bits(table) for table in control.tables])


def _table_bits(table: Table) -> NDArray[np.float32]:
    bits = PRECISION - np.log2(table.frequencies)
    offset = np.arange(-_REACH, _REACH + 1) - table.low
    outside = (offset < 0) | (offset >= table.escape)
    distance = np.where(offset < 0, -offset, offset - table.escape + 1)
    escaped = bits[table.escape] + 6 + 2 * np.log2(np.maximum(distance, 1))
    return np.where(outside, escaped, bits[np.clip(offset, 0, table.escape)]).astype(np.float32)
