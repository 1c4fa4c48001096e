"""The weighted sum of SSIMULACRA 2 (Sneyers 2023) as a differentiable loss.

The sum over six scales, each half the size of the one before, three channels of XYB and three kinds of
difference (structure, added edges, lost edges), before the curve that maps it to a score up to 100. It
differs from the reference in its blur, a Gaussian of 11 taps instead of a recursive filter, and at the
borders, where pixels are repeated. Scores of photographs saved as JPEG are lower than the reference's: by 0.1
points above 85, by at most 0.5 above 70, by 1 at 60, by 2 at 50 and by 4 to 6 at 0.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from caesura.train.transfer import constant

_SMALLEST_SIDE = 8  # of a scale, in pixels
_SCALES = 6
_SIGMA, _TAPS = 1.5, 11
_C2 = 0.0009
_TINY = 1e-20  # keeps the fourth root's gradient finite where two pictures are equal

# libjxl's opsin absorbance, linear RGB to the responses that are taken the cube root of.
_ABSORBANCE = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.55180986650955360),
)
_BIAS = 0.0037930732552754493

# The reference's 108 weights: channel (X, Y, B), scale, then the means of structure, edges added and edges
# lost, and their fourth norms.
# fmt: off
_WEIGHTS = (
    0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0,
    0.0, 0.0004371155730107379, 0.0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752,
    0.0, 0.0016406437456599754, 0.0, 1.8422455520539298, 11.441172603757666, 0.0,
    0.0007989109436015163, 0.000176816438078653, 0.0, 1.8787594979546387, 10.94906990605142, 0.0,
    0.0007289346991508072, 0.9677937080626833, 0.0,
    0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053,
    0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0, 0.0,
    0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262,
    0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264,
    225.20515300849274, 0.0, 0.0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985,
    176.39317598450694, 0.0, 0.0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408,
    0.0, 0.0, 0.0, 34.77906344483772, 44.835625328877896, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0008680556573291698, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0004179171803251336, 0.0017290828234722833, 0.0,
    0.0020827005846636437, 0.0, 0.0, 8.826982764996862, 23.19243343998926, 0.0,
    95.1080498811086, 0.9863978034400682, 0.9834382792465353,
    0.0012286405048278493, 171.2667255897307, 0.9807858872435379,
    0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537,
)
# fmt: on


def weighted_sum(original: Tensor, restored: Tensor) -> Tensor:
    """The sum for each picture, float32 (N,): 0 for equal pictures, 1.4 at a score of 80, 10 at 30.

    Args:
        original, restored: float32 (N, 3, H, W), sRGB in [0, 1]; sides of 8 or more. Scales whose sides are
            below 8 pixels are left out, as in the reference.
    """
    first, second = _linear(original.contiguous()), _linear(restored.contiguous())
    total = original.new_zeros(len(original))
    weights = constant(_WEIGHTS, original.device).reshape(3, _SCALES, 2, 3)
    for scale in range(_SCALES):
        if min(first.shape[2:]) < _SMALLEST_SIDE:
            break
        differences = torch.stack(_differences(_xyb(first), _xyb(second)), 2)  # (N, channels, kinds, h, w)
        mean = differences.mean((3, 4))
        squares = differences * differences
        fourth = ((squares * squares).mean((3, 4)) + _TINY) ** 0.25 - _TINY**0.25
        total = total + (torch.stack([mean, fourth], 2) * weights[:, scale]).sum((1, 2, 3))
        first, second = (F.avg_pool2d(x, 2, ceil_mode=True) for x in (first, second))
    return total


def _differences(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of the difference in structure, of edges added and of edges lost: float (N, 3, h, w) each."""
    mean1, square1 = _blur(torch.cat([first, first * first], 1)).chunk(2, 1)  # needs no gradient
    mean2, square2, product = _blur(torch.cat([second, second * second, first * second], 1)).chunk(3, 1)
    covariance = 2 * (product - mean1 * mean2) + _C2
    variances = (square1 - mean1**2) + (square2 - mean2**2) + _C2
    structure = F.relu(1 - (1 - (mean1 - mean2) ** 2) * covariance / variances)
    edges = (1 + (second - mean2).abs()) / (1 + (first - mean1).abs()) - 1
    return structure, F.relu(edges), F.relu(-edges)


def _blur(x: Tensor) -> Tensor:
    """`x` blurred along both axes by matrix products, which are fast on any device."""
    rows, columns = (_blurring(side, x.device) for side in x.shape[2:])
    return rows @ (x @ columns.mT)


@lru_cache(maxsize=64)
def _blurring(side: int, device: torch.device) -> Tensor:
    """The matrix that blurs a column of `side` pixels, float32 (side, side)."""
    offsets = torch.arange(_TAPS, dtype=torch.float64) - _TAPS // 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    near = torch.arange(side)[:, None] + torch.arange(_TAPS) - _TAPS // 2
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, near.clamp(0, side - 1), (weights / weights.sum()).expand(side, -1))
    return matrix.float().to(device)


def _linear(srgb: Tensor) -> Tensor:
    """Linear light of sRGB in [0, 1]."""
    bright = ((srgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, bright)


def _xyb(linear: Tensor) -> Tensor:
    """XYB, shifted and scaled as in SSIMULACRA 2: about 0 to 1."""
    matrix = constant(_ABSORBANCE, linear.device)[..., None, None]
    responses = F.conv2d(linear, matrix) + _BIAS
    roots = responses.clamp(min=1e-6) ** (1 / 3) - _BIAS ** (1 / 3)
    long, medium, short = roots.chunk(3, 1)
    x, y = (long - medium) / 2, (long + medium) / 2
    return torch.cat([14 * x + 0.42, y + 0.01, short - y + 0.55], 1)
