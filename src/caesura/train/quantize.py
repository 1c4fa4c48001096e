"""Quantization, and the gradients that training puts in its place (Theis et al. 2017, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from caesura.train.shard import WHOLE, Shard

_MARGIN = 2 / 255


def round_identity(x: Tensor) -> Tensor:
    """Round to the nearest integer; the gradient is that of the identity. Used for the reconstruction."""
    return x + (torch.round(x) - x).detach()


def add_noise(x: Tensor, shard: Shard = WHOLE) -> Tensor:
    """Add uniform noise from [-1/2, 1/2): the continuous stand-in for rounding that the rate is taken of.

    Noise is drawn for the whole batch, of which `x` holds the samples of `shard`, so that a sample gets the
    same noise at any number of ranks.
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


def shown(original: Tensor, restored: Tensor, *, training: bool) -> Tensor:
    """A reconstruction as pictures hold it; in training such that white stays white and black black.

    Training counts a sample as right, where the original is at an end of the range, only from two levels
    beyond that end, so that the noise of rounded latents does not show in what decoders clip.

    Args:
        original: float (N, 3, H, W) in [0, 1].
        restored: float (N, 3, H, W), not clipped.
        training: whether samples have to lie beyond the ends.

    Returns:
        float (N, 3, H, W) in [0, 1], with a gradient of 1 everywhere.
    """
    if training:
        restored = restored - _MARGIN * ((original >= 1).float() - (original <= 0).float())
    return clip_identity(restored, 0, 1)


def clip_identity(x: Tensor, low: float, high: float) -> Tensor:
    """Clip to [low, high]; the gradient is 1 everywhere, so clipped pixels still learn."""
    return x + (torch.clamp(x, low, high) - x).detach()
