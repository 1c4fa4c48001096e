"""R + beta * D.

R is in bits per pixel. D is the mean squared error over pixels and channels with pixels in [0, 1], or
"perceptual", a weighted sum of three errors:

    D = mix.mse * MSE + mix.ssimulacra2 * 6.5e-5 * S + mix.psnr_hvs * 0.5 * H

S is the weighted sum of SSIMULACRA 2 (`ssimulacra2.py`), H the weighted error of PSNR-HVS (`psnr_hvs.py`).
With these factors a bit buys about as much of each as of the squared error at the same beta.

In the convention of CompressAI, R + lambda * 255^2 * MSE of pixels in [0, 1], beta = 255^2 * lambda: beta 65
is lambda 0.001 and beta 6500 is lambda 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from caesura.train import psnr_hvs, ssimulacra2
from caesura.train.config import MixConfig
from caesura.train.forward import mixing

Kind = Literal["mse", "perceptual"]
# Units in squared errors: ratios of the slopes against the rate, measured along the ladder of a model trained
# for the squared error. They vary: 5.1e-5 to 7.0e-5, 0.3 (low rates) to 0.68 (high).
_SSIMULACRA2_UNIT, _PSNR_HVS_UNIT = 6.5e-5, 0.5
_MIX = MixConfig()


def distortion(original: Tensor, restored: Tensor, kind: Kind, mix: MixConfig = _MIX) -> Tensor:
    """Distortion per sample.

    Args:
        original, restored: float (N, 3, H, W) in [0, 1].
        kind: "mse" or "perceptual", which needs H and W to be multiples of 8.
        mix: weights of the parts of "perceptual".

    Returns:
        float (N,).
    """
    return _squared_error(original, restored) if kind == "mse" else _perceptual(original, restored, mix)


def _squared_error(original: Tensor, restored: Tensor) -> Tensor:
    return ((original - restored) ** 2).flatten(1).mean(1)


def _perceptual(original: Tensor, restored: Tensor, mix: MixConfig) -> Tensor:
    return (
        mix.mse * _squared_error(original, restored)
        + mix.ssimulacra2 * _SSIMULACRA2_UNIT * ssimulacra2.weighted_sum(original, restored)
        + mix.psnr_hvs * _PSNR_HVS_UNIT * psnr_hvs.weighted_error(original, restored)
    )


def rate_distortion(bpp: Tensor, distortions: Tensor, betas: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of R + beta * D over a batch of mixed rates.

    Args:
        bpp, distortions, betas: float (N,).
        weights: float (N,), of the samples; `sample_weights(betas)` by default. For a part of a batch, the
            part of the weights of the whole: the mean over equal parts is then that of the whole batch.
    """
    weights = sample_weights(betas) if weights is None else weights
    return (weights * (bpp + betas * distortions)).mean()


def sample_weights(betas: Tensor) -> Tensor:
    """Weights of the samples of a batch, float (N,) to (N,): 1 / sqrt(beta), scaled to a mean of one.

    The loss at its optimum is about proportional to sqrt(beta); with these weights all parts of the ladder
    have about the same influence on the network.
    """
    weights = torch.rsqrt(betas)
    return weights / weights.mean()


def betas_at(positions: Tensor, betas: Sequence[float]) -> Tensor:
    """Beta of each sample, float (N,): log-interpolated between those of the anchors.

    Args:
        positions: float (N,), ladder positions, 0 to len(betas) - 1.
        betas: of the anchors.
    """
    return torch.exp(mixing(positions, len(betas)) @ torch.log(torch.tensor(betas, device=positions.device)))
