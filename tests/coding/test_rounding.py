"""Rate-distortion optimised rounding: at most to the neighbour towards zero, and never for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from caesura.coding import rounding
from caesura.entropy.control import INDICES, Control
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, TOTAL
from caesura.models import bundle as bundles

values = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-70, 70, width=32))


@pytest.fixture(scope="module")
def control() -> Control:
    """The shipped flagship's."""
    found = bundles.load("photo-psnr").control
    assert found is not None
    return found


def indices_for(array: NDArray[np.float32], seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, INDICES, array.shape).astype(np.uint8)


def test_plain_rounding_stays_within_what_symbols_may_be() -> None:
    found = rounding.nearest(np.array([0.4, -1.6, 1e9, -1e9], np.float32))
    assert found.tolist() == [0, -2, SYMBOL_MAX, SYMBOL_MIN]


@pytest.mark.slow
@given(values, st.integers(0, 99))
def test_without_weight_on_the_rate_it_is_plain_rounding(array: NDArray[np.float32], seed: int) -> None:
    control = bundles.load("photo-psnr").control
    assert control is not None
    found = rounding.optimised(array, indices_for(array, seed), control, 0.0)
    ties = np.abs(array - np.trunc(array)) == 0.5
    np.testing.assert_array_equal(found[~ties], rounding.nearest(array)[~ties])


@pytest.mark.slow
@given(values, st.integers(0, 99), st.floats(0, 3))
def test_a_symbol_is_the_nearest_or_its_neighbour_towards_zero(
    array: NDArray[np.float32], seed: int, strength: float
) -> None:
    control = bundles.load("photo-psnr").control
    assert control is not None
    indices = indices_for(array, seed)
    nearest, found = rounding.nearest(array), rounding.optimised(array, indices, control, strength)
    assert np.isin(np.abs(nearest) - np.abs(found), (0, 1)).all()
    assert ((found == 0) | (np.sign(found) == np.sign(nearest))).all()
    certain = indices == 0
    np.testing.assert_array_equal(found[certain], nearest[certain])


def test_what_is_chosen_costs_least(control: Control) -> None:
    """Against costs counted from the frequencies, symbol by symbol."""
    random = np.random.default_rng(1)
    array = random.normal(0, 3, 400).clip(-9, 9).astype(np.float32)
    indices = random.integers(48, 60, 400).astype(np.uint8)
    strength = 0.7
    found = rounding.optimised(array, indices, control, strength)

    def cost(value: float, symbol: int, index: int) -> float:
        table = control.tables[index]
        assert 0 <= symbol - table.low < table.escape, "pick indices whose tables are wide enough"
        bits = -np.log2(table.frequencies[symbol - table.low] / TOTAL)
        return float(strength * bits + rounding.SLOPE * (value - symbol) ** 2)

    for value, index, symbol in zip(array.tolist(), indices.tolist(), found.tolist(), strict=True):
        near = round(value)
        candidates = {near, near - int(np.sign(near))}
        costs = {c: cost(value, c, index) for c in candidates}
        assert cost(value, symbol, index) <= min(costs.values()) + 1e-4


def test_more_weight_on_the_rate_leaves_fewer_symbols(control: Control) -> None:
    random = np.random.default_rng(2)
    array = random.normal(0, 0.6, 4000).astype(np.float32)
    indices = np.full(4000, 15, np.uint8)
    left = [np.count_nonzero(rounding.optimised(array, indices, control, s)) for s in (0.0, 0.3, 1.0, 3.0)]
    assert left == sorted(left, reverse=True)
    assert left[-1] < left[0]
