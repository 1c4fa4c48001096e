"""priors.py: probabilities of integers under Gaussian mixtures, and how safe they are in the tails."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from caesura.errors import ConfigError
from caesura.train.cae2017.priors import Mixture, Prior, ScaleMixture, make, mixture_log_mass
from caesura.train.config import PriorConfig
from caesura.train.forward import bits

KINDS = pytest.mark.parametrize("kind", ["mixture", "scale-mixture"])


def prior(kind: str, deviations: Tensor, seed: int = 0, components: int = 3) -> Prior:
    """A prior in float64 that has left its start: means and weights differ by channel and component."""
    made = make(PriorConfig(kind=kind, components=components), deviations).double()  # type: ignore[arg-type]
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random, dtype=torch.float64), alpha=0.5)
    return made


def erf_mass(value: Tensor, gain: Tensor, made: Prior) -> Tensor:
    """The textbook form, for (N, C) values: sums of differences of erf, in float64."""
    mean, scale = made.mean * gain[..., None], made.log_scale.exp() * gain[..., None]
    scale = torch.sqrt(scale**2 + 0.05**2)
    weight = torch.softmax(made.logit, dim=1)

    def cumulative(x: Tensor) -> Tensor:
        return 0.5 * (1 + torch.erf((x[..., None] - mean) / (scale * math.sqrt(2))))

    return (weight * (cumulative(value + 0.5) - cumulative(value - 0.5))).sum(-1)


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("gain", [0.03, 1.0, 17.3])
def test_the_masses_of_all_integers_sum_to_one(kind: str, gain: float) -> None:
    made = prior(kind, torch.tensor([0.01, 1.0, 9.0]))
    integers = torch.arange(-40_000, 40_001, dtype=torch.float64).expand(1, 3, -1)
    gains = torch.full((1, 3), gain, dtype=torch.float64)
    total = made.log_mass(integers, gains).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-7, rtol=0)


@pytest.mark.slow
@KINDS
@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    gain=st.floats(0.1, 10),
    position=st.floats(-4, 4),
    deviation=st.floats(0.1, 30),
)
def test_masses_equal_differences_of_erf_where_those_are_safe(
    kind: str, seed: int, gain: float, position: float, deviation: float
) -> None:
    made = prior(kind, torch.full((2,), deviation), seed)
    gains = torch.full((1, 2), gain, dtype=torch.float64)
    value = torch.full((1, 2), position * deviation * gain, dtype=torch.float64)
    expected = erf_mass(value, gains, made)
    close = torch.where(expected > 1e-6, made.log_mass(value, gains).exp() / expected, 1.0)
    torch.testing.assert_close(close, torch.ones_like(close), atol=1e-6, rtol=0)


@pytest.mark.slow
@KINDS
@settings(deadline=None)
@given(gain=st.floats(1e-3, 1e3), value=st.floats(-100, 100))
def test_a_gain_scales_means_and_deviations(kind: str, gain: float, value: float) -> None:
    made = prior(kind, torch.tensor([0.3, 4.0]))
    values = torch.full((1, 2), value, dtype=torch.float64)
    ones = torch.ones(1, 2, dtype=torch.float64)
    scaled = mixture_log_mass(values, ones, made.mean * gain, made.log_scale + math.log(gain), made.logit)
    torch.testing.assert_close(made.log_mass(values, ones * gain), scaled, atol=1e-9, rtol=1e-9)


def test_every_sample_has_its_own_gain_and_every_channel_its_own_parameters() -> None:
    made = prior("mixture", torch.tensor([0.5, 5.0]))
    values = torch.randn(3, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    gains = torch.tensor([[0.5, 1.0], [2.0, 3.0], [1.0, 1.0]], dtype=torch.float64)
    whole = made.log_mass(values, gains)
    assert whole.shape == values.shape
    for sample in range(3):
        for channel in range(2):
            part = mixture_log_mass(
                values[sample : sample + 1, channel : channel + 1],
                gains[sample : sample + 1, channel : channel + 1],
                *(p[channel : channel + 1] for p in (made.mean, made.log_scale, made.logit)),
            )
            torch.testing.assert_close(whole[sample, channel], part[0, 0])


def tail(
    kind: str, deviation: float, value: float, gain: float = 1.0, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The log mass of one value, and its gradients by the value, the gain and the parameters."""
    made = make(PriorConfig(kind=kind), torch.tensor([deviation])).to(dtype)  # type: ignore[arg-type]
    x = torch.tensor([[value]], dtype=dtype, requires_grad=True)
    g = torch.tensor([[gain]], dtype=dtype, requires_grad=True)
    result = made.log_mass(x, g)
    result.sum().backward()
    leaves = {"value": x, "gain": g} | dict(made.named_parameters())
    gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    assert gradients.keys() == leaves.keys()
    return {"log mass": result.detach(), **gradients}


@pytest.mark.slow
@KINDS
@settings(deadline=None, max_examples=300)
@given(
    value=st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([0.0, 0.5, -0.5, 1e2, 1e3, -1e4, 1e4])),
    exponent=st.floats(-6, 6),
    gain=st.sampled_from([1e-2, 1.0, 1e2]),
)
def test_mass_and_gradients_are_finite_however_far_out(
    kind: str, value: float, exponent: float, gain: float
) -> None:
    for name, got in tail(kind, 10**exponent, value, gain).items():
        assert torch.isfinite(got).all(), name


@KINDS
@pytest.mark.parametrize("deviation", [1e-3, 0.05, 1.0, 30.0])
@pytest.mark.parametrize("value", [0.3, 3.0, 30.0, 100.0, -1000.0, 10000.0])
def test_float32_gives_the_masses_and_slopes_of_float64(kind: str, deviation: float, value: float) -> None:
    single = tail(kind, deviation, value)
    double = tail(kind, deviation, value, dtype=torch.float64)
    for name in ("log mass", "value"):
        torch.testing.assert_close(single[name].double(), double[name], rtol=0.05, atol=1e-4)


@pytest.mark.slow
@KINDS
@settings(deadline=None)
@given(value=st.floats(-1e4, 1e4, width=32), exponent=st.floats(-6, 6))
def test_a_log_mass_is_never_above_zero(kind: str, value: float, exponent: float) -> None:
    made = make(PriorConfig(kind=kind), torch.tensor([10**exponent]))  # type: ignore[arg-type]
    assert made.log_mass(torch.tensor([[value]]), torch.ones(1, 1)).max() <= 0


@pytest.mark.slow
@settings(deadline=None)
@given(value=st.floats(0, 1e3), seed=st.integers(0, 2**31))
def test_the_scale_mixture_is_symmetric(value: float, seed: int) -> None:
    made = prior("scale-mixture", torch.tensor([0.2, 2.0]), seed)
    values = torch.full((1, 2), value, dtype=torch.float64)
    gains = torch.full((1, 2), 1.5, dtype=torch.float64)
    torch.testing.assert_close(made.log_mass(values, gains), made.log_mass(-values, gains))


def test_the_scale_mixture_has_six_scales_and_no_means_to_learn() -> None:
    made = make(PriorConfig(kind="scale-mixture"), torch.ones(5))
    assert isinstance(made, ScaleMixture)
    assert {name: tuple(p.shape) for name, p in made.named_parameters()} == {
        "log_scale": (5, 6),
        "logit": (5, 6),
    }
    assert not made.mean.any()


@pytest.mark.parametrize("components", [1, 3, 7])
def test_the_mixture_has_as_many_components_as_asked_for(components: int) -> None:
    made = make(PriorConfig(components=components), torch.ones(5))
    assert isinstance(made, Mixture)
    assert {tuple(p.shape) for p in made.parameters()} == {(5, components)}


@KINDS
def test_a_new_prior_expects_the_deviations_it_was_given(kind: str) -> None:
    deviations = torch.tensor([0.5, 4.0, 60.0])
    made = make(PriorConfig(kind=kind), deviations).double()  # type: ignore[arg-type]
    integers = torch.arange(-3000, 3001, dtype=torch.float64)
    mass = made.log_mass(integers.expand(1, 3, -1), torch.ones(1, 3, dtype=torch.float64))[0].exp()
    found = (mass * integers**2).sum(-1).sqrt()
    assert ((found > deviations / 3) & (found < deviations * 3)).all()


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match=r"prior\.kind is 'cauchy'"):
        make(PriorConfig(kind="cauchy"), torch.ones(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_bits_are_summed_per_sample(shape: Any) -> None:
    log_mass = torch.full(shape, math.log(0.25))
    log_mass[1] = math.log(0.5)
    per_sample = math.prod(shape[1:])
    torch.testing.assert_close(bits(log_mass), torch.tensor([2.0 * per_sample, 1.0 * per_sample]))
