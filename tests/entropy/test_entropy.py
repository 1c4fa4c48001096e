"""Tables and coder: symbols come back exactly, and the bytes are those of a plain integer rANS coder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from caesura.entropy import factorized
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, TOTAL, Table, TableGrid, quantize_probabilities
from caesura.errors import FormatError, ModelError

Symbols = NDArray[np.int32]
Case = tuple[Symbols, list[Table]]

# Bytes that a stream may be above the ideal: its first symbol takes 24 bits, its last word need not be full.
CONSTANT = 3 + 4
ONLY_ESCAPES = Table(0, np.array([1, TOTAL - 1]))
NO_ESCAPES = Table(-1, np.array([TOTAL // 4, TOTAL // 2, TOTAL // 4 - 1, 1]))


@st.composite
def frequency_lists(draw: st.DrawFn) -> NDArray[np.int64]:
    """Of 2 to 40 entries: spread out, or nearly all on one entry."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))  # forty draws of their own take long
    weights = random.integers(0, draw(st.sampled_from([2, 10, 1000])), draw(st.integers(2, 40)))
    weights[random.integers(len(weights))] += draw(st.sampled_from([1, 1, 10**9]))
    return quantize_probabilities(weights.astype(np.float64))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    frequencies = draw(frequency_lists())
    highest = SYMBOL_MAX - len(frequencies) + 2
    low = draw(st.one_of(st.integers(-20, 5), st.integers(SYMBOL_MIN, highest)))
    return Table(low, frequencies)


@st.composite
def cases(draw: st.DrawFn, *, escapes: bool = True) -> Case:
    """Symbols int32 (channels, h, w), near and in the tables or anywhere in int16, and a table a channel."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    chosen, planes = [], []
    for _ in range(shape[0]):
        table = draw(tables())
        covered = st.integers(table.low, table.low + table.escape - 1)
        near = st.integers(max(table.low - 3, SYMBOL_MIN), min(table.low + table.escape + 3, SYMBOL_MAX))
        symbol = st.one_of(covered, near, st.integers(SYMBOL_MIN, SYMBOL_MAX)) if escapes else covered
        chosen.append(table)
        planes.append(draw(hnp.arrays(np.int32, shape[1:], elements=symbol)))
    return np.stack(planes), chosen


def encode(symbols: Symbols, chosen: list[Table]) -> bytes:
    """A stream of nothing but one plane of symbols."""
    pusher = Pusher()
    factorized.push(pusher, symbols, chosen)
    return pusher.bytes()


def decode(data: bytes, shape: tuple[int, int, int], chosen: list[Table]) -> NDArray[np.int16]:
    """The mirror of `encode`."""
    popper = Popper(data)
    symbols = factorized.pop(popper, shape, chosen)
    popper.finish()
    return symbols


class PlainRans:
    """A rANS decoder in integers only; shares no code with ours.

    64-bit state, 32-bit words, 24-bit frequencies; the last words are the top of the state.
    """

    def __init__(self, data: bytes) -> None:
        self.words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
        self.state = 0
        for _ in range(2):
            self._refill()

    def pop(self, frequencies: Sequence[int]) -> int:
        slot = self.state & 0xFFFFFF
        index = cumulative = 0
        while cumulative + frequencies[index] <= slot:
            cumulative += frequencies[index]
            index += 1
        self.state = frequencies[index] * (self.state >> 24) + slot - cumulative
        if self.state < 1 << 32:
            self._refill()
        return index

    def pop_bits(self, count: int) -> int:
        """A number of `count` bits, all equally likely."""
        size = (1 << 24) >> count
        value, rest = divmod(self.state & 0xFFFFFF, size)
        self.state = size * (self.state >> 24) + rest
        if self.state < 1 << 32:
            self._refill()
        return value

    def _refill(self) -> None:
        if self.words:
            self.state = self.state << 32 | self.words.pop()


def decode_plainly(data: bytes, shape: tuple[int, ...], chosen: list[Table]) -> list[list[int]] | None:
    """What `decode` should give, channel by channel; None where it should refuse."""
    if len(data) % 4 or (data and not any(data[-4:])):
        return None
    coder = PlainRans(data)
    channels = []
    for table in chosen:
        frequencies = table.frequencies.tolist()
        escape = len(frequencies) - 1
        indices = [coder.pop(frequencies) for _ in range(shape[1] * shape[2])]
        lengths = [coder.pop_bits(5) for index in indices if index == escape]
        if max(lengths, default=0) > 17:
            return None
        codes = iter([1 << n | (coder.pop_bits(n) if n else 0) for n in lengths])
        channels.append([table.low + i if i != escape else _escaped(next(codes), table) for i in indices])
    in_range = all(SYMBOL_MIN <= symbol <= SYMBOL_MAX for channel in channels for symbol in channel)
    return channels if in_range and not coder.words and coder.state == 0 else None


def _escaped(code: int, table: Table) -> int:
    distance, below = divmod(code - 1, 2)
    return table.low - 1 - distance if below else table.low + len(table.frequencies) - 1 + distance


def ideal_size(symbols: Symbols, chosen: list[Table]) -> float:
    """Bytes that symbols without escapes need, by the tables' own probabilities."""
    bits = 0.0
    for plane, table in zip(symbols, chosen, strict=True):
        bits -= np.log2(table.frequencies[plane.reshape(-1) - table.low] / TOTAL).sum()
    return bits / 8


def assert_round_trip(symbols: Symbols, chosen: list[Table]) -> bytes:
    data = encode(symbols, chosen)
    decoded = decode(data, symbols.shape, chosen)
    assert decoded.dtype == np.int16
    np.testing.assert_array_equal(decoded, symbols)
    return data


# ---- factorized prior


@pytest.mark.slow
@given(cases())
def test_symbols_come_back_exactly(case: Case) -> None:
    assert_round_trip(*case)


@pytest.mark.slow
@given(cases())
@settings(max_examples=200)
def test_a_plain_integer_decoder_reads_the_same_symbols(case: Case) -> None:
    symbols, chosen = case
    data = encode(symbols, chosen)
    assert decode_plainly(data, symbols.shape, chosen) == symbols.reshape(len(symbols), -1).tolist()


@pytest.mark.slow
@given(cases(escapes=False))
def test_the_size_is_what_the_tables_say(case: Case) -> None:
    symbols, chosen = case
    rounding = symbols.size / 2048  # 2**-8 bits a symbol at the very worst
    assert len(encode(symbols, chosen)) <= ideal_size(symbols, chosen) + CONSTANT + rounding


def test_many_symbols_cost_what_the_tables_say() -> None:
    random = np.random.default_rng(0)
    table = Table(-8, quantize_probabilities(np.append(0.7 ** np.abs(np.arange(-8, 9)), 1e-6)))
    chances = table.frequencies[:-1] / table.frequencies[:-1].sum()
    symbols = random.choice(np.arange(-8, 9, dtype=np.int32), size=(2, 100, 100), p=chances)
    ideal = ideal_size(symbols, [table, table])
    assert abs(len(assert_round_trip(symbols, [table, table])) - ideal) <= CONSTANT + ideal / 10_000


def test_the_whole_range_of_symbols_is_coded_through_escapes() -> None:
    symbols = np.arange(SYMBOL_MIN, SYMBOL_MAX + 1, dtype=np.int32).reshape(1, 256, 256)
    for table in (ONLY_ESCAPES, NO_ESCAPES, Table(SYMBOL_MIN, ONLY_ESCAPES.frequencies)):
        assert_round_trip(symbols, [table])


@pytest.mark.parametrize("symbol", [SYMBOL_MIN, -2, -1, 0, 1, 2, SYMBOL_MAX])
@pytest.mark.parametrize("first", [1, 2, TOTAL // 2, TOTAL - 1])
def test_a_table_of_two_entries_codes_everything(first: int, symbol: int) -> None:
    table = Table(0, np.array([first, TOTAL - first]))
    for count in (1, 5):
        assert_round_trip(np.full((1, 1, count), symbol, np.int32), [table])


@pytest.mark.parametrize("low", [SYMBOL_MIN, 0, SYMBOL_MAX])
def test_a_table_at_either_end_of_the_range_codes_both_ends(low: int) -> None:
    symbols = np.array([[[SYMBOL_MIN, SYMBOL_MAX, 0, low]]], np.int32)
    assert_round_trip(symbols, [Table(low, ONLY_ESCAPES.frequencies)])


def test_the_longest_table_of_the_rarest_symbols_codes_them_all() -> None:
    frequencies = np.ones((1 << 16) + 1, np.int64)  # every symbol, and the escape
    frequencies[1234] += TOTAL - frequencies.sum()
    symbols = np.arange(SYMBOL_MIN, SYMBOL_MAX + 1, dtype=np.int32).reshape(1, 256, 256)
    assert_round_trip(symbols, [Table(SYMBOL_MIN, frequencies)])


def test_an_expected_symbol_costs_next_to_nothing() -> None:
    symbols = np.zeros((1, 100, 100), np.int32)
    assert len(assert_round_trip(symbols, [Table(0, np.array([TOTAL - 1, 1]))])) <= 8


def test_the_bytes_of_known_symbols_never_change() -> None:
    symbols = np.array([[[-1, 0, 1], [2, -2, 900]], [[0, 7, -1], [-40, 0, 32767]]], np.int32)
    data = assert_round_trip(symbols, [NO_ESCAPES, ONLY_ESCAPES])
    assert data.hex() == "01374600ba7ebd3d00400141ffffffa1ffffff00a3f20326951f0000"


def test_a_table_for_every_channel_is_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        encode(np.zeros((2, 1, 1), np.int32), [NO_ESCAPES])


# ---- bytes that no encoder wrote


def assert_decoders_agree(data: bytes, shape: tuple[int, int, int], chosen: list[Table]) -> None:
    expected = decode_plainly(data, shape, chosen)
    if expected is None:
        with pytest.raises(FormatError, match="coded symbols: "):
            decode(data, shape, chosen)
    else:
        symbols = decode(data, shape, chosen)
        assert symbols.reshape(shape[0], -1).tolist() == expected


@pytest.mark.slow
@given(st.binary(max_size=60), cases())
@example(b"", (np.zeros((1, 6, 6), np.int32), [ONLY_ESCAPES]))
def test_garbage_is_refused_or_decoded_as_the_format_says(data: bytes, case: Case) -> None:
    symbols, chosen = case
    assert_decoders_agree(data, symbols.shape, chosen)
    assert_decoders_agree(data[: len(data) // 4 * 4] + b"\xff\xff\xff\xff", symbols.shape, chosen)


@pytest.mark.slow
@given(cases(), st.data())
def test_damage_is_refused_or_decoded_as_the_format_says(case: Case, data: st.DataObject) -> None:
    symbols, chosen = case
    coded = bytearray(encode(symbols, chosen))
    for _ in range(data.draw(st.integers(1, 3)) if coded else 0):
        coded[data.draw(st.integers(0, len(coded) - 1))] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(coded)))
    assert_decoders_agree(bytes(coded), symbols.shape, chosen)
    assert_decoders_agree(bytes(coded[:end]), symbols.shape, chosen)


def test_parts_of_words_are_refused() -> None:
    with pytest.raises(FormatError, match="coded symbols: 5 bytes; a whole number of 4-byte words"):
        decode(b"12345", (1, 1, 1), [NO_ESCAPES])


def test_a_last_word_of_zero_is_refused() -> None:
    with pytest.raises(FormatError, match="coded symbols: the last word is zero"):
        decode(b"1234\0\0\0\0", (1, 1, 1), [NO_ESCAPES])


def test_words_left_over_are_refused() -> None:
    data = encode(np.zeros((1, 3, 3), np.int32), [NO_ESCAPES])
    with pytest.raises(FormatError, match="left over after the last symbol"):
        decode(b"word" + data, (1, 3, 3), [NO_ESCAPES])
    with pytest.raises(FormatError, match="left over after the last symbol"):
        decode(data, (1, 1, 1), [NO_ESCAPES])


def escape_of(length: int, bits: int) -> bytes:
    """One escape of ONLY_ESCAPES with a distance that the encoder may or may not write."""
    pusher = Pusher()
    pusher.uniform(np.array([bits], np.int32), np.array([1 << length], np.int32))
    pusher.uniform(np.array([length], np.int32), np.array([32], np.int32))
    pusher.indices(np.array([ONLY_ESCAPES.escape], np.int32), ONLY_ESCAPES)
    return pusher.bytes()


def test_an_escape_that_is_too_long_is_refused() -> None:
    with pytest.raises(FormatError, match="an escape of 18 bits; at most 17 are allowed"):
        decode(escape_of(18, 0), (1, 1, 1), [ONLY_ESCAPES])


def test_an_escape_to_beyond_the_range_of_symbols_is_refused() -> None:
    lowest, highest = escape_of(16, 0), escape_of(15, 2**15 - 3)
    assert decode(lowest, (1, 1, 1), [ONLY_ESCAPES]) == SYMBOL_MIN
    assert decode(highest, (1, 1, 1), [ONLY_ESCAPES]) == SYMBOL_MAX
    for beyond in (escape_of(15, 2**15 - 1), escape_of(16, 2), escape_of(17, 0), escape_of(17, 2**17 - 1)):
        with pytest.raises(FormatError, match=r"an escaped symbol is outside -32768\.\.32767"):
            decode(beyond, (1, 1, 1), [ONLY_ESCAPES])


# ---- coder


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 24)), max_size=8), st.data())
def test_the_coder_pops_in_the_reverse_order_of_pushing(
    pushes: list[tuple[int, int]], data: st.DataObject
) -> None:
    pusher, pushed = Pusher(), []
    for count, bits in pushes:
        sizes = np.full(count, min(1 << bits, TOTAL - 1), np.int32)
        values = data.draw(hnp.arrays(np.int32, count, elements=st.integers(0, int(sizes[0]) - 1)))
        pusher.uniform(values, sizes)
        pushed.append((values, sizes))
    popper = Popper(pusher.bytes())
    for values, sizes in reversed(pushed):
        np.testing.assert_array_equal(popper.uniform(sizes), values)
    popper.finish()


@pytest.mark.slow
@given(st.lists(cases(), min_size=2, max_size=3))
def test_planes_pushed_one_on_another_come_back_last_first(planes: list[Case]) -> None:
    pusher = Pusher()
    for symbols, chosen in planes:
        factorized.push(pusher, symbols, chosen)
    popper = Popper(pusher.bytes())
    for symbols, chosen in reversed(planes):
        np.testing.assert_array_equal(factorized.pop(popper, symbols.shape, chosen), symbols)
    popper.finish()


def test_a_coder_that_got_nothing_gives_no_bytes() -> None:
    assert Pusher().bytes() == b""
    Popper(b"").finish()


# ---- tables

probabilities = hnp.arrays(
    np.float64, st.integers(1, 300), elements=st.one_of(st.floats(0, 1), st.floats(0, 1e-9), st.just(0.0))
).filter(lambda p: p.sum() > 0)


@pytest.mark.slow
@given(probabilities)
def test_frequencies_are_positive_and_sum_to_the_total(chances: NDArray[np.float64]) -> None:
    frequencies = quantize_probabilities(chances)
    assert frequencies.dtype == np.int64
    assert frequencies.shape == chances.shape
    assert frequencies.min() >= 1
    assert frequencies.sum() == TOTAL


@pytest.mark.slow
@given(probabilities)
def test_frequencies_follow_the_probabilities(chances: NDArray[np.float64]) -> None:
    frequencies = quantize_probabilities(chances)
    exact = chances / chances.sum() * TOTAL
    assert np.abs(frequencies - exact).max() <= len(chances) + 1


@pytest.mark.slow
@given(probabilities, st.integers(-20, 20))
def test_frequencies_do_not_depend_on_a_common_factor(chances: NDArray[np.float64], power: int) -> None:
    scaled = chances * math.ldexp(1.0, power)  # exact, unless it falls below the least float
    if (np.ldexp(scaled, -power) == chances).all():
        np.testing.assert_array_equal(quantize_probabilities(scaled), quantize_probabilities(chances))


def test_the_longest_table_can_be_made() -> None:
    frequencies = quantize_probabilities(np.random.default_rng(0).random(1 << 16))
    assert frequencies.min() >= 1
    assert frequencies.sum() == TOTAL


def grid_of(rows: list[list[Table]]) -> TableGrid:
    return TableGrid(
        low=np.array([[t.low for t in row] for row in rows], np.int32),
        length=np.array([[len(t.frequencies) for t in row] for row in rows], np.int32),
        frequencies=np.concatenate([t.frequencies for row in rows for t in row]).astype(np.uint32),
    )


@pytest.mark.slow
@given(st.integers(1, 3), st.integers(1, 4), st.data())
def test_a_grid_gives_back_its_tables(rows: int, channels: int, data: st.DataObject) -> None:
    made = [[data.draw(tables()) for _ in range(channels)] for _ in range(rows)]
    grid = grid_of(made)
    assert (grid.rows, grid.channels) == (rows, channels)
    for row, expected in enumerate(made):
        for table, want in zip(grid.row(row), expected, strict=True):
            assert table.low == want.low
            np.testing.assert_array_equal(table.frequencies, want.frequencies)


GOOD = grid_of([[ONLY_ESCAPES, NO_ESCAPES], [NO_ESCAPES, ONLY_ESCAPES]])
BROKEN_GRIDS: list[tuple[str, NDArray[Any], str]] = [
    ("low", np.zeros(4, np.int32), "shapes .* do not fit"),
    ("low", np.zeros((2, 3), np.int32), "shapes .* do not fit"),
    ("length", np.zeros((1, 4), np.int32), "shapes .* do not fit"),
    ("frequencies", GOOD.frequencies.reshape(2, -1), "shapes .* do not fit"),
    ("length", np.array([[1, 5], [4, 2]], np.int32), r"a length is outside 2\.\.65537"),
    ("length", np.array([[-2, 5], [4, 2]], np.int32), r"a length is outside 2\.\.65537"),
    ("length", np.array([[2, 65538], [4, 2]], np.int32), r"a length is outside 2\.\.65537"),
    ("low", np.array([[SYMBOL_MIN - 1, 0], [0, 0]], np.int32), "a symbol is outside -32768..32767"),
    ("low", np.array([[0, SYMBOL_MAX - 1], [0, 0]], np.int32), "a symbol is outside -32768..32767"),
    ("low", np.array([[0, 2**31 - 1], [0, 0]], np.int32), "a symbol is outside -32768..32767"),
    ("length", np.array([[2, 4], [4, 3]], np.int32), "12 frequencies, 13 expected"),
    ("frequencies", GOOD.frequencies[:-1], "11 frequencies, 12 expected"),
    ("frequencies", np.zeros(12, np.uint32), "must be 1 or more and sum to 16777216"),
    ("frequencies", np.ones(12, np.uint32), "must be 1 or more and sum to 16777216"),
    ("length", np.array([[4, 2], [4, 2]], np.int32), "must be 1 or more and sum to 16777216"),
    (
        "frequencies",
        np.concatenate([np.array([0, TOTAL], np.uint32), GOOD.frequencies[2:]]),
        "must be 1 or more and sum to 16777216",
    ),
]


@pytest.mark.parametrize(("field", "value", "message"), BROKEN_GRIDS)
def test_a_grid_that_does_not_add_up_is_refused(field: str, value: NDArray[Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"tables: .*{message}"):
        dataclasses.replace(GOOD, **{field: value})


def test_tables_may_reach_both_ends_of_the_range() -> None:
    ends = [[Table(SYMBOL_MIN, NO_ESCAPES.frequencies), Table(SYMBOL_MAX - 2, NO_ESCAPES.frequencies)]]
    assert [table.low for table in grid_of(ends).row(0)] == [SYMBOL_MIN, SYMBOL_MAX - 2]


def test_a_grid_without_tables_is_refused() -> None:
    nothing = np.zeros((0, 3), np.int32)
    with pytest.raises(ModelError, match="do not fit"):
        TableGrid(nothing, nothing, np.zeros(0, np.uint32))
