"""The symbols in a file: by way of the public stages for cae2017, as they are popped for cae2026."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from caesura import codec
from caesura.entropy import factorized, grouped
from caesura.entropy.coder import Popper
from caesura.format import container
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.picture.pixels import padded_side
from container_helpers import layers


def symbols_of(data: bytes, bundle: Bundle) -> NDArray[np.int16]:
    """The symbols in a file of `cae2017`, int16 (channels, rows, columns)."""
    assert bundle.architecture == "cae2017"
    header, payload = container.read(data)
    tables = bundle.tables.row(ladder.table_row(header.ladder_position, bundle.tables.rows))
    sides = (header.height, header.width)
    rows, columns = (padded_side(s, bundle.stride, bundle.smallest_side) // bundle.stride for s in sides)
    popper = Popper(layers(payload).latents)
    symbols = factorized.pop(popper, (bundle.channels, rows, columns), tables)
    popper.finish()
    return symbols


class Stream(NamedTuple):
    """What went through the entropy coder, in the decoder's order.

    Attributes:
        indices: a table index per symbol, pass by pass; none for the hyperlatent.
        symbols: the hyperlatent, then pass by pass those of the latents, then of the detail layer.
    """

    indices: list[NDArray[np.uint8]]
    symbols: list[NDArray[Any]]


def decoded(data: bytes) -> tuple[NDArray[np.uint8], Stream]:
    """Pixels, and what was popped."""
    popped = Stream([], [])

    def pop_grouped(popper: Any, indices: Any, tables: Any) -> Any:
        offsets, nonzero = original[0](popper, indices, tables)
        symbols = np.zeros(len(indices), np.int32)
        symbols[offsets] = nonzero
        popped.indices.append(indices.copy())
        popped.symbols.append(symbols)
        return offsets, nonzero

    def pop_factorized(popper: Any, shape: Any, tables: Any) -> Any:
        symbols = original[1](popper, shape, tables)
        popped.symbols.append(symbols.copy())
        return symbols

    original = grouped.pop, factorized.pop
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "pop", pop_grouped)
        patch.setattr(factorized, "pop", pop_factorized)
        pixels = codec.decode_array(data)
    return pixels, popped
