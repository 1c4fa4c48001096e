"""Exact entropy control: table indices are those of plain integers, and symbols come back by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caesura.entropy.control import INDICES, Control, Indices, magnitude
from caesura.entropy.passes import PASSES, parts, pass_of
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN
from caesura.errors import ModelError
from entropy_helpers import TABLES, add

Integers = NDArray[np.int64]
Symbols = NDArray[np.int32]

EXACT = 1 << 24  # integers below are exact in float32
CORNERS = {(0, 0): 0, (1, 1): 1, (0, 1): 2, (1, 0): 3}


# ---- passes

planes = pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 5), (4, 1), (2, 2), (3, 5), (7, 6)])
some_channels = pytest.mark.parametrize("channels", [4, 8, 12, 320])


def order_of(shape: tuple[int, int, int]) -> Integers:
    """The pass of every symbol, by the definition: corner c codes group c ^ t in pass t."""
    channels, rows, columns = shape
    corner = [[CORNERS[row % 2, column % 2] for column in range(columns)] for row in range(rows)]
    group = np.arange(channels) // (channels // PASSES)
    return group[:, None, None] ^ np.array(corner)


@planes
@some_channels
def test_every_symbol_is_in_exactly_one_part_of_one_pass(channels: int, shape: tuple[int, int]) -> None:
    seen, order = np.zeros((channels, *shape), int), np.full((channels, *shape), -1)
    for number in range(PASSES):
        for part in parts(number, channels):
            seen[part.at] += 1
            order[part.at] = number
    assert (seen == 1).all()
    np.testing.assert_array_equal(order, order_of((channels, *shape)))


@planes
@some_channels
def test_the_pass_of_a_position_is_that_of_its_part(channels: int, shape: tuple[int, int]) -> None:
    order = order_of((channels, *shape))
    for group in range(PASSES):
        for row, column in np.ndindex(shape):
            assert pass_of(group, row, column) == order[group * channels // PASSES, row, column]


def test_the_pass_of_a_position_before_the_first_is_that_of_the_checkerboard() -> None:
    for group in range(PASSES):
        for row, column in np.ndindex(2, 2):
            assert pass_of(group, row - 2, column - 2) == pass_of(group, row, column)


@some_channels
def test_every_part_has_a_quarter_of_the_channels_and_every_pass_all_of_them(channels: int) -> None:
    for number in range(PASSES):
        made = parts(number, channels)
        assert [part.channels.stop - part.channels.start for part in made] == [channels // 4] * 4
        assert sorted(part.group for part in made) == [0, 1, 2, 3]
        assert sorted((part.row, part.column) for part in made) == sorted(CORNERS)


def test_after_two_passes_every_channel_has_every_other_position() -> None:
    known = order_of((8, 6, 6)) < 2
    row, column = np.indices((6, 6))
    for plane in known:
        np.testing.assert_array_equal(plane, (row + column) % 2 == (0 if plane[0, 0] else 1))


def test_the_order_of_the_passes_never_changes() -> None:
    made = [[[pass_of(g, row, column) for column in (0, 1)] for row in (0, 1)] for g in range(PASSES)]
    assert made == [[[0, 2], [3, 1]], [[1, 3], [2, 0]], [[2, 0], [1, 3]], [[3, 1], [0, 2]]]


# ---- magnitudes

EVERY_SIZE = np.arange((1 << 15) + 1, dtype=np.int32)


def size_of(symbols: NDArray[Any]) -> Integers:
    """round(2 log2(1 + |s|)): how many m have 1 + |s| above 2 ** (m / 2 - 1 / 4), which none equals."""
    fourth = [(1 + abs(int(symbol))) ** 4 for symbol in symbols.reshape(-1)]
    sizes = [sum(power > 1 << (2 * m - 1) for m in range(1, 40)) for power in fourth]
    return np.array(sizes, np.int64).reshape(symbols.shape)


@pytest.mark.slow
def test_magnitudes_are_the_rounded_logarithm_in_integers() -> None:
    found = magnitude(EVERY_SIZE)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, size_of(EVERY_SIZE))


def test_magnitudes_are_the_rounded_logarithm_in_floats() -> None:
    np.testing.assert_array_equal(magnitude(EVERY_SIZE), np.rint(2 * np.log2(1.0 + EVERY_SIZE)))
    assert magnitude(EVERY_SIZE[:8]).tolist() == [0, 2, 3, 4, 5, 5, 6, 6]


def test_magnitudes_do_not_depend_on_the_sign_and_rise_to_thirty() -> None:
    np.testing.assert_array_equal(magnitude(-EVERY_SIZE), magnitude(EVERY_SIZE))
    assert (np.diff(magnitude(EVERY_SIZE).astype(int)) >= 0).all()
    assert magnitude(np.array([SYMBOL_MIN, SYMBOL_MAX], np.int32)).tolist() == [30, 30]


# ---- indices


class Case(NamedTuple):
    """A plane of symbols and what their indices are made of."""

    control: Control
    inputs: NDArray[Any]
    row: int
    symbols: Symbols


def terms_of(case: Case) -> Integers:
    """Everything that adds up to each symbol's index, in int64: (terms, C, h, w)."""
    control, inputs, row, symbols = case
    channels, rows, columns = symbols.shape
    order, sizes = order_of(symbols.shape), size_of(symbols)
    below, y, x = control.below, np.arange(rows), np.arange(columns)
    coarse = np.clip(inputs.astype(np.int64), -control.limit, control.limit)[:, y // below][:, :, x // below]
    base = control.base.astype(np.int64)[:, :, y % below][..., x % below] * coarse[:, None]

    # Weights of the pass that codes each symbol; the first pass has none.
    own = order, np.arange(channels)[:, None, None]
    near = np.concatenate([np.zeros_like(control.near[:1]), control.near]).astype(np.int64)[own]
    far = np.concatenate([np.zeros_like(control.far[:1]), control.far]).astype(np.int64)[own]
    around = ((0, 0), (1, 1), (1, 1))
    neighbours, their_order = np.pad(sizes, around), np.pad(order, around, constant_values=PASSES)
    from_near = []
    for down, right in np.ndindex(3, 3):
        there = slice(None), slice(down, down + rows), slice(right, right + columns)
        from_near.append(near[..., down, right] * neighbours[there] * (their_order[there] < order))
    from_far = np.moveaxis(far, -1, 0) * sizes[:, None] * (order[:, None] < order)
    bias = np.broadcast_to(control.bias[row].astype(np.int64)[:, None, None], symbols.shape)
    return np.concatenate([bias[None], base, from_near, from_far])


def reference(case: Case) -> Integers:
    """The index of every symbol, as the format defines it."""
    return np.clip((terms_of(case).sum(0) + 16) >> 5, 0, INDICES - 1)


def found(case: Case, *, late: bool = False) -> Integers:
    """What the coder makes of it; `late` learns the symbols of a pass after all its indices."""
    control, inputs, row, symbols = case
    indices = Indices(control, inputs, row, symbols.shape[1:])
    result = np.full(symbols.shape, -1, np.int64)
    for number in range(PASSES):
        made = parts(number, control.channels)
        for part in made:
            chosen = indices.index(part)
            assert chosen.dtype == np.uint8
            assert chosen.shape == symbols[part.at].shape
            result[part.at] = chosen
            if not late:
                add(indices, part, symbols)
        for part in made if late else []:
            add(indices, part, symbols)
    np.testing.assert_array_equal(indices.magnitudes, size_of(symbols))
    return result


def control_of(channels: int, depth: int, below: int, **weights: Any) -> Control:
    """Zero but for the weights given."""
    blank = {
        "bias": np.zeros((3, channels), np.int32),
        "base": np.zeros((depth, channels, below, below), np.int8),
        "near": np.zeros((PASSES - 1, channels, 3, 3), np.int8),
        "far": np.zeros((PASSES - 1, channels, channels), np.int8),
    }
    return Control(**{"limit": 127, "tables": TABLES, **blank, **weights})


def centred(case: Case, random: np.random.Generator) -> Case:
    """The same with a bias by which, in each channel, a symbol picked at random is not clipped."""
    channels, rows, columns = case.symbols.shape
    without = dataclasses.replace(case.control, bias=np.zeros((3, channels), np.int32))
    sums = terms_of(case._replace(control=without)).sum(0).reshape(channels, -1)
    picked = sums[np.arange(channels), random.integers(0, rows * columns, channels)]
    bias = np.tile(random.integers(0, 2048, channels) - picked, (3, 1)).astype(np.int32)
    bias[np.arange(3) != case.row] += 999
    return case._replace(control=dataclasses.replace(case.control, bias=bias))


Weights = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.int8]]
WEIGHTS: dict[str, Weights] = {
    "small": lambda random, shape: random.integers(-2, 3, shape, np.int8),
    "any": lambda random, shape: random.integers(-128, 128, shape, np.int8),
    "sparse": lambda random, shape: random.integers(-128, 128, shape, np.int8) * (random.random(shape) < 0.1),
    "largest": lambda random, shape: random.choice(np.array([-128, 127], np.int8), shape),
    "lowest": lambda random, shape: np.full(shape, -128, np.int8),
    "highest": lambda random, shape: np.full(shape, 127, np.int8),
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Random weights, inputs within and beyond the limit, symbols small to extreme, channels of zeros."""
    channels, below = draw(st.sampled_from([8, 12])), draw(st.sampled_from([2, 4]))
    rows, columns, depth = draw(st.integers(1, 7)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    limit = draw(st.sampled_from([30, 127]))
    kind = WEIGHTS[draw(st.sampled_from(sorted(WEIGHTS)))]
    spread = draw(st.sampled_from([0.0, 1.0, 50.0, 1e5]))
    spare = draw(st.integers(0, 1))  # the coarser plane may reach further than this one
    dtype = draw(st.sampled_from([np.int16, np.int32, np.uint8]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = {
        "base": (depth, channels, below, below),
        "near": (PASSES - 1, channels, 3, 3),
        "far": (PASSES - 1, channels, channels),
    }
    control = control_of(
        channels, depth, below, limit=limit, **{n: kind(random, s).astype(np.int8) for n, s in shapes.items()}
    )
    coarse = depth, -(-rows // below) + spare, -(-columns // below) + spare
    first = 0 if dtype is np.uint8 else -2 * limit
    inputs = random.integers(first, 2 * limit + 1, coarse, dtype)
    symbols = np.rint(random.laplace(0, spread, (channels, rows, columns))).clip(SYMBOL_MIN, SYMBOL_MAX)
    for array in (inputs, symbols):  # whole channels of zeros as well
        array[random.random(len(array)) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = 0
    return centred(Case(control, inputs, draw(st.integers(0, 2)), symbols.astype(np.int32)), random)


@pytest.mark.slow
@given(cases())
@settings(max_examples=200)
def test_indices_are_those_of_plain_integers(case: Case) -> None:
    expected = reference(case)
    np.testing.assert_array_equal(found(case), expected)
    np.testing.assert_array_equal(found(case, late=True), expected)


@pytest.mark.slow
def test_the_cases_reach_every_index() -> None:
    random = np.random.default_rng(0)
    shapes = {"base": (2, 12, 2, 2), "near": (3, 12, 3, 3), "far": (3, 12, 12)}
    control = control_of(12, 2, 2, **{name: WEIGHTS["small"](random, s) for name, s in shapes.items()})
    symbols = np.rint(random.laplace(0, 30, (12, 60, 50))).astype(np.int32)
    case = centred(Case(control, random.integers(-127, 128, (2, 30, 25)), 1, symbols), random)
    expected = reference(case)
    assert set(expected.reshape(-1).tolist()) == set(range(INDICES))
    np.testing.assert_array_equal(found(case), expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_millions_that_cancel_are_exact(sign: int) -> None:
    random, depth, channels = np.random.default_rng(1), 1000, 8
    base = np.full((depth, channels, 2, 2), 126 * sign, np.int8)
    base[depth // 2 :] = -126 * sign + random.integers(-1, 2, (depth // 2, channels, 2, 2))
    case = centred(
        Case(
            control_of(channels, depth, 2, base=base),
            np.full((depth, 2, 2), 127),
            0,
            np.zeros((channels, 3, 4), np.int32),
        ),
        random,
    )
    expected = reference(case)
    assert np.abs(terms_of(case).cumsum(0)).max() > EXACT // 4
    assert len(np.unique(expected)) >= channels
    np.testing.assert_array_equal(found(case), expected)


@pytest.mark.slow
def test_a_symbol_steers_only_what_is_coded_after_it() -> None:
    random = np.random.default_rng(2)
    shapes = {"base": (1, 8, 4, 4), "near": (3, 8, 3, 3), "far": (3, 8, 8)}
    control = control_of(8, 1, 4, **{name: WEIGHTS["any"](random, s) for name, s in shapes.items()})
    case = Case(control, np.zeros((1, 2, 2), np.int32), 0, np.zeros((8, 5, 5), np.int32))
    before, order = found(case), order_of(case.symbols.shape)
    for place in np.ndindex(case.symbols.shape):
        symbols = case.symbols.copy()
        symbols[place] = 1000
        changed = found(case._replace(symbols=symbols)) != before
        assert not changed[order <= order[place]].any()


# ---- the bound


def at_the_bound(case: Case, sign: int) -> Case:
    """The same with the largest bias that still passes."""
    blank = dataclasses.replace(case.control, bias=np.zeros_like(case.control.bias))
    bias = np.full_like(blank.bias, sign * (EXACT - 1 - blank.largest_sum()))
    return case._replace(control=dataclasses.replace(blank, bias=bias))


@pytest.mark.slow
@given(cases(), st.sampled_from([0, 1, -1]), st.integers(0, 2**32 - 1))
def test_no_partial_sum_in_any_order_passes_the_bound(case: Case, sign: int, seed: int) -> None:
    case = at_the_bound(case, sign) if sign else case
    bound = case.control.largest_sum()
    assert bound < EXACT
    terms = np.concatenate([terms_of(case), np.full((1, *case.symbols.shape), 16)])  # the last one rounds
    random = np.random.default_rng(seed)
    orders = [random.permuted(terms, axis=0) for _ in range(5)]
    for ordered in (*orders, np.sort(terms, axis=0), np.sort(terms, axis=0)[::-1]):
        assert np.abs(ordered.cumsum(0)).max() <= bound
    np.testing.assert_array_equal(found(case), reference(case))


@pytest.mark.parametrize("weight", [127, -128])
def test_the_bound_is_reached(weight: int) -> None:
    base = np.full((3, 8, 2, 2), weight, np.int8)
    control = control_of(8, 3, 2, base=base, bias=np.full((3, 8), 5000 if weight > 0 else -5000, np.int32))
    case = Case(control, np.full((3, 1, 1), 999), 0, np.zeros((8, 2, 2), np.int32))
    assert np.abs(terms_of(case).sum(0)).max() == control.largest_sum() - 32 == 5000 + 3 * 127 * abs(weight)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_that_reaches_the_bound_is_refused(sign: int) -> None:
    bias = np.zeros((3, 8), np.int32)
    bias[2, 5] = sign * (EXACT - 33)
    assert control_of(8, 1, 2, bias=bias).largest_sum() == EXACT - 1
    bias[2, 5] += sign
    with pytest.raises(ModelError, match="control: sums may reach 16777216; below 16777216 is exact"):
        control_of(8, 1, 2, bias=bias)


def test_weights_that_together_reach_the_bound_are_refused() -> None:
    base, far = np.full((1000, 4, 1, 1), 127, np.int8), np.zeros((PASSES - 1, 4, 4), np.int8)
    near = np.zeros((PASSES - 1, 4, 3, 3), np.int8)
    far[1, 3, 0], near[2, 1, 0, 2] = 127, -127
    bias = np.full((3, 4), EXACT - 32 - 1000 * 127 * 127 - 30 * 127, np.int32)
    for weights in ({"far": far}, {"near": near}, {"far": far, "near": near}):
        with pytest.raises(ModelError, match="sums may reach 16777216;"):
            control_of(4, 1000, 1, base=base, bias=bias, **weights)
        assert control_of(4, 1000, 1, base=base, bias=bias - 1, **weights).largest_sum() == EXACT - 1


@pytest.mark.parametrize("bias", [2**31 - 1, -(2**31)])
def test_a_bias_at_either_end_of_its_type_is_refused(bias: int) -> None:
    with pytest.raises(ModelError, match=f"sums may reach {abs(bias) + 32}"):
        control_of(8, 1, 2, bias=np.full((3, 8), bias, np.int32))


# ---- validation

BROKEN_CONTROLS: list[tuple[str, Any, str]] = [
    ("bias", np.zeros((3, 8)), r"bias is float64 \(3, 8\); int32 \(3, 8\) expected"),
    ("bias", np.zeros((3, 8), np.int64), r"bias is int64 \(3, 8\); int32"),
    ("bias", np.zeros(8, np.int32), r"bias is int32 \(8,\); int32 \(8, 8\) expected"),
    ("bias", np.zeros((3, 2, 8), np.int32), r"bias is int32 \(3, 2, 8\)"),
    ("bias", np.array(0, np.int32), r"bias is int32 \(\)"),
    ("bias", np.zeros((0, 8), np.int32), r"bias is int32 \(0, 8\)"),
    ("bias", np.zeros((3, 12), np.int32), r"base is int8 \(2, 8, 4, 4\); int8 \(2, 12, 4, 4\) expected"),
    ("base", np.zeros((2, 8, 4, 4), np.int16), r"base is int16 \(2, 8, 4, 4\); int8"),
    ("base", np.zeros((2, 8, 4, 4), np.uint8), r"base is uint8 \(2, 8, 4, 4\); int8"),
    ("base", np.zeros((2, 8, 4), np.int8), r"base is int8 \(2, 8, 4\); int8 \(2, 8, 4, 4\) expected"),
    ("base", np.zeros((2, 8, 2, 4), np.int8), r"base is int8 \(2, 8, 2, 4\); int8 \(2, 8, 4, 4\) expected"),
    ("base", np.zeros((2, 12, 4, 4), np.int8), r"base is int8 \(2, 12, 4, 4\); int8 \(2, 8, 4, 4\) expected"),
    ("base", np.zeros((0, 8, 4, 4), np.int8), r"base is int8 \(0, 8, 4, 4\)"),
    ("base", np.zeros((2, 8, 0, 0), np.int8), r"base is int8 \(2, 8, 0, 0\)"),
    ("base", np.array(0, np.int8), r"base is int8 \(\)"),
    ("near", np.zeros((3, 8, 3, 3), np.float32), r"near is float32 \(3, 8, 3, 3\); int8"),
    ("near", np.zeros((4, 8, 3, 3), np.int8), r"near is int8 \(4, 8, 3, 3\); int8 \(3, 8, 3, 3\) expected"),
    ("near", np.zeros((3, 8, 5, 5), np.int8), r"near is int8 \(3, 8, 5, 5\); int8 \(3, 8, 3, 3\) expected"),
    ("near", np.zeros((3, 8, 1, 3, 3), np.int8), r"near is int8 \(3, 8, 1, 3, 3\)"),
    ("far", np.zeros((3, 8, 8), bool), r"far is bool \(3, 8, 8\); int8"),
    ("far", np.zeros((2, 8, 8), np.int8), r"far is int8 \(2, 8, 8\); int8 \(3, 8, 8\) expected"),
    ("far", np.zeros((3, 8, 4), np.int8), r"far is int8 \(3, 8, 4\); int8 \(3, 8, 8\) expected"),
    ("far", np.zeros((3, 8), np.int8), r"far is int8 \(3, 8\)"),
    ("tables", TABLES[1:], "8 channels and 63 tables; a multiple of 4 and 64 expected"),
    ("tables", [*TABLES, TABLES[-1]], "8 channels and 65 tables; a multiple of 4 and 64 expected"),
    ("tables", [], "8 channels and 0 tables; a multiple of 4 and 64 expected"),
]


@pytest.mark.parametrize(("field", "value", "message"), BROKEN_CONTROLS)
def test_a_control_that_does_not_fit_together_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"control: {message}"):
        dataclasses.replace(control_of(8, 2, 4), **{field: value})


@pytest.mark.parametrize("channels", [1, 6, 9])
def test_channels_that_are_no_multiple_of_four_are_refused(channels: int) -> None:
    with pytest.raises(ModelError, match=f"control: {channels} channels and 64 tables; a multiple of 4"):
        control_of(channels, 1, 2)


def test_a_control_knows_its_channels_and_positions_below() -> None:
    control = control_of(12, 3, 4)
    assert (control.channels, control.below) == (12, 4)
