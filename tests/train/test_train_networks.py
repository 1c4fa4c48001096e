"""train/cae2017: size and shapes, the start as a transform codec, the forward pass."""

from __future__ import annotations

import copy
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from caesura.train.cae2017 import klt
from caesura.train.cae2017.model import Cae2017Model
from caesura.train.cae2017.networks import (
    PIXEL_DEVIATION,
    PIXEL_MEAN,
    STRIDE,
    Analysis,
    ResidualBlock,
    Synthesis,
)
from caesura.train.forward import mixing, round_identity
from train_helpers import photo, planar, tiny

PADDINGS = pytest.mark.parametrize("padding", ["zeros", "mirror"])


def macs_per_pixel(network: nn.Module, example: Tensor, pixels: int) -> float:
    """Multiply-accumulates of a network's convolutions on an example, per pixel of the picture."""
    total = 0

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output.numel() * layer.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return total / pixels


@cache
def photographs() -> NDArray[np.uint8]:
    """uint8 (n, 64, 64, 3), squares of packaged photographs."""
    parts = [
        picture[top : top + 64, left : left + 64]
        for picture in (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea())
        for top in range(0, 256, 64)
        for left in range(0, 384, 64)
    ]
    return np.stack(parts)


@PADDINGS
def test_the_network_has_three_million_parameters(padding: Any) -> None:
    networks = (Analysis(96, padding), Synthesis(96, padding))
    count = sum(parameter.numel() for network in networks for parameter in network.parameters())
    assert count == pytest.approx(3.0e6, abs=0.1e6)


@PADDINGS
def test_a_pixel_costs_74_and_82_thousand_multiplications(padding: Any) -> None:
    analysis = macs_per_pixel(Analysis(96, padding), torch.zeros(1, 3, 64, 64), 64 * 64)
    synthesis = macs_per_pixel(Synthesis(96, padding), torch.zeros(1, 96, 8, 8), 64 * 64)
    assert analysis / 1000 == pytest.approx(74, abs=1)
    assert synthesis / 1000 == pytest.approx(82, abs=1)


@pytest.mark.slow
@PADDINGS
@settings(deadline=None, max_examples=10)
@given(rows=st.integers(3, 9), columns=st.integers(3, 9), channels=st.sampled_from([1, 8]))
def test_latents_are_an_eighth_of_the_picture_and_come_back_to_its_size(
    padding: Any, rows: int, columns: int, channels: int
) -> None:
    pixels = torch.rand(2, 3, STRIDE * rows, STRIDE * columns)
    with torch.no_grad():
        latent = Analysis(channels, padding)(pixels)
        restored = Synthesis(channels, padding)(latent)
    assert latent.shape == (2, channels, rows, columns)
    assert restored.shape == pixels.shape


def test_zero_padding_takes_a_picture_of_one_latent() -> None:
    with torch.no_grad():
        latent = Analysis(4)(torch.rand(1, 3, 8, 8))
        assert Synthesis(4)(latent).shape == (1, 3, 8, 8)


def test_mirror_padding_continues_the_picture_at_its_borders() -> None:
    """A picture of one colour has no borders for it: every latent is the same."""
    torch.manual_seed(0)
    flat = torch.full((1, 3, 48, 40), 0.8)
    with torch.no_grad():
        mirrored, zeroed = Analysis(8, "mirror")(flat), Analysis(8, "zeros")(flat)
    torch.testing.assert_close(mirrored, mirrored[..., 2:3, 2:3].expand_as(mirrored), atol=1e-4, rtol=1e-4)
    assert (zeroed[..., 0, 0] - zeroed[..., 2, 2]).abs().max() > 1e-3


@PADDINGS
def test_a_residual_block_starts_as_the_identity_and_can_learn(padding: Any) -> None:
    block = ResidualBlock(16, padding)
    x = torch.randn(2, 16, 5, 7)
    output = block(x)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert block.second.weight.grad is not None
    assert block.second.weight.grad.abs().max() > 0


def test_the_mean_colour_is_the_zero_of_the_networks_scale() -> None:
    """Normalisation is fixed, and undone at the end: a latent of zeros without biases is the mean colour."""
    synthesis = Synthesis(4)
    for name, parameter in synthesis.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    with torch.no_grad():
        pixels = synthesis(torch.zeros(1, 4, 2, 2))
    expected = torch.tensor(PIXEL_MEAN).reshape(1, 3, 1, 1).expand_as(pixels)
    torch.testing.assert_close(pixels, expected)
    assert len(PIXEL_DEVIATION) == 3
    assert not any(name.startswith("pixel_") for name, _ in synthesis.named_parameters())


def test_principal_components_are_orthonormal_and_fall_in_variance() -> None:
    components, deviations = klt.principal_components(photographs(), 192)
    assert components.shape == (192, 3, 8, 8)
    rows = components.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(192), atol=1e-4, rtol=0)
    assert (deviations.diff() <= 1e-6).all()
    assert (deviations > 0).all()


@pytest.mark.slow
@PADDINGS
def test_with_all_components_the_klt_start_restores_a_photo_exactly(padding: Any) -> None:
    analysis, synthesis = Analysis(192, padding), Synthesis(192, padding)
    components, _ = klt.principal_components(photographs(), 192)
    klt.start_from(components, analysis, synthesis)
    pixels = planar(photo(96, 120, 30, 170))
    with torch.no_grad():
        torch.testing.assert_close(synthesis(analysis(pixels)), pixels, atol=1e-4, rtol=0)


@PADDINGS
@pytest.mark.parametrize("count", [1, 8, 96])
def test_the_klt_start_gives_each_patchs_coordinates(padding: Any, count: int) -> None:
    analysis, synthesis = Analysis(count, padding), Synthesis(count, padding)
    components, _ = klt.principal_components(photographs(), count)
    klt.start_from(components, analysis, synthesis)
    pixels = planar(photo(64, 48, 100, 200))
    normalised = (pixels - analysis.pixel_mean) / analysis.pixel_deviation
    expected = nn.functional.conv2d(normalised, components, stride=STRIDE)
    back = nn.functional.conv_transpose2d(expected, components, stride=STRIDE)
    with torch.no_grad():
        latent = analysis(pixels)
        torch.testing.assert_close(latent, expected, atol=1e-4, rtol=1e-4)
        restored = (synthesis(latent) - synthesis.pixel_mean) / synthesis.pixel_deviation
    torch.testing.assert_close(restored, back, atol=1e-3, rtol=0)


@pytest.mark.slow
def test_the_latents_of_the_klt_start_have_the_stated_deviations() -> None:
    squares = photographs()
    analysis, synthesis = Analysis(96), Synthesis(96)
    components, deviations = klt.principal_components(squares, 96)
    klt.start_from(components, analysis, synthesis)
    with torch.no_grad():
        latent = torch.cat([analysis(planar(square)) for square in squares])
    # About zero, where both priors have their centre: the normalisation has taken the usual mean away.
    found = latent.square().mean((0, 2, 3)).sqrt()
    torch.testing.assert_close(found, deviations, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("side", [8, 20, 31])
def test_the_klt_start_takes_squares_of_any_side(side: int) -> None:
    components, deviations = klt.principal_components(photographs()[:, :side, :side], 8)
    assert components.shape == (8, 3, 8, 8)
    assert torch.isfinite(deviations).all()


def test_the_klt_start_survives_squares_of_one_colour() -> None:
    model = Cae2017Model(tiny(), np.full((2, 16, 16, 3), 128, np.uint8))
    output = model(torch.full((1, 3, 16, 16), 0.5), torch.tensor([0.0]))
    assert torch.isfinite(output.bits).all()
    assert torch.isfinite(output.pixels).all()


@pytest.fixture(scope="module")
def started() -> Cae2017Model:
    """The tiny model at its KLT start."""
    torch.manual_seed(0)
    return Cae2017Model(tiny(loss={"betas": [50.0, 200.0, 3200.0]}), photographs())


def test_a_klt_start_codes_a_photo_before_any_training(started: Cae2017Model) -> None:
    pixels = planar(photo(64, 64, 64, 128))
    started.eval()
    with torch.no_grad():
        output = started(pixels, torch.tensor([2.0]))
    error = float(((output.pixels - pixels) ** 2).mean())
    variance = float((pixels - pixels.mean((2, 3), keepdim=True)).square().mean())
    assert error < 0.1 * variance
    assert 0 < float(output.bits) / 64**2 < 2


def test_a_larger_beta_starts_with_more_bits_and_less_error(started: Cae2017Model) -> None:
    pixels = planar(photo(64, 64, 64, 128)).expand(3, -1, -1, -1)
    started.eval()
    with torch.no_grad():
        output = started(pixels, torch.tensor([0.0, 1.0, 2.0]))
    errors = ((output.pixels - pixels) ** 2).mean((1, 2, 3))
    assert output.bits.tolist() == sorted(output.bits.tolist())
    assert errors.tolist() == sorted(errors.tolist(), reverse=True)


def test_every_sample_is_coded_at_its_own_anchor(started: Cae2017Model) -> None:
    pixels = torch.cat([planar(photo(32, 32, 64 * i, 128)) for i in range(3)])
    started.eval()
    with torch.no_grad():
        together = started(pixels, torch.tensor([2.0, 0.0, 1.0]))
        for sample, anchor in enumerate((2.0, 0.0, 1.0)):
            alone = started(pixels[sample : sample + 1], torch.tensor([anchor]))
            torch.testing.assert_close(together.bits[sample], alone.bits[0], rtol=1e-4, atol=1e-3)
            torch.testing.assert_close(together.pixels[sample], alone.pixels[0], rtol=0, atol=1e-4)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(0, 8, width=32), min_size=1, max_size=5))
def test_a_ladder_position_has_weights_for_its_two_anchors(chosen: list[float]) -> None:
    positions = torch.tensor(chosen)
    mix = mixing(positions, 9)
    assert mix.shape == (len(chosen), 9)
    assert mix.min() >= 0
    torch.testing.assert_close(mix.sum(1), torch.ones(len(chosen)))
    torch.testing.assert_close(mix @ torch.arange(9.0), positions)
    for row, position in zip(mix, chosen, strict=True):
        assert set(row.nonzero().flatten().tolist()) <= {math.floor(position), math.ceil(position)}


def test_between_two_anchors_scale_vectors_are_interpolated_in_their_logarithms(
    started: Cae2017Model,
) -> None:
    pixels = planar(photo(32, 32, 64, 128))
    started.eval()
    with torch.no_grad():
        between = started(pixels, torch.tensor([1.25]))
        moved = copy.deepcopy(started)
        for scale in (moved.log_gain, moved.log_inverse):
            scale[0] = 0.75 * scale[1] + 0.25 * scale[2]
        alone = moved(pixels, torch.tensor([0.0]))
        torch.testing.assert_close(between.bits, alone.bits, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(between.pixels, alone.pixels, rtol=0, atol=1e-4)
        low, high = (started(pixels, torch.tensor([anchor])).bits for anchor in (1.0, 2.0))
    assert low < between.bits < high


def test_restored_pixels_are_in_range(started: Cae2017Model) -> None:
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).round()
    with torch.no_grad():
        restored = started(noise, torch.tensor([0.0, 2.0])).pixels
    assert restored.min() >= -1e-6
    assert restored.max() <= 1 + 1e-6


def test_training_draws_noise_for_the_rate_and_rounds_for_the_picture(started: Cae2017Model) -> None:
    pixels, anchor = planar(photo(32, 32)), torch.tensor([1.0])
    started.train()
    with torch.no_grad():
        first, second = started(pixels, anchor), started(pixels, anchor)
        started.eval()
        evaluated, again = started(pixels, anchor), started(pixels, anchor)
    assert not torch.equal(first.bits, second.bits)
    assert torch.equal(evaluated.bits, again.bits)
    inside = (pixels > 0) & (pixels < 1)  # training asks for more at the ends of the range
    assert torch.equal(first.pixels[inside], evaluated.pixels[inside])
    assert (first.pixels - evaluated.pixels).abs().max() <= 2 / 255 + 1e-6


def test_the_evaluated_rate_is_the_information_of_the_rounded_latents(started: Cae2017Model) -> None:
    pixels = planar(photo(32, 32))
    started.eval()
    with torch.no_grad():
        gain = started.log_gain[1:2].exp()
        symbols = round_identity(started.analysis(pixels) * gain[..., None, None])
        expected = -started.prior.log_mass(symbols, gain).sum() / np.log(2)
        torch.testing.assert_close(started(pixels, torch.tensor([1.0])).bits[0], expected)


def test_masked_channels_cost_nothing_and_reach_neither_picture_nor_gradient(started: Cae2017Model) -> None:
    pixels, anchor = planar(photo(32, 32)), torch.tensor([1.0])
    mask = (torch.arange(8) < 3).float()
    started.eval()
    with torch.no_grad():
        kept = started(pixels, anchor, mask)
        whole = started(pixels, anchor)
        saved = started.analysis.conv3.weight.detach().clone()
        started.analysis.conv3.weight[3:] *= 5  # what a masked channel holds makes no difference
        changed = started(pixels, anchor, mask)
        started.analysis.conv3.weight.copy_(saved)
        assert started(pixels, anchor, torch.zeros(8)).bits.item() == 0
    assert 0 < float(kept.bits) < float(whole.bits)
    assert torch.equal(kept.bits, changed.bits)
    assert torch.equal(kept.pixels, changed.pixels)

    started.zero_grad()
    output = started(pixels, anchor, mask)
    (output.bits.sum() + output.pixels.square().sum()).backward()
    gradient = started.analysis.conv3.weight.grad
    assert gradient is not None
    assert not gradient[3:].any()
    assert gradient[:3].any()
    started.zero_grad()


@pytest.mark.parametrize("kind", ["mixture", "scale-mixture"])
def test_every_parameter_learns(kind: str) -> None:
    torch.manual_seed(0)
    model = Cae2017Model(tiny(prior={"kind": kind}, loss={"betas": [4e4, 8e4]}), photographs())
    output = model(planar(photo(32, 32, 100, 200)).expand(2, -1, -1, -1), torch.tensor([0.0, 1.0]))
    (output.bits.sum() / 1000 + output.pixels.square().sum()).backward()
    without = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any() or not torch.isfinite(parameter.grad).all()
    }
    # The first convolution of a residual block waits for the second one to leave its start at zero.
    assert {name for name in without if ".first." not in name} == set()
