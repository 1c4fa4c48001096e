"""Quantization, and the gradients that training puts in its place (Theis et al. 2017, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor


def round_identity(x: Tensor) -> Tensor:
    """Round to the nearest integer; the gradient is that of the identity. Used for the reconstruction."""
    return x + (torch.round(x) - x).detach()


def add_noise(x: Tensor) -> Tensor:
    """Add uniform noise from [-1/2, 1/2): the continuous stand-in for rounding that the rate is taken of."""
    return x + (torch.rand_like(x) - 0.5)


def clip_identity(x: Tensor, low: float, high: float) -> Tensor:
    """Clip to [low, high]; the gradient is 1 everywhere, so clipped pixels still learn."""
    return x + (torch.clamp(x, low, high) - x).detach()
