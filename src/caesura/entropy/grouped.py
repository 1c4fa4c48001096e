"""Symbols whose tables an index chooses, one by one: sorted by index, so that each table codes one run.

Index 0 says that a symbol is zero; nothing is coded for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from caesura.entropy import symbols as coded
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import Table


def push(
    pusher: Pusher, symbols: NDArray[np.int32], indices: NDArray[np.uint8], tables: Sequence[Table]
) -> None:
    """Push symbols, int32 (n,), each with the table of its index, uint8 (n,); zero where the index is 0."""
    for run, table in reversed(list(_runs(indices, tables))):
        coded.push(pusher, symbols[run], table)


def pop(popper: Popper, indices: NDArray[np.uint8], tables: Sequence[Table]) -> NDArray[np.int32]:
    """Pop a symbol per index: uint8 (n,) to int32 (n,).

    Raises:
        FormatError: the data is not what `push` wrote for these indices and tables.
    """
    symbols = np.zeros(len(indices), np.int32)
    for run, table in _runs(indices, tables):
        symbols[run] = coded.pop(popper, len(run), table)
    return symbols


def _runs(indices: NDArray[np.uint8], tables: Sequence[Table]) -> Iterator[tuple[NDArray[np.int64], Table]]:
    """For each index above 0 that occurs, rising: its places, in their order, and its table."""
    ends = np.cumsum(np.bincount(indices, minlength=len(tables)))
    order = np.argsort(indices, kind="stable")
    for index in range(1, len(tables)):
        if ends[index] > ends[index - 1]:
            yield order[ends[index - 1] : ends[index]], tables[index]
