"""Entropy models of the latents: the probability of each integer in each channel, independent of position.

Both give the mass of a mixture of Gaussians over [k - 1/2, k + 1/2]. The mixture describes the latent
*before* the rate's scale vector; scaling a latent by g scales every mean and standard deviation by g, so
one set of parameters serves all rates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from caesura.errors import ConfigError
from caesura.train.config import PriorConfig

_SMALLEST_SCALE = 0.05  # in quantization steps; below it a bin holds all of a component's mass anyway
_PAPER_SCALES = 6


class Mixture(nn.Module):
    """Gaussian mixture per channel: mean, scale and weight for each of K components.

    Attributes:
        mean, log_scale, logit: float32 (channels, K), in units of the unscaled latent.
    """

    def __init__(self, deviations: Tensor, components: int = 3) -> None:
        """`deviations`: float (channels,), each unscaled latent channel's expected standard deviation."""
        super().__init__()
        spread = torch.logspace(-0.7, 0.5, components) if components > 1 else torch.ones(1)
        self.mean = nn.Parameter(torch.zeros(len(deviations), components))
        self.log_scale = nn.Parameter(torch.log(deviations[:, None] * spread))
        self.logit = nn.Parameter(torch.zeros(len(deviations), components))

    def log_mass(self, value: Tensor, gain: Tensor) -> Tensor:
        """Natural logarithm of the mass over [value - 1/2, value + 1/2], see `mixture_log_mass`."""
        return mixture_log_mass(value, gain, self.mean, self.log_scale, self.logit)


class ScaleMixture(nn.Module):
    """Zero-mean Gaussian scale mixture with 6 scales per channel (Theis et al. 2017, section 2.3)."""

    mean: Tensor

    def __init__(self, deviations: Tensor) -> None:
        """`deviations`: as for `Mixture`."""
        super().__init__()
        spread = torch.logspace(-1.5, 0.75, _PAPER_SCALES)
        self.register_buffer("mean", torch.zeros(len(deviations), _PAPER_SCALES))
        self.log_scale = nn.Parameter(torch.log(deviations[:, None] * spread))
        self.logit = nn.Parameter(torch.zeros(len(deviations), _PAPER_SCALES))

    def log_mass(self, value: Tensor, gain: Tensor) -> Tensor:
        """Natural logarithm of the mass over [value - 1/2, value + 1/2], see `mixture_log_mass`."""
        return mixture_log_mass(value, gain, self.mean, self.log_scale, self.logit)


Prior = Mixture | ScaleMixture


def make(config: PriorConfig, deviations: Tensor) -> Prior:
    """The prior that `config` names, started from the given standard deviations."""
    if config.kind == "mixture":
        return Mixture(deviations, config.components)
    if config.kind == "scale-mixture":
        return ScaleMixture(deviations)
    raise ConfigError(f"prior.kind is {config.kind!r}; it must be 'mixture' or 'scale-mixture'")


def mixture_log_mass(value: Tensor, gain: Tensor, mean: Tensor, log_scale: Tensor, logit: Tensor) -> Tensor:
    """Log of the mixture's mass over unit bins, safe for any finite input.

    Each bin is mirrored into the lower tail of its component, where log Phi keeps full relative precision,
    and the difference is taken in the log domain; nothing underflows, however far out the value lies.

    Args:
        value: float (N, C, ...), scaled latents, integer or not.
        gain: float (N, C) or (1, C), the scale vector each sample was multiplied by.
        mean, log_scale, logit: float (C, K).

    Returns:
        float (N, C, ...), at most 0; computed in the precision of the arguments, float32 or float64.
    """
    trailing = (1,) * (value.dim() - 2)
    gain = gain.reshape(*gain.shape, *trailing, 1)
    shape = (1, mean.shape[0], *trailing, mean.shape[1])
    scale = torch.sqrt((log_scale.exp().reshape(shape) * gain) ** 2 + _SMALLEST_SCALE**2)
    distance = (value[..., None] - mean.reshape(shape) * gain).abs()
    upper = _log_phi((0.5 - distance) / scale)
    lower = _log_phi((-0.5 - distance) / scale)
    mass = upper + torch.log(-torch.expm1(torch.clamp(lower - upper, max=-1e-7)))
    weight = torch.log_softmax(logit, dim=1).reshape(shape)
    return torch.logsumexp(weight + mass, dim=-1).clamp(max=0)


def _log_phi(z: Tensor) -> Tensor:
    """Logarithm of the normal distribution function for z up to 10, its gradient exact however low z is.

    torch.special.log_ndtr has the value but not the gradient: that cancels in the tail and ends in NaN.
    Above z = 13 erfcx would overflow; the scale's lower bound keeps z at 10 or less.
    """
    x = z * -math.sqrt(0.5)
    return torch.log(0.5 * torch.special.erfcx(x)) - x * x
