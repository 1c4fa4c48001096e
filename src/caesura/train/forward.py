"""Parts of the training pass that both architectures share: ladder weights, quantization, bits.

Quantization and its gradients: Theis et al. 2017, section 2.1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_OVERSHOOT = 2 / 255  # two levels


class Shard(NamedTuple):
    """A rank's samples of a batch: every `ranks`-th one, beginning with number `rank`."""

    rank: int = 0
    ranks: int = 1

    @property
    def rows(self) -> slice:
        """The rank's part of anything whose first axis is the whole batch."""
        return slice(self.rank, None, self.ranks)


WHOLE = Shard()


class Output(NamedTuple):
    """Result of a forward pass."""

    pixels: Tensor  # float (N, 3, H, W) in [0, 1]; see `reconstruction`
    bits: Tensor  # float (N,), the estimated size of each sample


def mixing(position: Tensor, anchors: int) -> Tensor:
    """Weights of the ladder's anchors at ladder positions: (N, anchors), rows that sum to one.

    Args:
        position: float (N,), 0 to anchors - 1.
        anchors: their number.
    """
    return (1 - (position[:, None] - torch.arange(anchors, device=position.device)).abs()).clamp(min=0)


def bits(log_mass: Tensor) -> Tensor:
    """Bits per sample, float32 (N,), of natural logarithms of probabilities, float32 (N, C, ...)."""
    return -log_mass.flatten(1).sum(1) / math.log(2)


def round_identity(x: Tensor) -> Tensor:
    """`x` rounded to integers, with the gradient of the identity; used for the reconstruction."""
    return x + (torch.round(x) - x).detach()


def add_noise(x: Tensor, shard: Shard = WHOLE) -> Tensor:
    """`x` plus uniform noise from [-1/2, 1/2), which stands for rounding where the rate is estimated.

    Noise is drawn for the whole batch, of which `x` holds the samples of `shard`: a sample gets the same
    noise at any number of ranks.
    """
    if shard.ranks == 1:
        return x + (torch.rand_like(x) - 0.5)
    # Random numbers fill memory in order; a whole batch has the layout of its part.
    planes = x.is_contiguous() or x.dim() != 4
    whole = torch.empty(
        (len(x) * shard.ranks, *x.shape[1:]),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.contiguous_format if planes else torch.channels_last,
    )
    return x + (whole.uniform_()[shard.rows] - 0.5)


def reconstruction(original: Tensor, restored: Tensor, *, training: bool) -> Tensor:
    """A reconstruction clipped to [0, 1]; in training white and black have to overshoot.

    Where the original is 0 or 1, training takes two levels off the reconstruction before it clips. It then
    learns to exceed the range by two levels there, and the noise of rounded latents disappears in the clip of
    the decoder: white stays white, black stays black.

    Args:
        original: float (N, 3, H, W) in [0, 1].
        restored: float (N, 3, H, W), not clipped.
        training: whether to ask for the overshoot.

    Returns:
        float (N, 3, H, W) in [0, 1], with a gradient of 1 everywhere.
    """
    if training:
        restored = restored - _OVERSHOOT * ((original >= 1).float() - (original <= 0).float())
    return clip_identity(restored, 0, 1)


def clip_identity(x: Tensor, low: float, high: float) -> Tensor:
    """`x` clipped to [low, high], with a gradient of 1 everywhere, so that clipped pixels still learn."""
    return x + (torch.clamp(x, low, high) - x).detach()
