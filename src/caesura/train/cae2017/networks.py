"""The compressive autoencoder's two transforms, `cae2017` (Theis et al. 2017, section 2.2 and figure 2).

    pixels (N, 3, H, W) -> Analysis -> latent (N, C, H/8, W/8) -> Synthesis -> pixels (N, 3, H, W)

    Analysis    normalise | conv5 /2 64 | conv5 /2 128 | 3 x residual | conv5 /2 C
    Synthesis   conv3 512, shuffle | 3 x residual | conv3 256, shuffle | conv3 12, shuffle | denormalise

H and W are multiples of 8. A leaky ReLU follows each convolution between residual blocks and the ends.
Clipping to [0, 1] is left to the caller: training clips with gradient 1, export with a plain clip.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 8
SLOPE = 0.2
# Mean and standard deviation of RGB photographs in [0, 1]; fixed, so that a model never depends on them.
PIXEL_MEAN = (0.45, 0.44, 0.40)
PIXEL_DEVIATION = (0.25, 0.25, 0.25)

Padding = Literal["zeros", "mirror"]


def _conv(inputs: int, outputs: int, kernel: int, padding: Padding, stride: int = 1) -> nn.Conv2d:
    mode: Literal["reflect", "zeros"] = "reflect" if padding == "mirror" else "zeros"
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode=mode)


class ResidualBlock(nn.Module):
    """x + conv(leaky(conv(x))), 3x3; starts as the identity."""

    def __init__(self, channels: int, padding: Padding) -> None:
        super().__init__()
        self.first = _conv(channels, channels, 3, padding)
        self.second = _conv(channels, channels, 3, padding)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """float (N, channels, h, w) in and out."""
        result: Tensor = x + self.second(F.leaky_relu(self.first(x), SLOPE))
        return result


class _Normalised(nn.Module):
    pixel_mean: Tensor
    pixel_deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("pixel_deviation", torch.tensor(PIXEL_DEVIATION).reshape(1, 3, 1, 1))


class Analysis(_Normalised):
    """Pixels to latents: float (N, 3, H, W) in [0, 1] to float (N, C, H/8, W/8)."""

    def __init__(self, latent_channels: int = 96, padding: Padding = "zeros") -> None:
        super().__init__()
        self.conv1 = _conv(3, 64, 5, padding, stride=2)
        self.conv2 = _conv(64, 128, 5, padding, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(128, padding) for _ in range(3)))
        self.conv3 = _conv(128, latent_channels, 5, padding, stride=2)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        x = (pixels - self.pixel_mean) / self.pixel_deviation
        x = F.leaky_relu(self.conv1(x), SLOPE)
        x = F.leaky_relu(self.conv2(x), SLOPE)
        latent: Tensor = self.conv3(self.blocks(x))
        return latent


class Synthesis(_Normalised):
    """Latents to pixels: float (N, C, h, w) to float (N, 3, 8h, 8w), nominally in [0, 1], not clipped."""

    def __init__(self, latent_channels: int = 96, padding: Padding = "zeros") -> None:
        super().__init__()
        self.conv1 = _conv(latent_channels, 512, 3, padding)
        self.blocks = nn.Sequential(*(ResidualBlock(128, padding) for _ in range(3)))
        self.conv2 = _conv(128, 256, 3, padding)
        self.conv3 = _conv(64, 12, 3, padding)

    def forward(self, latent: Tensor) -> Tensor:
        """See the class."""
        x = F.leaky_relu(F.pixel_shuffle(self.conv1(latent), 2), SLOPE)
        x = self.blocks(x)
        x = F.leaky_relu(F.pixel_shuffle(self.conv2(x), 2), SLOPE)
        x = F.pixel_shuffle(self.conv3(x), 2)
        pixels: Tensor = x * self.pixel_deviation + self.pixel_mean
        return pixels
