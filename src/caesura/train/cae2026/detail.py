"""Training of the detail layer's entropy control (`caesura.coding.detail`); the base below it is frozen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from caesura.coding import detail as layer
from caesura.entropy.passes import PASSES
from caesura.models.bundle import DETAIL_LOWEST
from caesura.train.cae2026.control import SMALLEST_SCALE, Control, clip_index, groups, magnitude
from caesura.train.cae2026.likelihood import Shape
from caesura.train.forward import mixing

ANCHORS = 3
# Steps in levels at the ladder's top and at quality 100: the first changes little, the last gives 45 dB.
LOG_STEP = (math.log(16.0), math.log(4.25))
_FIRST_BIAS = math.log(0.3 / SMALLEST_SCALE)  # training starts from symbols that are mostly zero


class Detail(nn.Module):
    """Entropy model of the residual: table indices, pass by pass, from magnitudes of known symbols."""

    transform: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.control = Control(layer.BANDS, latents, ANCHORS, below=2)
        self.shape = Shape()
        nn.init.constant_(self.control.bias, _FIRST_BIAS)
        self.register_buffer("transform", torch.from_numpy(layer.transform().copy()), persistent=False)

    def forward(self, residual: Tensor, magnitudes: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithmic probabilities of the residual's symbols, and the residual that they decode to.

        Args:
            residual: float (N, 3, H, W), levels.
            magnitudes: float (N, C, H / 16, W / 16), of the latents' symbols.
            share: float (N,), the position above the ladder: 0 at its top, 1 at quality 100.

        Returns:
            float (N, 192, H / 8, W / 8), natural logarithms; float (N, 3, H, W), the quantized residual.
        """
        batch, _, height, width = residual.shape
        side = layer.BLOCK
        high, wide = height // side, width // side
        blocks = residual.reshape(batch, 3, high, side, wide, side).permute(0, 3, 5, 1, 2, 4)
        bands = (self.transform @ blocks.reshape(batch, layer.BANDS, -1)).reshape(batch, -1, high, wide)
        step = torch.exp(LOG_STEP[0] + (LOG_STEP[1] - LOG_STEP[0]) * share)[:, None, None, None]
        scaled = bands / step
        symbols = torch.copysign(torch.floor(scaled.abs() + (1 - layer.ROUND_UP)), scaled)
        index = self.control.base(magnitudes, mixing(share * (ANCHORS - 1), ANCHORS))
        order = groups(layer.BANDS, high, wide, share.device)
        all_magnitudes = magnitude(symbols)
        for number in range(1, PASSES):
            known = all_magnitudes * (order < number)
            index = index + (order == number) * self.control.step(known, number)
        mass = self.shape.log_mass(symbols, clip_index(index.float(), DETAIL_LOWEST))
        restored = self.transform.T @ (symbols * step).reshape(batch, layer.BANDS, -1)
        pixels = restored.reshape(batch, side, side, 3, high, wide).permute(0, 3, 4, 1, 5, 2)
        return mass, pixels.reshape(residual.shape)
