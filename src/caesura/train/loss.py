"""R + beta * D.

R is in bits per pixel. D is the mean squared error over pixels and channels with pixels in [0, 1], or
1 - MS-SSIM. With the other convention in use, R + lambda * 255^2 * MSE of pixels in [0, 1], as CompressAI
writes it: beta = 255^2 * lambda, so beta 65 is lambda 0.001 and beta 6500 is lambda 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from caesura.train.ladder import mixing


def distortion(original: Tensor, restored: Tensor, kind: Literal["mse", "ms-ssim"]) -> Tensor:
    """Distortion per sample.

    Args:
        original, restored: float (N, 3, H, W) in [0, 1].
        kind: "mse", or "ms-ssim" for 1 - MS-SSIM, which needs H and W above 160.

    Returns:
        float (N,).
    """
    if kind == "mse":
        return ((original - restored) ** 2).flatten(1).mean(1)
    from pytorch_msssim import ms_ssim

    similarity: Tensor = ms_ssim(original, restored, data_range=1.0, size_average=False)
    return 1 - similarity


def rate_distortion(bpp: Tensor, distortions: Tensor, betas: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of R + beta * D over a batch of mixed rates.

    Args:
        bpp, distortions, betas: float (N,).
        weights: float (N,), each sample's; `sample_weights(betas)` if not given. A part of a batch needs its
            part of the whole batch's: the mean over equal parts is then that of the whole.
    """
    weights = sample_weights(betas) if weights is None else weights
    return (weights * (bpp + betas * distortions)).mean()


def sample_weights(betas: Tensor) -> Tensor:
    """Weights of a batch's samples, float (N,) to (N,): 1 / sqrt(beta), scaled to a mean of one.

    The loss at its optimum grows about as sqrt(beta): so every rung of the ladder pulls about equally at the
    shared weights.
    """
    weights = torch.rsqrt(betas)
    return weights / weights.mean()


def betas_at(places: Tensor, betas: Sequence[float]) -> Tensor:
    """Each sample's beta: log-interpolated along the ladder at `places`, float (N,), 0 to len(betas) - 1."""
    return torch.exp(mixing(places, len(betas)) @ torch.log(torch.tensor(betas, device=places.device)))
