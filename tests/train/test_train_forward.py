"""forward.py: the values and the gradients that training uses instead of rounding and clipping."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from caesura.train.forward import add_noise, clip_identity, reconstruction, round_identity


def arrays(bound: float) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float32, hnp.array_shapes(max_dims=3), elements=st.floats(-bound, bound, width=32))


def gradient(function: Callable[[Tensor], Tensor], x: Tensor, upstream: Tensor) -> Tensor:
    """What comes back to `x` for the gradient `upstream` at the output."""
    leaf = x.clone().requires_grad_()
    function(leaf).backward(upstream)
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.slow
@settings(deadline=None)
@given(arrays(2.0**20))
def test_rounding_gives_the_nearest_integer_exactly(values: np.ndarray) -> None:
    assert torch.equal(round_identity(torch.from_numpy(values)), torch.from_numpy(np.rint(values)))


@pytest.mark.slow
@settings(deadline=None)
@given(arrays(10.0))
def test_clipping_gives_the_nearest_value_in_range(values: np.ndarray) -> None:
    clipped = clip_identity(torch.from_numpy(values), -0.25, 1.0)
    np.testing.assert_allclose(clipped.numpy(), np.clip(values, -0.25, 1), atol=1e-6, rtol=0)


def test_values_in_range_pass_the_clip_unchanged() -> None:
    values = torch.linspace(0, 1, 1001)
    assert torch.equal(clip_identity(values, 0, 1), values)


@pytest.mark.parametrize(
    "function", [round_identity, add_noise, lambda x: clip_identity(x, 0, 1)], ids=["round", "noise", "clip"]
)
def test_the_gradient_is_that_of_the_identity(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor([-1e3, -3.7, -0.5, 0.0, 0.2, 0.5, 1.0, 1.5, 7.3, 1e6])
    upstream = torch.randn(len(x), generator=torch.Generator().manual_seed(0))
    assert torch.equal(gradient(function, x, upstream), upstream)


def test_noise_is_uniform_over_one_bin_and_independent_of_the_value() -> None:
    torch.manual_seed(0)
    x = torch.tensor([-3.0, 0.0, 0.25, 1.0]).repeat_interleave(20_000)
    noise = add_noise(x) - x
    assert noise.min() >= -0.5
    assert noise.max() <= 0.5
    for part in noise.reshape(4, -1):
        assert abs(float(part.mean())) < 0.01
        assert abs(float(part.var()) - 1 / 12) < 0.002
        assert float(part.quantile(0.25)) == pytest.approx(-0.25, abs=0.01)


def test_noise_is_drawn_from_torchs_generator() -> None:
    x = torch.zeros(100)
    torch.manual_seed(7)
    first, other = add_noise(x), add_noise(x)
    torch.manual_seed(7)
    assert torch.equal(add_noise(x), first)
    assert not torch.equal(first, other)


def test_training_asks_for_more_than_the_ends_of_the_range_where_the_original_is_at_them() -> None:
    original = torch.tensor([1.0, 1, 1, 0, 0, 0, 0.5])
    restored = torch.tensor([1.2, 1.01, 1, -0.2, -0.01, 0, 1.2]).requires_grad_()
    found = reconstruction(original, restored, training=True)
    expected = torch.tensor([1, 1, 1 - 2 / 255, 0, 0, 2 / 255, 1])
    torch.testing.assert_close(found, expected)
    ((found - original) ** 2).sum().backward()
    assert restored.grad is not None
    assert restored.grad.sign().tolist() == [0, 0, -1, 0, 0, 1, 1]
    assert torch.equal(reconstruction(original, restored, training=False), restored.clamp(0, 1))
