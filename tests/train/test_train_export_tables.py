"""Integer tables of the paper's priors: a row per step of the ladder, and what coding with them costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caesura.entropy.tables import TOTAL
from caesura.train.cae2017 import priors
from caesura.train.cae2017.export import ROWS_PER_ANCHOR, tables
from caesura.train.config import PriorConfig


def test_a_ladder_of_one_has_one_row_of_tables() -> None:
    grid = tables(priors.Mixture(torch.tensor([1.0, 4.0])), torch.zeros(1, 2))
    assert (grid.rows, grid.channels) == (1, 2)


def test_rows_at_anchors_are_made_of_the_scale_vectors_of_anchors() -> None:
    prior = priors.Mixture(torch.tensor([0.5, 4.0]))
    ladder = torch.tensor([[0.0, 0.1], [0.4, 0.3], [1.0, 2.0]])
    grid = tables(prior, ladder)
    for anchor in range(3):
        alone = tables(prior, ladder[anchor : anchor + 1]).row(0)
        for one, other in zip(grid.row(anchor * ROWS_PER_ANCHOR), alone, strict=True):
            assert one.low == other.low
            np.testing.assert_array_equal(one.frequencies, other.frequencies)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 2**31),
    deviation=st.floats(0.01, 100),
    log_gain=st.floats(-2, 2),
    kind=st.sampled_from(["mixture", "scale-mixture"]),
)
def test_coding_with_a_table_costs_no_more_than_the_mixtures_entropy(
    seed: int, deviation: float, log_gain: float, kind: Any
) -> None:
    prior = priors.make(PriorConfig(kind=kind), torch.full((2,), deviation))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.5)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    grid = tables(prior, torch.full((1, 2), log_gain))
    assert prior.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())

    integers = torch.arange(-(1 << 15), 1 << 15, dtype=torch.float64)
    gain = torch.full((1, 2), log_gain).double().exp()
    exact = prior.double().log_mass(integers.expand(1, 2, -1), gain)[0].exp().detach().numpy()
    for table, mass in zip(grid.row(0), exact, strict=True):
        first = table.low + (1 << 15)
        inside = mass[first : first + table.escape]
        outside = max(1 - inside.sum(), 1e-300)
        bits = -np.log2(table.frequencies / TOTAL)
        entropy = -np.sum(mass * np.log2(np.maximum(mass, 1e-300)))
        cost = np.sum(inside * bits[:-1]) + outside * (bits[-1] + 22)  # 5 + 17 bits follow an escape
        assert cost < 1.002 * entropy + 1e-3  # bits a symbol


@pytest.mark.parametrize("deviation", [1e-8, 1e-3, 3e3, 1e4, 1e5, 1e8])
def test_the_narrowest_and_the_widest_priors_have_tables(deviation: float) -> None:
    grid = tables(priors.Mixture(torch.tensor([deviation])), torch.zeros(1, 1))
    (table,) = grid.row(0)
    assert int(table.frequencies.sum()) == TOTAL


def test_a_mixture_far_from_zero_has_its_table_there() -> None:
    prior = priors.Mixture(torch.tensor([2.0]))
    with torch.no_grad():
        prior.mean.fill_(-5000.0)
    (table,) = tables(prior, torch.zeros(1, 1)).row(0)
    assert table.low < -5000 < table.low + table.escape
    assert int(table.frequencies[-5000 - table.low]) > TOTAL / 20
    assert table.escape < 200
