"""Symbols that each have a table index: sorted by index, so that each table codes one run.

Index 0 means that the symbol is zero; it is not coded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from caesura.entropy import symbols as coded
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import Table

Symbols = NDArray[np.int32]
Indices = NDArray[np.uint8]


def push_passes(
    pusher: Pusher, coded: Sequence[Sequence[tuple[Symbols, Indices]]], tables: Sequence[Table]
) -> None:
    """Push passes, the last first: of each its parts, in order, as one sequence of symbols and indices."""
    for parts in reversed(coded):
        symbols, indices = (
            np.concatenate([a.reshape(-1) for a in arrays]) for arrays in zip(*parts, strict=True)
        )
        push(pusher, symbols, indices, tables)


def pop_pass(popper: Popper, parts: Sequence[Indices], tables: Sequence[Table]) -> list[Symbols]:
    """Pop one pass: the parts' indices to their symbols, shaped alike."""
    symbols = pop(popper, np.concatenate([part.reshape(-1) for part in parts]), tables)
    ends = np.cumsum([part.size for part in parts])
    return [
        found.reshape(part.shape) for found, part in zip(np.split(symbols, ends[:-1]), parts, strict=True)
    ]


def push(pusher: Pusher, symbols: Symbols, indices: Indices, tables: Sequence[Table]) -> None:
    """Push symbols, int32 (n,), each with the table of its index, uint8 (n,); zero where the index is 0."""
    for run, table in reversed(list(_runs(indices, tables))):
        coded.push(pusher, symbols[run], table)


def pop(popper: Popper, indices: Indices, tables: Sequence[Table]) -> Symbols:
    """Pop a symbol per index: uint8 (n,) to int32 (n,).

    Raises:
        FormatError: the data is not what `push` wrote for these indices and tables.
    """
    symbols = np.zeros(len(indices), np.int32)
    for run, table in _runs(indices, tables):
        symbols[run] = coded.pop(popper, len(run), table)
    return symbols


def _runs(indices: Indices, tables: Sequence[Table]) -> Iterator[tuple[NDArray[np.int64], Table]]:
    """For each index above 0 that occurs, rising: the offsets of its symbols, in order, and its table."""
    ends = np.cumsum(np.bincount(indices, minlength=len(tables)))
    order = np.argsort(indices, kind="stable")
    for index in range(1, len(tables)):
        if ends[index] > ends[index - 1]:
            yield order[ends[index - 1] : ends[index]], tables[index]
