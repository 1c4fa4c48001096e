"""Exact entropy control: the table index of every symbol, an integer function of integers.

    index = clip(bias[rate, channel] + spread(hyperlatent) + sum over passes (magnitudes), 0, 63)

The coarser plane, here called the hyperlatent, enters by a linear map to the positions below; the magnitudes
of symbols of earlier passes, as `magnitude` maps them, by a depthwise 3x3 and a 1x1 convolution a pass.
Weights are int8 in steps of 2**-FRACTION; here they are floats that round to those, with the gradient of
the identity, and the index stays real: training needs its gradient. `entropy/control.py` is the reference.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.entropy.control import FRACTION, INDICES
from caesura.entropy.passes import PASSES, pass_of
from caesura.train.forward import mixing, round_identity
from caesura.train.transfer import to_device

# Scales of the tables, in quantization steps, 16% apart; at the smallest a symbol is almost certainly zero.
SMALLEST_SCALE, LOG_STEP = 0.03, 0.15
_WEIGHT_LIMIT = 127
# Parameters are natural logarithms of the scale: their gradients are then as large as those of others.
_PER_LOG = 1 / LOG_STEP
_HOST = torch.device("cpu")


def groups(channels: int, rows: int, columns: int, device: torch.device = _HOST) -> Tensor:
    """The pass that codes each symbol (`entropy.passes`): int (channels, rows, columns)."""
    corner = torch.tensor([[pass_of(0, row, column) for column in range(2)] for row in range(2)])
    corner = to_device(corner, device).repeat(-(-rows // 2), -(-columns // 2))[:rows, :columns]
    group = torch.arange(channels, device=device) // (channels // PASSES)
    return group[:, None, None] ^ corner


def index_of(scale: Tensor) -> Tensor:
    """The real table index of a scale."""
    return torch.log(scale / SMALLEST_SCALE) * _PER_LOG


def magnitude(symbols: Tensor) -> Tensor:
    """round(2 log2(1 + |s|)): 0, 2, 3, 4, 5, 5, 6, ..."""
    return torch.round(2 * torch.log2(1 + symbols.abs()))


def int8(weight: Tensor) -> Tensor:
    """A parameter in steps of 2**-FRACTION, rounded as in the coder; the gradient ignores the rounding."""
    fixed: Tensor = round_identity(weight * (_PER_LOG * 2**FRACTION))
    return fixed.clamp(-_WEIGHT_LIMIT, _WEIGHT_LIMIT)


def fixed_bias(bias: Tensor, rows: int) -> NDArray[np.int32]:
    """The coder's bias, int32 (rows, C), of a bias per anchor, float (anchors, C)."""
    anchors = len(bias)
    anchor_weights = mixing(torch.linspace(0, anchors - 1, rows), anchors)
    fixed: NDArray[np.int32] = (
        torch.round(anchor_weights @ bias * (_PER_LOG * 2**FRACTION)).numpy().astype(np.int32)
    )
    return fixed


def _steps(weight: Tensor) -> Tensor:
    steps: Tensor = int8(weight) / 2**FRACTION
    return steps


class Control(nn.Module):
    """Parameters of the entropy control, see the module.

    Attributes:
        bias: float (anchors, C), interpolated along the ladder.
        hyper: float (D, C, below, below).
        near, far: float (C, 1, 3, 3), depthwise, and float (C, C, 1, 1); one each per pass but the first.
    """

    def __init__(self, latents: int, hyperlatents: int, anchors: int, below: int = 4) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(anchors, latents))
        self.hyper = nn.Parameter(torch.randn(hyperlatents, latents, below, below) * 1e-3)
        later = range(PASSES - 1)
        self.near = nn.ParameterList(torch.zeros(latents, 1, 3, 3) for _ in later)
        self.far = nn.ParameterList(torch.zeros(latents, latents, 1, 1) for _ in later)

    def base(self, hyperlatent: Tensor, anchor_weights: Tensor) -> Tensor:
        """Indices before any symbol is known: (N, D, h, w), (N, anchors) to (N, C, below * h, below * w)."""
        bias: Tensor = anchor_weights @ self.bias * _PER_LOG
        spread = F.conv_transpose2d(hyperlatent, _steps(self.hyper), stride=self.hyper.shape[-1])
        return bias[..., None, None] + spread

    def step(self, magnitudes: Tensor, number: int) -> Tensor:
        """Contribution of pass `number`, 1 to PASSES - 1, to the indices: float (N, C, h, w).

        `magnitudes`: of the same shape, zero where the symbol is not known yet.
        """
        near = F.conv2d(magnitudes, _steps(self.near[number - 1]), padding=1, groups=magnitudes.shape[1])
        return near + F.conv2d(magnitudes, _steps(self.far[number - 1]))


class _ClipInward(torch.autograd.Function):
    """Autograd function of `clip_index`."""

    @staticmethod
    def forward(context, x, low, high):  # type: ignore[no-untyped-def]
        context.save_for_backward(x)
        context.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(context, gradient):  # type: ignore[no-untyped-def]
        (x,) = context.saved_tensors
        low, high = context.bounds
        blocked = ((x < low) & (gradient > 0)) | ((x > high) & (gradient < 0))
        return gradient.masked_fill(blocked, 0), None, None


def clip_index(index: Tensor, lowest: int = 0) -> Tensor:
    """`index` clipped to the range of tables; outside, the gradient passes only where it points back in."""
    result: Tensor = _ClipInward.apply(index, float(lowest), INDICES - 1.0)  # type: ignore[no-untyped-call]
    return result
