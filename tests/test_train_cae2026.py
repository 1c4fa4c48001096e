"""cae2026/: the start as a transform codec, networks, likelihood, exact control, model, detail layer."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from cae2026_helpers import BETAS, CHANNELS, HYPERLATENTS, SIDE, config, fresh, squares, stirred
from caesura import detail as layer
from caesura.entropy import control as runtime
from caesura.entropy.passes import PASSES, parts, pass_of
from caesura.model import DETAIL_LOWEST
from caesura.train import checkpoint, loss, start
from caesura.train.cae2026.control import (
    LOG_STEP,
    SMALLEST_SCALE,
    Control,
    clip_index,
    fixed_bias,
    groups,
    index_of,
    int8,
    magnitude,
)
from caesura.train.cae2026.detail import Detail
from caesura.train.cae2026.export import symbol_tables
from caesura.train.cae2026.hyperprior import HyperAnalysis, HyperPrior, HyperSynthesis, Means
from caesura.train.cae2026.klt import principal_components
from caesura.train.cae2026.likelihood import Shape, logistic_log_mass
from caesura.train.cae2026.model import FlagshipModel
from caesura.train.cae2026.networks import (
    PIXEL_DEVIATION,
    PIXEL_MEAN,
    Analysis,
    Block,
    Modulation,
    Synthesis,
)
from caesura.train.crops import Pack
from caesura.train.output import bits
from train_helpers import make_pack, photo, planar, run_tiny

ANCHORS = len(BETAS)
PATCH = 768  # numbers in a 16x16 RGB patch


def batch(count: int = 8) -> Tensor:
    """float (count, 3, SIDE, SIDE) in [0, 1], squares from the middle of the photograph."""
    return torch.from_numpy(squares()[20 : 20 + count]).permute(0, 3, 1, 2).float() / 255


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


@pytest.mark.parametrize("place", [0.0, 1.4, 2.0])
def test_a_fresh_model_of_all_components_gives_the_picture_back(place: float) -> None:
    model = FlagshipModel(config(network={"latent_channels": PATCH}), squares())
    pixels = planar(photo(48, 80, 120, 200))
    mix = torch.tensor([[max(0.0, 1 - abs(place - anchor)) for anchor in range(ANCHORS)]])
    with torch.no_grad():
        latent = model.analysis(pixels, mix)
        assert latent.shape == (1, PATCH, 3, 5)
        torch.testing.assert_close(model.synthesis(latent, mix), pixels, atol=1e-4, rtol=0)


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


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 80), (48, 16)])
def test_the_transforms_have_sixteen_pixels_a_latent(height: int, width: int) -> None:
    shape = {"fine": 8, "fine_blocks": 2, "coarse": 12, "coarse_blocks": 1}
    analysis, synthesis = Analysis(20, ANCHORS, **shape), Synthesis(20, ANCHORS, **shape)
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


@pytest.mark.parametrize("which", ["analysis", "synthesis"])
def test_the_rate_changes_nothing_while_the_tables_are_zero(which: str) -> None:
    torch.manual_seed(0)
    shape = {"fine": 8, "fine_blocks": 1, "coarse": 12, "coarse_blocks": 1}
    network = {"analysis": Analysis, "synthesis": Synthesis}[which](CHANNELS, ANCHORS, **shape)
    for name, parameter in network.named_parameters():
        if not name.endswith("table"):
            torch.nn.init.normal_(parameter, std=0.1)
    x = torch.rand(1, 3, 32, 48) if which == "analysis" else torch.randn(1, CHANNELS, 2, 3)
    first, second = network(x, one_hot(0)), network(x, torch.tensor([[0.3, -2.0, 5.0]]))
    assert torch.equal(first, second)
    torch.nn.init.normal_(network.fine[0].enter_scale.table, std=0.1)
    assert not torch.equal(network(x, one_hot(0)), network(x, one_hot(1)))


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_modulation_interpolates_between_anchors(share: float, seed: int) -> None:
    torch.manual_seed(seed)
    modulation = Modulation(ANCHORS, 4)
    x = torch.randn(1, 4, 2, 3)
    assert torch.equal(modulation(x, one_hot(1)), x)  # as it starts
    torch.nn.init.normal_(modulation.table)
    between = modulation(x, (1 - share) * one_hot(1) + share * one_hot(2))
    expected = (1 - share) * modulation(x, one_hot(1)) + share * modulation(x, one_hot(2))
    torch.testing.assert_close(between, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(modulation(x, one_hot(0))[0, 2], x[0, 2] * (1 + modulation.table[0, 2]))


def test_a_block_starts_as_the_identity() -> None:
    x = torch.randn(2, 6, 4, 5)
    assert torch.equal(Block(6, ANCHORS)(x, one_hot(0, 2)), x)


# Likelihood


def reference_log_mass(value: float, log_scale: float) -> float:
    """The difference of two sigmoids in double precision, both below zero, where it is well conditioned."""
    scale = math.exp(log_scale)
    upper, lower = (0.5 - abs(value)) / scale, (-0.5 - abs(value)) / scale
    return math.log(1 / (1 + math.exp(-upper)) - 1 / (1 + math.exp(-lower)))


@given(value=st.floats(-20, 20), log_scale=st.floats(-3.4, 7))
def test_the_logistic_mass_is_a_difference_of_sigmoids(value: float, log_scale: float) -> None:
    expected = reference_log_mass(value, log_scale)
    exact = logistic_log_mass(*torch.tensor([value, log_scale], dtype=torch.float64))
    assert float(exact) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    single = logistic_log_mass(torch.tensor(value), torch.tensor(log_scale))
    assert float(single) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(mean=st.floats(-5, 5), log_scale=st.floats(-3.5, 3))
def test_the_logistic_mass_sums_to_one_over_the_integers(mean: float, log_scale: float) -> None:
    value = torch.arange(-1000, 1001, dtype=torch.float64) - mean
    mass = logistic_log_mass(value, torch.full_like(value, log_scale)).exp()
    assert float(mass.sum()) == pytest.approx(1, abs=1e-12)


def test_the_logistic_mass_is_finite_wherever_it_is_asked_for() -> None:
    values = torch.tensor([0.0, 1e-6, 0.499999, 0.5, 1.0, 7.3, 300.0, 32768.0, 1e5])
    values, scales = torch.meshgrid(torch.cat([-values, values]), torch.linspace(-3.5, 7, 43), indexing="ij")
    values, scales = values.clone().requires_grad_(), scales.clone().requires_grad_()
    mass = logistic_log_mass(values, scales)
    mass.sum().backward()
    assert torch.isfinite(mass).all()
    assert (mass <= 0).all()
    for leaf in (values, scales):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def shape_of(wide: float, slope: float) -> Shape:
    """A shape with a wide component of another weight, in double precision."""
    shape = Shape().double()
    with torch.no_grad():
        shape.logit.fill_(wide)
        shape.slope.fill_(slope)
    return shape


@pytest.mark.parametrize("index", [0.0, 10.3, 31.0, 63.0])
@pytest.mark.parametrize(("wide", "slope"), [(-1.5, 0.0), (2.0, -3.0)])
def test_the_tables_distribution_sums_to_one_and_falls_on_both_sides(
    index: float, wide: float, slope: float
) -> None:
    value = torch.arange(-25000, 25001, dtype=torch.float64)
    with torch.no_grad():
        mass = shape_of(wide, slope).log_mass(value, torch.full_like(value, index))
    assert float(mass.exp().sum()) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(mass, mass.flip(0))
    assert (mass[25000:].diff() < 0).all()


def test_the_weights_of_the_components_are_linear_in_the_index() -> None:
    """At index 0 the narrow one has all the weight, at the other end the wide one has."""
    value = torch.arange(-3.0, 4.0).double()
    shape = shape_of(-400.0, 800.0)
    for index, component in ((0.0, 0), (64.0, 1)):
        log_scale = math.log(SMALLEST_SCALE) + LOG_STEP * index + shape.log_ratio[component]
        alone = logistic_log_mass(value, log_scale.expand(7))
        torch.testing.assert_close(shape.log_mass(value, torch.full_like(value, index)), alone)


def test_the_hyperlatents_prior_sums_to_one_at_every_rate() -> None:
    torch.manual_seed(0)
    prior = HyperPrior(HYPERLATENTS, ANCHORS).double()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter)
    value = torch.arange(-2000, 2001).double().expand(2, HYPERLATENTS, -1)
    mix = torch.tensor([[1.0, 0, 0], [0, 0.3, 0.7]]).double()
    mass = prior.log_mass(value, mix)
    torch.testing.assert_close(mass.exp().sum(-1), torch.ones(2, HYPERLATENTS).double())
    torch.testing.assert_close(mass[1:], prior.log_mass(value[1:], mix[1:]))  # each sample has its own rate


# Exact control


def test_the_gradient_of_a_clipped_index_points_inward_only() -> None:
    index = torch.tensor([-5.0, -5.0, 0.0, 30.0, 63.0, 70.0, 70.0], requires_grad=True)
    clipped = clip_index(index)
    assert clipped.tolist() == [0, 0, 0, 30, 63, 63, 63]
    # Descent moves against the gradient: at -5 a positive one leads further out, at 70 a negative one.
    clipped.backward(torch.tensor([1.0, -1.0, 1.0, 2.0, -1.0, 1.0, -1.0]))
    assert index.grad is not None
    assert index.grad.tolist() == [0, -1, 1, 2, -1, 1, 0]


def test_weights_are_integers_of_eight_bits_that_learn_through_the_rounding() -> None:
    weight = torch.linspace(-1, 1, 2001).requires_grad_()
    fixed = int8(weight)
    fixed.sum().backward()
    per_unit = 32 / LOG_STEP  # steps of 1/32 index
    expected = torch.round(weight.detach() * per_unit).clamp(-127, 127)
    assert torch.equal(fixed.detach(), expected)
    inside = (weight.detach() * per_unit).abs() < 126
    assert weight.grad is not None
    assert (weight.grad[inside] == torch.tensor(per_unit)).all()


def test_training_and_coding_agree_on_every_magnitude() -> None:
    symbols = np.arange((1 << 15) + 1, dtype=np.int32)
    trained = magnitude(torch.from_numpy(symbols).float()).numpy()
    np.testing.assert_array_equal(trained, runtime.magnitude(symbols))
    np.testing.assert_array_equal(trained, magnitude(-torch.from_numpy(symbols).float()).numpy())


@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_training_and_coding_agree_on_the_passes(rows: int, columns: int) -> None:
    order = groups(8, rows, columns)
    assert order.shape == (8, rows, columns)
    expected = [
        [[pass_of(channel // 2, r, c) for c in range(columns)] for r in range(rows)] for channel in range(8)
    ]
    assert order.tolist() == expected


def random_control(channels: int, depth: int, below: int, anchors: int = ANCHORS) -> Control:
    """Weights as large as training may make them, with indices that mostly lie within the tables."""
    control = Control(channels, depth, anchors, below)
    with torch.no_grad():
        control.bias.normal_(4.5, 1.5)
        control.hyper.normal_(std=0.05)
        for weight in (*control.near, *control.far):
            weight.normal_(std=0.15)
    return control


@pytest.fixture(scope="module")
def freeze() -> Callable[[Control], runtime.Control]:
    """A function from trained control to what the coder has, with 17 rows of biases."""
    tables = symbol_tables(Shape(), 0).row(0)

    def frozen(control: Control) -> runtime.Control:
        with torch.no_grad():
            near = np.stack([int8(w)[:, 0].numpy().astype(np.int8) for w in control.near])
            far = np.stack([int8(w)[:, :, 0, 0].numpy().astype(np.int8) for w in control.far])
            base = int8(control.hyper).numpy().astype(np.int8)
            return runtime.Control(fixed_bias(control.bias, 17), base, near, far, 127, tables)

    return frozen


def coded_indices(
    control: runtime.Control, inputs: NDArray[np.int32], row: int, symbols: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Every index as the coder finds it, pass after pass."""
    indices = runtime.Indices(control, inputs, row, symbols.shape[1:])
    found = np.zeros(symbols.shape, np.uint8)
    for number in range(PASSES):
        chosen = [(part, indices.of(number, part)) for part in parts(number, control.channels)]
        for part, index in chosen:
            found[part.at] = index
            indices.learn(part, symbols[part.at])
    return found


def trained_indices(control: Control, base: Tensor, symbols: NDArray[np.int32]) -> Tensor:
    """Every real index as training finds it, from what is known before any symbol: float (C, h, w)."""
    order = groups(*symbols.shape)
    magnitudes = magnitude(torch.from_numpy(symbols).float())
    index = base
    for number in range(1, PASSES):
        update = control.step((magnitudes * (order < number))[None], number)[0]
        index = index + (order == number) * update
    return index


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1 << 30),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    below=st.sampled_from([2, 4]),
    row=st.integers(0, 16),
)
def test_the_index_of_training_is_the_index_of_the_coder(
    freeze: Callable[[Control], runtime.Control], seed: int, rows: int, columns: int, below: int, row: int
) -> None:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    control = random_control(8, 3, below)
    frozen = freeze(control)
    inputs = random.integers(-127, 128, (3, -(-rows // below), -(-columns // below)), dtype=np.int32)
    symbols = (random.standard_t(0.7, (8, rows, columns)) * 3).clip(-32768, 32767).astype(np.int32)
    with torch.no_grad():
        spread = control.base(torch.from_numpy(inputs)[None].float(), torch.zeros(1, ANCHORS))[0]
        bias = torch.from_numpy(frozen.bias[row]).float()[:, None, None] / 32
        index = trained_indices(control, spread[:, :rows, :columns] + bias, symbols)
    expected = torch.floor(index + 0.5).clamp(0, 63)
    np.testing.assert_array_equal(coded_indices(frozen, inputs, row, symbols), expected.numpy())


def test_the_coders_bias_is_the_trained_one_within_half_a_step(
    freeze: Callable[[Control], runtime.Control],
) -> None:
    """17 rows over three anchors: eight rows an anchor, interpolated between them."""
    torch.manual_seed(0)
    control = random_control(8, 3, 4)
    rows = freeze(control).bias
    for row in range(17):
        place = row / 8
        mix = torch.tensor([[max(0.0, 1 - abs(place - anchor)) for anchor in range(ANCHORS)]])
        with torch.no_grad():
            trained = control.base(torch.zeros(1, 3, 1, 1), mix)[0, :, 0, 0].numpy()
        np.testing.assert_allclose(rows[row] / 32, trained, atol=1 / 64 + 1e-4, rtol=0)


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
    model, places = stirred(), torch.tensor([0.5, 1.5])
    with torch.no_grad():
        first, second = model.train()(batch(2), places), model(batch(2), places)
        third, fourth = model.eval()(batch(2), places), model(batch(2), places)
    assert torch.equal(third.bits, fourth.bits)
    assert (first.bits != second.bits).all()
    torch.testing.assert_close(first.bits, third.bits, rtol=0.3, atol=0)
    for output in (second, third, fourth):
        assert torch.equal(output.pixels, first.pixels)


def test_further_up_the_ladder_a_fresh_model_spends_more_and_errs_less() -> None:
    places = torch.linspace(0, ANCHORS - 1, 9)
    pixels = batch(1).expand(9, -1, -1, -1)
    with torch.no_grad():
        restored, size = fresh(network={"latent_channels": CHANNELS}).eval()(pixels, places)
    assert (size.diff() > 0).all()
    assert (loss.distortion(pixels, restored, "mse").diff() < 0).all()


def test_each_sample_is_coded_at_its_own_place() -> None:
    model, pixels, places = stirred().eval(), batch(4), torch.tensor([2.0, 0.0, 1.3, 0.6])
    with torch.no_grad():
        together = model(pixels, places)
        for number in range(4):
            alone = model(pixels[number : number + 1], places[number : number + 1])
            torch.testing.assert_close(alone.bits[0], together.bits[number], rtol=1e-4, atol=0)
            torch.testing.assert_close(alone.pixels[0], together.pixels[number], rtol=0, atol=1e-4)


def test_every_parameter_of_the_base_learns() -> None:
    model = stirred()
    with torch.no_grad():
        model.hyper_analysis.leave.weight.mul_(30)  # a hyperlatent that rounds to zero would teach nothing
    pixels, places = planar(photo(128, 128, 60, 160)).expand(2, -1, -1, -1), torch.tensor([0.5, 1.5])
    torch.manual_seed(0)
    restored, size = model(pixels, places)
    distortions = loss.distortion(pixels, restored, "mse")
    loss.rate_distortion(size / 128**2, distortions, loss.betas_at(places, BETAS)).backward()
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
    """What one forward pass of a model does, fed with latents and a hyperlatent in place of pixels."""

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

    if number + 1 < PASSES:  # what it codes matters to the next
        following = order == number + 1
        assert not torch.equal(other_index[following], index[following])
        assert not torch.equal(other_means[number + 1], means[number + 1])


# Runs


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("cae2026"), side=SIDE)


@pytest.fixture(scope="module")
def finished(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a tiny run."""
    return run_tiny(config(), pack, tmp_path_factory.mktemp("runs") / "joint")


def resumed(last: Path, settings: dict[str, Any], pack: Path, folder: Path) -> dict[str, Any]:
    """All tensors of a run that lost its last checkpoint and was resumed."""
    run = shutil.copytree(last.parent.parent, folder)
    shutil.rmtree(run / "checkpoints" / last.name)
    return tensors(run_tiny(config(train=settings), pack, run, resume=True))


def tensors(folder: Path) -> dict[str, Any]:
    """Everything a checkpoint holds, flattened: a tensor or a number by its place."""
    found: dict[str, Any] = {}

    def gather(value: Any, place: str) -> None:
        if isinstance(value, dict | list):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                gather(inner, f"{place}/{key}")
        else:
            found[place] = value

    for path in sorted(folder.glob("*.pt")):
        gather(checkpoint.read(path), path.name)
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for place, value in one.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, other[place]), place
        else:
            assert value == other[place], place


def test_a_joint_run_leaves_the_detail_layer_and_what_is_fixed_alone(finished: Path) -> None:
    before, after = (checkpoint.read(finished.parent / name / "model.pt") for name in ("000002", "000004"))
    assert all(torch.isfinite(value).all() for value in after.values())
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    parameters = {name for name, _ in fresh().named_parameters()}
    assert {
        "analysis.linear.weight",
        "synthesis.leave.weight",
        "control.bias",
        "means.3.leave.bias",
    } <= changed
    assert changed <= {name for name in parameters if not name.startswith("detail.")}


def loss_of(checkpointed: Path, pack: Path) -> float:
    """The loss over the whole ladder of averaged weights, on the squares that they were trained on."""
    model, seen = FlagshipModel(config()), Pack(pack)
    model.load_state_dict(start.read(checkpointed).weights)
    pixels = torch.from_numpy(seen.squares[seen.train]).permute(0, 3, 1, 2).float() / 255
    places = torch.linspace(0, ANCHORS - 1, len(pixels))
    with torch.no_grad():
        restored, size = model.eval()(pixels, places)
    distortions = loss.distortion(pixels, restored, "mse")
    return float(loss.rate_distortion(size / SIDE**2, distortions, loss.betas_at(places, BETAS)))


def test_a_short_run_lowers_the_loss(pack: Path, tmp_path: Path) -> None:
    """The components are near an optimum for networks this small, so it begins away from them."""
    model = stirred()
    state = {"step": 1, "pixels": 0, "config": config().as_dict()}
    begun = checkpoint.save(tmp_path / "begun", model, AveragedModel(model), [], state)
    settings = {"steps": 40, "ema": 0.8, "checkpoint_every": 40}
    trained = run_tiny(config(train=settings), pack, tmp_path / "trained", start=begun)
    assert loss_of(trained, pack) < 0.9 * loss_of(begun, pack)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    pack: Path, finished: Path, tmp_path: Path
) -> None:
    assert_same(resumed(finished, {}, pack, tmp_path / "again"), tensors(finished))


def test_the_detail_stage_trains_the_detail_layer_alone_and_resumes_exactly(
    pack: Path, finished: Path, tmp_path: Path
) -> None:
    settings = {"stage": "detail"}
    last = run_tiny(config(train=settings), pack, tmp_path / "detail", start=finished)
    before, after = start.read(finished).weights, checkpoint.read(last / "model.pt")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("detail.")}
    assert_same(resumed(last, settings, pack, tmp_path / "again"), tensors(last))


# The detail layer


def test_the_detail_stage_counts_the_detail_layer_alone_on_top_of_the_base() -> None:
    """The base is what the ladder's top gives; further up, the detail layer costs more and errs less."""
    pixels, places = batch(1).expand(5, -1, -1, -1), torch.linspace(0, ANCHORS - 1, 5)
    base, model = stirred().eval(), stirred(train={"stage": "detail"}).eval()
    with torch.no_grad():
        top = base(pixels[:1], torch.tensor([ANCHORS - 1.0])).pixels
        restored, size = model(pixels, places)
        more = model.train()(pixels, places)
    assert torch.equal(more.bits, size)  # no noise here
    errors = loss.distortion(pixels, restored, "mse")
    assert (torch.cat([loss.distortion(pixels[:1], top, "mse"), errors]).diff() < 0).all()
    assert -10 * torch.log10(errors[-1]) > 44
    assert torch.isfinite(size).all()


@pytest.mark.parametrize("row", [0, 5, 16])
def test_the_detail_layer_of_training_is_that_of_the_coder(
    monkeypatch: pytest.MonkeyPatch, freeze: Callable[[Control], runtime.Control], row: int
) -> None:
    """Same symbols, same indices, same pixels, and so the same bits; `row` is of the coder's biases."""
    torch.manual_seed(0)
    detail = Detail(CHANNELS)
    detail.control = random_control(layer.BANDS, CHANNELS, 2)
    with torch.no_grad():
        for weight in (*detail.control.near, *detail.control.far):
            weight.mul_(0.1)  # many channels look at each other here
    random = np.random.default_rng(0)
    residual = (random.standard_t(3, (32, 48, 3)) * 12).astype(np.float32)
    magnitudes = random.integers(0, 9, (CHANNELS, 2, 3)).astype(np.uint8)
    seen: list[Tensor] = []
    log_mass = detail.shape.log_mass

    def watched(symbols: Tensor, index: Tensor) -> Tensor:
        seen.extend((symbols, index))
        return log_mass(symbols, index)

    monkeypatch.setattr(detail.shape, "log_mass", watched)
    with torch.no_grad():
        mass, restored = detail(
            torch.from_numpy(residual).permute(2, 0, 1)[None],
            torch.from_numpy(magnitudes)[None].float(),
            torch.tensor([row / 16]),
        )
    symbols, index = (value[0].numpy() for value in seen)
    assert mass.shape == (1, layer.BANDS, 4, 6)

    step = np.float32(16.0 * (4.25 / 16.0) ** (row / 16))
    expected = layer.quantize(layer.forward(residual) / step)
    assert 0.02 < (expected != 0).mean() < 0.9
    np.testing.assert_array_equal(symbols, expected)
    pixels = restored[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(pixels, layer.backward(expected * step), atol=1e-3)
    control = dataclasses.replace(freeze(detail.control), lowest=DETAIL_LOWEST)
    coded = coded_indices(control, magnitudes.astype(np.int32), row, expected)
    # The bias alone is rounded, to 1/32: next to a half the two may fall on either side.
    assert np.abs(coded - index).max() <= 0.5 + 1 / 64 + 1e-3
    assert 2 < coded.mean() < 61
    with torch.no_grad():
        exact = log_mass(torch.from_numpy(expected).float(), torch.from_numpy(coded).float())
    assert float(bits(exact[None])) == pytest.approx(float(bits(mass)), rel=0.02)
