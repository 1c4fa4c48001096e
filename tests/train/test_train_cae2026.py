"""cae2026/: the start as a transform codec, networks, the model."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cae2026_helpers import (
    ANCHORS,
    BETAS,
    CHANNELS,
    HYPERLATENTS,
    SIDE,
    batch,
    config,
    fresh,
    squares,
    stir,
    stirred,
)
from caesura.entropy.passes import PASSES
from caesura.train import loss
from caesura.train.cae2026.control import (
    groups,
    index_of,
)
from caesura.train.cae2026.hyperprior import HyperAnalysis, HyperSynthesis, Means
from caesura.train.cae2026.klt import principal_components
from caesura.train.cae2026.model import Cae2026Model
from caesura.train.cae2026.networks import (
    PIXEL_DEVIATION,
    PIXEL_MEAN,
    Analysis,
    Block,
    Modulation,
    Synthesis,
)
from caesura.train.config import TransformConfig
from train_helpers import photo, planar

PATCH = 768  # numbers in a 16x16 RGB patch


def rows_of(pixels: Tensor) -> Tensor:
    """Normalised 16x16 patches as rows, in the order of the transform's channels: float (patches, 768)."""
    normal = (pixels - torch.tensor(PIXEL_MEAN).reshape(1, 3, 1, 1)) / PIXEL_DEVIATION
    return F.pixel_unshuffle(F.pixel_unshuffle(normal, 8), 2).permute(0, 2, 3, 1).reshape(-1, PATCH)


def one_hot(anchor: int, count: int = 1) -> Tensor:
    """Mixing weights of one anchor."""
    return torch.eye(ANCHORS)[anchor].expand(count, -1)


# The start: principal components


@pytest.fixture(scope="module")
def complete() -> tuple[Tensor, Tensor]:
    """All 768 components of the squares, and their deviations."""
    return principal_components(squares(), PATCH)


def test_the_components_are_orthonormal_and_complete(complete: tuple[Tensor, Tensor]) -> None:
    components, _ = complete
    torch.testing.assert_close(components @ components.T, torch.eye(PATCH), atol=1e-5, rtol=0)
    patches = rows_of(batch())
    torch.testing.assert_close(patches @ components.T @ components, patches, atol=1e-4, rtol=0)


def test_the_deviations_are_those_of_the_coordinates(complete: tuple[Tensor, Tensor]) -> None:
    components, deviations = complete
    patches = rows_of(torch.from_numpy(squares()).permute(0, 3, 1, 2).float() / 255)
    measured = (patches @ components.T).double().pow(2).mean(0).sqrt().float()
    torch.testing.assert_close(deviations, measured, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("count", [16, PATCH])
def test_components_are_dealt_so_that_every_group_has_the_same_mix(
    complete: tuple[Tensor, Tensor], count: int
) -> None:
    """Read across the groups, rank by rank, the deviations fall."""
    deviations = complete[1] if count == PATCH else principal_components(squares(), count)[1]
    by_rank = deviations.reshape(PASSES, count // PASSES).T.flatten()
    assert (by_rank.diff() <= 0).all()
    torch.testing.assert_close(by_rank, complete[1].sort(descending=True).values[:count])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("position", [0.0, 1.4, 2.0])
def test_a_fresh_model_of_all_components_gives_the_picture_back(position: float, precision: str) -> None:
    """Where networks run in bf16 the linear parts do not."""
    model = Cae2026Model(config(network={"latent_channels": PATCH}), squares())
    pixels = planar(photo(48, 80, 120, 200))
    mix = torch.tensor([[max(0.0, 1 - abs(position - anchor)) for anchor in range(ANCHORS)]])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        latent = model.analysis(pixels, mix)
        assert latent.shape == (1, PATCH, 3, 5)
        torch.testing.assert_close(model.synthesis(latent, mix), pixels, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_fresh_model_of_few_components_projects_on_them() -> None:
    model, mix = fresh(), one_hot(1, 8)
    components, _ = principal_components(squares(), CHANNELS)
    with torch.no_grad():
        restored = model.synthesis(model.analysis(batch(), mix), mix)
        again = model.synthesis(model.analysis(restored, mix), mix)
    patches = rows_of(batch())
    torch.testing.assert_close(rows_of(restored), patches @ components.T @ components, atol=1e-3, rtol=0)
    torch.testing.assert_close(again, restored, atol=1e-4, rtol=0)


@pytest.mark.parametrize("anchor", range(ANCHORS))
def test_indices_start_at_the_scale_of_each_component(anchor: int) -> None:
    """The index of a logistic distribution as wide as the channel's latents are, in quantization steps."""
    model = fresh()
    pixels = torch.from_numpy(squares()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        latent = model.analysis(pixels, one_hot(anchor, len(pixels))) * model.log_gain[anchor, 0].exp()
        index = model.control.base(torch.zeros(1, HYPERLATENTS, 1, 1), one_hot(anchor))
    scale = latent.pow(2).mean((0, 2, 3)).sqrt() * math.sqrt(3) / math.pi
    torch.testing.assert_close(
        index, index_of(scale)[None, :, None, None].expand(-1, -1, 4, 4), atol=0.02, rtol=0
    )


def test_gains_start_as_high_rate_theory_has_them() -> None:
    """Steps go with 1 / sqrt(beta); the scale vector after quantization undoes that before it."""
    model = fresh()
    expected = (torch.tensor(BETAS) / BETAS[0]).sqrt()[:, None].expand(-1, CHANNELS)
    torch.testing.assert_close(model.log_gain.exp(), expected)
    torch.testing.assert_close(model.log_gain, -model.log_inverse)


# Networks


@pytest.mark.parametrize("fine_blocks", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 80), (48, 16)])
def test_the_transforms_have_sixteen_pixels_a_latent(height: int, width: int, fine_blocks: int) -> None:
    shape = TransformConfig(8, fine_blocks, 12, 1)
    analysis, synthesis = Analysis(20, ANCHORS, shape), Synthesis(20, ANCHORS, shape)
    latent = analysis(torch.rand(2, 3, height, width), one_hot(0, 2))
    assert latent.shape == (2, 20, height // 16, width // 16)
    assert synthesis(latent, one_hot(0, 2)).shape == (2, 3, height, width)


def test_the_hyper_networks_have_four_latents_a_position() -> None:
    scaled = torch.randn(2, CHANNELS, 8, 12)
    hyper = HyperAnalysis(CHANNELS, HYPERLATENTS, ANCHORS, 8)(scaled, one_hot(0, 2))
    assert hyper.shape == (2, HYPERLATENTS, 2, 3)
    features = HyperSynthesis(HYPERLATENTS, ANCHORS, 8, 5)(hyper, one_hot(0, 2))
    assert features.shape == (2, 5, 8, 12)
    means = Means(CHANNELS, 5, ANCHORS, 8)(features, scaled, one_hot(0, 2))
    assert means.shape == scaled.shape
    assert not means.any()  # they start at zero


@pytest.mark.parametrize("stage", ["fine", "coarse"])
@pytest.mark.parametrize("which", ["analysis", "synthesis"])
def test_the_rate_changes_nothing_while_the_tables_are_zero(which: str, stage: str) -> None:
    torch.manual_seed(0)
    shape = TransformConfig(8, 1, 12, 1)
    network = {"analysis": Analysis, "synthesis": Synthesis}[which](CHANNELS, ANCHORS, shape)
    for name, parameter in network.named_parameters():
        if not name.endswith("table"):
            torch.nn.init.normal_(parameter, std=0.1)
    x = torch.rand(1, 3, 32, 48) if which == "analysis" else torch.randn(1, CHANNELS, 2, 3)
    first, second = network(x, one_hot(0)), network(x, torch.tensor([[0.3, -2.0, 5.0]]))
    assert torch.equal(first, second)
    torch.nn.init.normal_(getattr(network, stage)[0].enter_scale.table, std=0.1)
    assert not torch.equal(network(x, one_hot(0)), network(x, one_hot(1)))


@pytest.mark.slow
@given(share=st.floats(0, 1), seed=st.integers(0, 99), batch=st.sampled_from([1, 2]))
def test_modulation_interpolates_between_anchors(share: float, seed: int, batch: int) -> None:
    torch.manual_seed(seed)
    modulation, conv = Modulation(ANCHORS, 4), torch.nn.Conv2d(4, 4, 1)
    torch.nn.init.dirac_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    x = torch.randn(batch, 4, 2, 3)
    assert torch.equal(modulation(x, one_hot(1, batch), conv), x)  # as it starts
    torch.nn.init.normal_(modulation.table)
    between = modulation(x, (1 - share) * one_hot(1, batch) + share * one_hot(2, batch), conv)
    expected = torch.lerp(
        modulation(x, one_hot(1, batch), conv), modulation(x, one_hot(2, batch), conv), share
    )
    torch.testing.assert_close(between, expected, atol=1e-5, rtol=1e-5)
    result = modulation(x, one_hot(0, batch), conv)
    torch.testing.assert_close(result[:, 2], x[:, 2] * (1 + modulation.table[0, 2]))


@pytest.mark.parametrize("groups", [1, 4])
def test_modulation_of_one_sample_scales_the_weights(groups: int) -> None:
    torch.manual_seed(3)
    modulation, conv = Modulation(ANCHORS, 4), torch.nn.Conv2d(4, 4, 3, padding=1, groups=groups)
    torch.nn.init.normal_(modulation.table)
    x = torch.randn(1, 4, 5, 6)
    expected = modulation(x.expand(2, -1, -1, -1), one_hot(1, 2), conv)[:1]
    torch.testing.assert_close(modulation(x, one_hot(1), conv), expected)


def test_a_block_starts_as_the_identity() -> None:
    x = torch.randn(2, 6, 4, 5)
    assert torch.equal(Block(6, ANCHORS)(x, one_hot(0, 2)), x)


@pytest.mark.parametrize("fine_blocks", [1, 2])
def test_without_its_last_stage_a_transform_is_linear(fine_blocks: int) -> None:
    torch.manual_seed(0)
    shape = TransformConfig(8, fine_blocks, 12, 2)
    analysis, synthesis = Analysis(CHANNELS, ANCHORS, shape), Synthesis(CHANNELS, ANCHORS, shape)
    for network in (analysis, synthesis):
        stir(network, 0.1)
        torch.nn.init.zeros_(network.leave.weight)
        torch.nn.init.zeros_(network.leave.bias)
    pixels, latent = torch.rand(2, 3, 32, 48), torch.randn(2, CHANNELS, 2, 3)
    with torch.no_grad():
        rows = latent.permute(0, 2, 3, 1).reshape(-1, CHANNELS)
        projected = rows_of(pixels) @ analysis.linear.weight.reshape(CHANNELS, PATCH).T
        found = analysis(pixels, one_hot(0, 2)).permute(0, 2, 3, 1).reshape(-1, CHANNELS)
        torch.testing.assert_close(found, projected, atol=1e-5, rtol=1e-5)
        restored = rows @ synthesis.linear.weight.reshape(PATCH, CHANNELS).T
        torch.testing.assert_close(rows_of(synthesis(latent, one_hot(0, 2))), restored, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("coarse_blocks", [0, 1])
def test_a_transform_has_parameters_for_the_stages_that_it_has(coarse_blocks: int) -> None:
    shape = TransformConfig(8, 1, 12, coarse_blocks)
    for network, between in (
        (Analysis(CHANNELS, ANCHORS, shape), "down"),
        (Synthesis(CHANNELS, ANCHORS, shape), "up"),
    ):
        stages = {name.split(".")[0] for name, _ in network.named_parameters()}
        coarse = {"coarse"} if coarse_blocks else set()
        assert stages == {"linear", "enter", "fine", between, "leave"} | coarse


# The model


@pytest.mark.parametrize("training", [True, False])
def test_forward_gives_pixels_and_bits(training: bool) -> None:
    model = stirred().train(training)
    with torch.no_grad():
        pixels, size = model(batch(5), torch.tensor([0.0, 0.4, 1.0, 1.7, 2.0]))
    assert pixels.shape == (5, 3, SIDE, SIDE)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert size.shape == (5,)
    assert (size > 0).all()
    assert torch.isfinite(size).all()


def test_training_draws_noise_for_the_rate_alone() -> None:
    model, positions = stirred(), torch.tensor([0.5, 1.5])
    with torch.no_grad():
        first, second = model.train()(batch(2), positions), model(batch(2), positions)
        third, fourth = model.eval()(batch(2), positions), model(batch(2), positions)
    assert torch.equal(third.bits, fourth.bits)
    assert (first.bits != second.bits).all()
    torch.testing.assert_close(first.bits, third.bits, rtol=0.3, atol=0)
    assert torch.equal(second.pixels, first.pixels)
    inside = (batch(2) > 0) & (batch(2) < 1)  # training asks for more at the ends of the range
    for output in (third, fourth):
        assert torch.equal(output.pixels[inside], first.pixels[inside])
        assert (output.pixels - first.pixels).abs().max() <= 2 / 255 + 1e-6


def test_further_up_the_ladder_a_fresh_model_spends_more_and_errs_less() -> None:
    positions = torch.linspace(0, ANCHORS - 1, 9)
    pixels = batch(1).expand(9, -1, -1, -1)
    with torch.no_grad():
        restored, size = fresh(network={"latent_channels": CHANNELS}).eval()(pixels, positions)
    assert (size.diff() > 0).all()
    assert (loss.distortion(pixels, restored, "mse").diff() < 0).all()


def test_each_sample_is_coded_at_its_own_ladder_position() -> None:
    model, pixels, positions = stirred().eval(), batch(4), torch.tensor([2.0, 0.0, 1.3, 0.6])
    with torch.no_grad():
        together = model(pixels, positions)
        for number in range(4):
            alone = model(pixels[number : number + 1], positions[number : number + 1])
            torch.testing.assert_close(alone.bits[0], together.bits[number], rtol=1e-4, atol=0)
            torch.testing.assert_close(alone.pixels[0], together.pixels[number], rtol=0, atol=1e-4)


def test_every_parameter_of_the_base_learns() -> None:
    model = stirred()
    with torch.no_grad():
        model.hyper_analysis.leave.weight.mul_(30)  # a hyperlatent that rounds to zero would teach nothing
    pixels, positions = planar(photo(128, 128, 60, 160)).expand(2, -1, -1, -1), torch.tensor([0.5, 1.5])
    torch.manual_seed(0)
    restored, size = model(pixels, positions)
    distortions = loss.distortion(pixels, restored, "mse")
    loss.rate_distortion(size / 128**2, distortions, loss.betas_at(positions, BETAS)).backward()
    for name, parameter in model.named_parameters():
        if name.startswith("detail."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any(), name


def test_muon_trains_the_maps_of_channels_alone() -> None:
    model = fresh()
    chosen = {id(weight) for weight in model.inner_weights()}
    named = {name for name, parameter in model.named_parameters() if id(parameter) in chosen}
    assert {"analysis.linear.weight", "synthesis.fine.0.widen.weight", "means.3.leave.weight"} <= named
    assert not {name for name in named if "depthwise" in name or not name.endswith("weight")}
    assert not {name for name in named if name.startswith(("control.", "detail.", "shape.", "hyper_prior."))}


class Watched:
    """What one forward pass of a model does, with latents and a hyperlatent instead of pixels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model = stirred().eval()
        self.means: dict[int, Tensor] = {}
        self.symbols = self.index = self.latent = torch.empty(0)
        for number, net in enumerate(self.model.means):
            net.register_forward_hook(
                lambda _, __, output, number=number: self.means.update({number: output})
            )
        log_mass = self.model.shape.log_mass

        def watched(symbols: Tensor, index: Tensor) -> Tensor:
            self.symbols, self.index = symbols, index
            return log_mass(symbols, index)

        monkeypatch.setattr(self.model.shape, "log_mass", watched)
        hyper = 3 * torch.randn(1, HYPERLATENTS, 2, 2, generator=torch.Generator().manual_seed(0))
        self.model.analysis.register_forward_hook(lambda *_: self.latent)
        self.model.hyper_analysis.register_forward_hook(lambda *_: hyper)

    @torch.no_grad()
    def code(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Symbols, table indices, float (C, 8, 8), and the means of all passes, float (4, C, 8, 8)."""
        self.latent = latent
        self.model(torch.zeros(1, 3, 128, 128), torch.tensor([1.2]))
        return self.symbols[0], self.index[0], torch.cat([self.means[number] for number in range(PASSES)])


@pytest.mark.parametrize("number", range(PASSES))
def test_a_pass_depends_on_earlier_passes_alone(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    watched = Watched(monkeypatch)
    generator = torch.Generator().manual_seed(1)
    latent, change = 4 * torch.randn(2, 1, CHANNELS, 8, 8, generator=generator)
    order = groups(CHANNELS, 8, 8)
    symbols, index, means = watched.code(latent)
    other_symbols, other_index, other_means = watched.code(latent + change * (order >= number))
    assert torch.equal(other_symbols[order < number], symbols[order < number])
    assert torch.equal(other_index[order <= number], index[order <= number])
    assert torch.equal(other_means[: number + 1], means[: number + 1])
    assert not torch.equal(other_symbols[order == number], symbols[order == number])

    if number + 1 < PASSES:  # the next pass sees what it codes
        following = order == number + 1
        assert not torch.equal(other_index[following], index[following])
        assert not torch.equal(other_means[number + 1], means[number + 1])
