"""The error of PSNR-HVS (Egiazarian et al. 2006) as a loss.

The mean squared error of 8x8 DCT coefficients, each weighted by the eye's sensitivity to its frequency. The
masking that PSNR-HVS-M adds (Ponomarenko et al. 2007) is left out: training with it gained nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from caesura.train.transfer import constant

BLOCK = 8
CHROMA_WEIGHT = 0.2

# fmt: off
# Contrast sensitivity of each coefficient, rows and columns of frequencies (Ponomarenko et al. 2007).
_SENSITIVITY = (
    1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887,
    2.144591, 2.144591, 1.838221, 1.354478, 0.989811, 0.443708, 0.428918, 0.467911,
    1.838221, 1.979622, 1.608443, 1.072295, 0.643377, 0.451493, 0.372972, 0.459555,
    1.838221, 1.513829, 1.169777, 0.887417, 0.504610, 0.295806, 0.321689, 0.415082,
    1.429727, 1.169777, 0.695543, 0.459555, 0.378457, 0.236102, 0.249855, 0.334222,
    1.072295, 0.735288, 0.467911, 0.402111, 0.317717, 0.247453, 0.227744, 0.279729,
    0.525206, 0.402111, 0.329937, 0.295806, 0.249855, 0.212687, 0.214459, 0.254803,
    0.357432, 0.279729, 0.270896, 0.262603, 0.229778, 0.257351, 0.249855, 0.259950,
)
# fmt: on
_YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))


def weighted_error(original: Tensor, restored: Tensor) -> Tensor:
    """Mean of the squared, weighted differences: of luma, plus 0.2 of both chromas.

    Args:
        original, restored: float32 (N, 3, H, W), sRGB in [0, 1]; H and W multiples of 8.

    Returns:
        float32 (N,), in the units of BT.601's 8-bit levels over 255: 1e-4 is a PSNR-HVS of 40 dB.
    """
    difference = _coefficients(_ycbcr(original)) - _coefficients(_ycbcr(restored))
    sensitivity = constant(_SENSITIVITY, original.device)[:, None]
    errors = ((difference * sensitivity) ** 2).mean((2, 3))
    return errors[:, 0] + CHROMA_WEIGHT * (errors[:, 1] + errors[:, 2])


def _coefficients(planes: Tensor) -> Tensor:
    """The orthonormal DCT of 8x8 blocks, float (N, 3, 64, blocks)."""
    return _dct(planes.device) @ _blocks(planes)


def _blocks(planes: Tensor) -> Tensor:
    """Float (N, 3, H, W) to (N, 3, 64, blocks)."""
    blocks = F.pixel_unshuffle(planes.flatten(0, 1)[:, None], BLOCK)
    return blocks.reshape(*planes.shape[:2], BLOCK**2, -1)


@lru_cache(maxsize=4)
def _dct(device: torch.device) -> Tensor:
    """float32 (64, 64), block to coefficients."""
    index = torch.arange(BLOCK, dtype=torch.float64)
    one = torch.cos((2 * index + 1) * index[:, None] * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    one[0] /= math.sqrt(2)
    return torch.kron(one, one).float().to(device)


def _ycbcr(rgb: Tensor) -> Tensor:
    """BT.601's Y, Cb and Cr of sRGB in [0, 1], of 8-bit levels over 255, without their offsets."""
    return F.conv2d(rgb, constant(_YCBCR, rgb.device)[..., None, None] / 255)
