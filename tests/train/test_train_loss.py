"""loss.py: units of rate and distortion, the weighting of a batch of mixed rates, betas along the ladder."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from caesura.train import psnr_hvs, ssimulacra2
from caesura.train.config import MixConfig
from caesura.train.loss import betas_at, distortion, rate_distortion
from train_helpers import noisy, photo, planar


def batch(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_mse_is_the_mean_over_pixels_and_channels_of_each_sample() -> None:
    original = torch.zeros(2, 3, 16, 24)
    restored = original.clone()
    restored[0] += 0.5
    restored[1, 0, 0, 0] = 1
    expected = torch.tensor([0.25, 1 / (3 * 16 * 24)])
    torch.testing.assert_close(distortion(original, restored, "mse"), expected)


@pytest.mark.parametrize("kind", ["mse", "perceptual"])
def test_distortion_is_zero_for_equal_pictures_and_grows_with_the_noise(kind: str) -> None:
    original = planar(photo(176, 176))
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    falling = [float(distortion(original, original + s * noise, kind)) for s in (0.2, 0.05, 0)]  # type: ignore[arg-type]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["mse", "perceptual"])
def test_distortion_has_a_finite_gradient(kind: str) -> None:
    original = planar(photo(176, 176))
    restored = (0.9 * original).requires_grad_()
    distortion(original, restored, kind).sum().backward()  # type: ignore[arg-type]
    assert restored.grad is not None
    assert torch.isfinite(restored.grad).all()
    assert restored.grad.abs().max() > 0


def test_the_perceptual_distortion_is_its_documented_sum() -> None:
    original = torch.cat([planar(photo(64, 48, 60, 160)), planar(photo(64, 48, 200, 100))])
    restored = noisy(original, 0.03)
    parts = {
        "mse": distortion(original, restored, "mse"),
        "ssimulacra2": 6.5e-5 * ssimulacra2.weighted_sum(original, restored),
        "psnr_hvs": 0.5 * psnr_hvs.weighted_error(original, restored),
    }
    alone = dict.fromkeys(parts, 0.0)
    for name, part in parts.items():
        torch.testing.assert_close(perceptual(original, restored, **alone | {name: 1.0}), part)
    weights = {"mse": 0.3, "ssimulacra2": 2.0, "psnr_hvs": 0.7}
    expected = sum(weights[name] * part for name, part in parts.items())
    torch.testing.assert_close(perceptual(original, restored, **weights), expected)
    default = distortion(original, restored, "perceptual")
    torch.testing.assert_close(
        default, 0.1 * parts["mse"] + 0.5 * parts["ssimulacra2"] + 0.4 * parts["psnr_hvs"]
    )


def perceptual(original: torch.Tensor, restored: torch.Tensor, **weights: float) -> torch.Tensor:
    return distortion(original, restored, "perceptual", MixConfig(**weights))


@pytest.mark.parametrize("size", [(8, 8), (16, 40), (64, 48), (112, 240)])
def test_the_perceptual_distortion_takes_sides_of_eights(size: tuple[int, int]) -> None:
    original = planar(photo(*size, 60, 160))
    restored = noisy(original, 0.03)
    got = distortion(original, restored, "perceptual")
    assert got.shape == (1,)
    assert float(got) > 0


@pytest.mark.slow
@settings(deadline=None)
@given(st.floats(0, 10), st.floats(0, 1), st.floats(1, 1e4))
def test_one_sample_costs_rate_plus_beta_times_distortion(bpp: float, mse: float, beta: float) -> None:
    got = float(rate_distortion(batch(bpp), batch(mse), batch(beta)))
    assert got == pytest.approx(bpp + beta * mse, rel=1e-9)


@pytest.mark.slow
@settings(deadline=None)
@given(st.floats(0, 10), st.floats(0, 1), st.floats(1e-4, 1))
def test_beta_is_255_squared_times_the_other_conventions_lambda(bpp: float, mse: float, lam: float) -> None:
    """There, lambda weighs 255^2 times the MSE of pixels in [0, 1]."""
    got = float(rate_distortion(batch(bpp), batch(mse), batch(255**2 * lam)))
    assert got == pytest.approx(bpp + lam * 255**2 * mse, rel=1e-9)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), min_size=1, max_size=8), st.floats(1, 1e4))
def test_samples_of_one_rate_are_averaged_plainly(samples: list[tuple[float, float]], beta: float) -> None:
    bpp, mse = (batch(*column) for column in zip(*samples, strict=True))
    got = rate_distortion(bpp, mse, torch.full_like(bpp, beta))
    torch.testing.assert_close(got, (bpp + beta * mse).mean())


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(1, 1e4), min_size=2, max_size=8))
def test_a_sample_pulls_by_one_over_the_root_of_its_beta(betas: list[float]) -> None:
    bpp = torch.zeros(len(betas), dtype=torch.float64, requires_grad=True)
    rate_distortion(bpp, torch.zeros_like(bpp), batch(*betas)).backward()
    assert bpp.grad is not None
    pulls = bpp.grad * batch(*betas).sqrt()
    torch.testing.assert_close(pulls, pulls[0].expand_as(pulls))
    assert float(bpp.grad.sum()) == pytest.approx(1)  # weights have a mean of one


@pytest.mark.slow
def test_constants_are_copied_to_the_device_once() -> None:
    """A second step of the loss takes nothing from the host, for which a GPU would have to wait."""
    from_host: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)]
            from_host.extend(str(function) for tensor in tensors if tensor.device.type == "cpu")
            return function(*args, **(kwargs or {}))

    original, restored = (torch.rand(2, 3, 64, 48, device="meta") for _ in range(2))
    distortion(original, restored, "perceptual")
    with Watch():
        distortion(original, restored, "perceptual")
    assert not from_host


ladders = st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=9, unique=True).map(sorted)


@pytest.mark.slow
@settings(deadline=None)
@given(ladders)
def test_on_an_anchor_beta_is_the_anchors(betas: list[float]) -> None:
    got = betas_at(torch.arange(len(betas)).float(), betas)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, torch.tensor(betas), rtol=1e-5, atol=0)


@pytest.mark.slow
@settings(deadline=None)
@given(ladders, st.floats(0, 1))
def test_between_anchors_beta_is_interpolated_in_its_logarithm(betas: list[float], share: float) -> None:
    for number in range(len(betas) - 1):
        (got,) = betas_at(torch.tensor([number + share]), betas).tolist()
        position = float(torch.tensor(number + share)) - number  # as float32 has it
        expected = math.exp((1 - position) * math.log(betas[number]) + position * math.log(betas[number + 1]))
        assert got == pytest.approx(expected, rel=1e-4)


def test_halfway_beta_is_the_geometric_mean() -> None:
    positions = torch.tensor([0.5, 1.5, 0.0, 2.0, 1.0])
    expected = torch.tensor([20.0, 400.0, 10.0, 4000.0, 40.0])
    torch.testing.assert_close(betas_at(positions, [10.0, 40.0, 4000.0]), expected)


def test_a_ladder_of_one_has_one_beta() -> None:
    torch.testing.assert_close(betas_at(torch.zeros(3), [250.0]), torch.full((3,), 250.0))
