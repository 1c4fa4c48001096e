"""Symbols whose tables an index chooses: they come back, escapes included, and index 0 costs nothing."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from caesura.entropy import grouped
from caesura.entropy import symbols as coded
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.control import INDICES
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, TOTAL, Table
from caesura.errors import FormatError
from entropy_helpers import TABLES

Symbols = NDArray[np.int32]


any_symbol = st.integers(SYMBOL_MIN, SYMBOL_MAX)
most_symbols = st.one_of(st.integers(-3, 3), st.integers(-80, 80), any_symbol)
index_arrays = st.one_of(
    hnp.arrays(np.uint8, st.integers(0, 60), elements=st.integers(0, INDICES - 1)),
    hnp.arrays(np.uint8, st.integers(0, 60), elements=st.sampled_from([0, 0, 1, 5])),
)


def pop(popper: Popper, indices: NDArray[np.uint8]) -> Symbols:
    """All symbols, those that are zero as well."""
    offsets, nonzero = grouped.pop(popper, indices, TABLES)
    assert nonzero.dtype == np.int32
    assert nonzero.all()
    assert len(np.unique(offsets)) == len(offsets)
    symbols = np.zeros(len(indices), np.int32)
    symbols[offsets] = nonzero
    return symbols


@st.composite
def grouped_cases(draw: st.DrawFn) -> tuple[Symbols, NDArray[np.uint8]]:
    """Symbols, escapes among them, and their indices; zero where the index is 0."""
    indices = draw(index_arrays)
    symbols = draw(hnp.arrays(np.int32, len(indices), elements=most_symbols))
    symbols[indices == 0] = 0
    return symbols, indices


@pytest.mark.slow
@given(st.lists(grouped_cases(), max_size=4))
@settings(max_examples=200)
def test_symbols_come_back_by_their_indices(pushed: list[tuple[Symbols, NDArray[np.uint8]]]) -> None:
    pusher = Pusher()
    for symbols, indices in reversed(pushed):
        grouped.push(pusher, symbols, indices, TABLES)
    popper = Popper(pusher.bytes())
    for symbols, indices in pushed:
        np.testing.assert_array_equal(pop(popper, indices), symbols)
    popper.finish()


@given(st.lists(grouped_cases(), min_size=1, max_size=4))
@settings(max_examples=20)
def test_parts_of_a_pass_come_back_as_one_sequence(parts: list[tuple[Symbols, NDArray[np.uint8]]]) -> None:
    pusher, joined = Pusher(), Pusher()
    grouped.push_passes(pusher, [parts], TABLES)
    grouped.push(joined, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)), TABLES)
    assert pusher.bytes() == joined.bytes()
    popper = Popper(pusher.bytes())
    popped = grouped.pop_pass(popper, [indices for _, indices in parts], TABLES)
    popper.finish()
    for (symbols, _), (offsets, nonzero) in zip(parts, popped, strict=True):
        assert nonzero.all()
        np.testing.assert_array_equal(np.sort(offsets), np.flatnonzero(symbols))
        np.testing.assert_array_equal(symbols[offsets], nonzero)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_index_zero_codes_nothing(count: int) -> None:
    indices, pusher = np.zeros(count, np.uint8), Pusher()
    grouped.push(pusher, np.zeros(count, np.int32), indices, TABLES)
    assert pusher.bytes() == b""
    popper = Popper(b"")
    assert not pop(popper, indices).any()
    popper.finish()


@pytest.mark.slow
@given(grouped_cases(), st.integers(0, 60))
def test_symbols_at_index_zero_change_no_byte(case: tuple[Symbols, NDArray[np.uint8]], place: int) -> None:
    symbols, indices = case
    place = min(place, len(indices))
    longer = np.insert(symbols, place, 0), np.insert(indices, place, 0)
    sizes = []
    for values, chosen in (case, longer):
        pusher = Pusher()
        grouped.push(pusher, values, chosen, TABLES)
        sizes.append(pusher.bytes())
    assert sizes[0] == sizes[1]


def test_symbols_of_one_index_keep_their_order() -> None:
    symbols, indices = np.array([3, -3, 2, 1, -1, 0], np.int32), np.array([9, 4, 9, 4, 4, 9], np.uint8)
    pusher, by_hand = Pusher(), Pusher()
    grouped.push(pusher, symbols, indices, TABLES)
    coded.push(by_hand, np.array([3, 2, 0], np.int32), TABLES[9])  # the last table first: it is a stack
    coded.push(by_hand, np.array([-3, 1, -1], np.int32), TABLES[4])
    assert pusher.bytes() == by_hand.bytes()


def test_every_symbol_is_coded_at_every_index() -> None:
    symbols = np.array([SYMBOL_MIN, SYMBOL_MAX, -64, -1, 0, 1, 64], np.int32)
    indices = np.repeat(np.arange(1, INDICES, dtype=np.uint8), len(symbols))
    pusher = Pusher()
    grouped.push(pusher, np.tile(symbols, INDICES - 1), indices, TABLES)
    popped = pop(Popper(pusher.bytes()), indices)
    np.testing.assert_array_equal(popped, np.tile(symbols, INDICES - 1))


@pytest.mark.slow
@given(st.binary(max_size=60), index_arrays)
@example(b"\xff" * 40, np.full(60, 1, np.uint8))
def test_garbage_is_refused_or_gives_symbols_in_range(data: bytes, indices: NDArray[np.uint8]) -> None:
    with contextlib.suppress(FormatError):
        symbols = pop(Popper(data), indices)
        assert symbols.shape == indices.shape
        assert not symbols[indices == 0].any()
        assert symbols.min(initial=0) >= SYMBOL_MIN
        assert symbols.max(initial=0) <= SYMBOL_MAX


@pytest.mark.slow
@given(hnp.arrays(np.int32, st.integers(0, 60), elements=most_symbols), st.sampled_from(TABLES))
def test_symbols_that_share_a_table_come_back(symbols: Symbols, table: Table) -> None:
    pusher = Pusher()
    coded.push(pusher, symbols, table)
    popper = Popper(pusher.bytes())
    popped = coded.pop(popper, len(symbols), table)
    assert popped.dtype == np.int32
    np.testing.assert_array_equal(popped, symbols)
    popper.finish()


@pytest.mark.parametrize("low", [SYMBOL_MIN, -1, 0, SYMBOL_MAX])
def test_the_whole_range_of_symbols_comes_back_through_escapes(low: int) -> None:
    table = Table(low, np.array([1, TOTAL - 1]))
    symbols = np.arange(SYMBOL_MIN, SYMBOL_MAX + 1, dtype=np.int32)
    pusher = Pusher()
    coded.push(pusher, symbols, table)
    np.testing.assert_array_equal(coded.pop(Popper(pusher.bytes()), len(symbols), table), symbols)
