"""cae2026/: the likelihoods, and exact control as training and as the coder has it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from cae2026_helpers import (
    ANCHORS,
    CHANNELS,
    HYPERLATENTS,
)
from caesura.coding import detail as layer
from caesura.entropy import control as runtime
from caesura.entropy.passes import PASSES, parts, pass_of
from caesura.models.bundle import DETAIL_LOWEST
from caesura.train.cae2026.control import (
    LOG_STEP,
    SMALLEST_SCALE,
    Control,
    clip_index,
    fixed_bias,
    groups,
    int8,
    magnitude,
)
from caesura.train.cae2026.detail import Detail
from caesura.train.cae2026.export import symbol_tables
from caesura.train.cae2026.hyperprior import HyperPrior
from caesura.train.cae2026.likelihood import Shape, logistic_log_mass
from caesura.train.forward import bits
from entropy_helpers import add

# Likelihood


def reference_log_mass(value: float, log_scale: float) -> float:
    """The difference of two sigmoids in double precision, both below zero, where it is well conditioned."""
    scale = math.exp(log_scale)
    upper, lower = (0.5 - abs(value)) / scale, (-0.5 - abs(value)) / scale
    return math.log(1 / (1 + math.exp(-upper)) - 1 / (1 + math.exp(-lower)))


@pytest.mark.slow
@given(value=st.floats(-20, 20), log_scale=st.floats(-3.4, 7))
def test_the_logistic_mass_is_a_difference_of_sigmoids(value: float, log_scale: float) -> None:
    expected = reference_log_mass(value, log_scale)
    exact = logistic_log_mass(*torch.tensor([value, log_scale], dtype=torch.float64))
    assert float(exact) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    single = logistic_log_mass(torch.tensor(value), torch.tensor(log_scale))
    assert float(single) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.slow
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
        chosen = [(part, indices.index(part)) for part in parts(number, control.channels)]
        for part, index in chosen:
            found[part.at] = index
            add(indices, part, symbols)
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


@pytest.mark.slow
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
        position = row / 8
        mix = torch.tensor([[max(0.0, 1 - abs(position - anchor)) for anchor in range(ANCHORS)]])
        with torch.no_grad():
            trained = control.base(torch.zeros(1, 3, 1, 1), mix)[0, :, 0, 0].numpy()
        np.testing.assert_allclose(rows[row] / 32, trained, atol=1 / 64 + 1e-4, rtol=0)


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
