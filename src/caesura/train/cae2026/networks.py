"""The two transforms of `cae2026`: a linear transform of 16x16 patches, and a network beside it.

    pixels (N, 3, H, W) -> Analysis -> latent (N, C, H/16, W/16) -> Synthesis -> pixels (N, 3, H, W)

    Analysis   unshuffle 8 | 1x1 W8 | blocks at 1/8 | 2x2 /2 W16 | blocks at 1/16 | 1x1 C               + K x
    Synthesis  1x1 W16 | blocks at 1/16 | 1x1, shuffle 2 W8 | blocks at 1/8 | 1x1, shuffle 8            + K' y

H and W are multiples of 16. K starts as the principal components of photographs and the network beside it at
zero, so that training starts from a working transform codec (`klt.py`). One set of weights serves every rate:
`anchor_weights` (N, anchors) holds each sample's interpolation weights over the ladder's anchors, and every
block scales its hidden channels by vectors interpolated with them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.train.config import TransformConfig

STRIDE = 16
BLOCK = 8  # pixels a side that become channels
BLOCK_CHANNELS = 3 * BLOCK**2
SLOPE = 0.2
# Mean and standard deviation of RGB photographs in [0, 1]; fixed, so that a model never depends on them.
PIXEL_MEAN = (0.45, 0.44, 0.40)
PIXEL_DEVIATION = 0.25


def conv1x1(inputs: int, outputs: int, *, side: int = 1, zero: bool = False) -> nn.Conv2d:
    """A linear map of channels, or of `side` x `side` cells of them; `zero` sets its weights to zero."""
    conv = nn.Conv2d(inputs, outputs, side, side)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    if zero:
        nn.init.zeros_(conv.weight)
    return conv


class Modulation(nn.Module):
    """Multiply channels by 1 + a vector interpolated over the ladder's anchors, before a convolution of them.

    Starts as the identity. With a single sample it scales the weights of the convolution instead of the
    input: a graph whose rate is fixed then has constant weights and no work for the modulation.
    """

    def __init__(self, anchors: int, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(anchors, channels))

    def forward(self, x: Tensor, anchor_weights: Tensor, conv: nn.Conv2d) -> Tensor:
        """float (N, channels, h, w), float (N, anchors) -> float (N, conv.out_channels, h, w)."""
        scale = 1 + anchor_weights @ self.table
        if len(anchor_weights) > 1:
            result: Tensor = conv(x * scale[..., None, None].to(x.dtype))
            return result
        # A depthwise convolution has one input channel for each output channel, any other has all of them.
        shape = (-1, 1, 1, 1) if conv.groups > 1 else (1, -1, 1, 1)
        return F.conv2d(
            x, conv.weight * scale.reshape(shape), conv.bias, padding=conv.padding, groups=conv.groups
        )


class Block(nn.Module):
    """1x1, leaky ReLU, depthwise 3x3, 1x1, then a two-layer 1x1 part; a shortcut around each."""

    def __init__(self, width: int, anchors: int) -> None:
        super().__init__()
        self.enter = conv1x1(width, width)
        self.enter_scale = Modulation(anchors, width)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.leave = conv1x1(width, width, zero=True)
        self.widen = conv1x1(width, 2 * width)
        self.widen_scale = Modulation(anchors, 2 * width)
        self.narrow = conv1x1(2 * width, width, zero=True)

    def forward(self, x: Tensor, anchor_weights: Tensor) -> Tensor:
        """float (N, width, h, w), float (N, anchors) -> like x."""
        hidden = F.leaky_relu(self.enter(x), SLOPE)
        x = x + self.leave(self.enter_scale(hidden, anchor_weights, self.depthwise))
        hidden = F.leaky_relu(self.widen(x), SLOPE)
        result: Tensor = x + self.widen_scale(hidden, anchor_weights, self.narrow)
        return result


class Blocks(nn.ModuleList):
    """Blocks one after another."""

    def __init__(self, count: int, width: int, anchors: int) -> None:
        super().__init__(Block(width, anchors) for _ in range(count))

    def forward(self, x: Tensor, anchor_weights: Tensor) -> Tensor:
        """As `Block`."""
        for block in self:
            x = block(x, anchor_weights)
        return x


class _Normalised(nn.Module):
    block_mean: Tensor
    unit: Tensor  # of the latents; kept out of K, whose rows then have length one in both transforms

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor(PIXEL_MEAN).repeat_interleave(BLOCK**2)
        self.register_buffer("block_mean", mean.reshape(1, BLOCK_CHANNELS, 1, 1))
        self.register_buffer("unit", torch.ones(()))


class Analysis(_Normalised):
    """Pixels to latents: float (N, 3, H, W) in [0, 1] to float (N, C, H/16, W/16)."""

    def __init__(self, latents: int, anchors: int, shape: TransformConfig) -> None:
        super().__init__()
        fine, coarse = shape.fine_width, shape.coarse_width
        self.linear = nn.Conv2d(BLOCK_CHANNELS, latents, 2, 2, bias=False)
        self.fine = Blocks(shape.fine_blocks, fine, anchors)
        self.enter = conv1x1(BLOCK_CHANNELS, fine)
        self.down = conv1x1(fine, coarse, side=2)
        self.coarse = Blocks(shape.coarse_blocks, coarse, anchors)
        self.leave = conv1x1(coarse, latents, zero=True)

    def forward(self, pixels: Tensor, anchor_weights: Tensor) -> Tensor:
        """See the class; `anchor_weights` float (N, anchors)."""
        return self.of_blocks(F.pixel_unshuffle(pixels, BLOCK), anchor_weights)

    def of_blocks(self, blocks: Tensor, anchor_weights: Tensor) -> Tensor:
        """Latents of pixels in blocks, float (N, 192, H/8, W/8), channels by colour, row and column."""
        x = (blocks - self.block_mean) / PIXEL_DEVIATION
        linear = _exact(self.linear, x) / self.unit
        x = self.down(self.fine(F.leaky_relu(self.enter(x), SLOPE), anchor_weights))
        latent: Tensor = linear + self.leave(self.coarse(x, anchor_weights))
        return latent


class Synthesis(_Normalised):
    """Latents to pixels: float (N, C, h, w) to float (N, 3, 16h, 16w), nominally in [0, 1], not clipped."""

    input_scale: Tensor

    def __init__(self, latents: int, anchors: int, shape: TransformConfig) -> None:
        super().__init__()
        fine, coarse = shape.fine_width, shape.coarse_width
        self.register_buffer("input_scale", torch.ones(1, latents, 1, 1))
        self.linear = nn.Conv2d(latents, 3 * STRIDE**2, 1, bias=False)
        self.enter = conv1x1(latents, coarse)
        self.coarse = Blocks(shape.coarse_blocks, coarse, anchors)
        self.fine = Blocks(shape.fine_blocks, fine, anchors)
        self.up = conv1x1(coarse, 4 * fine)
        self.leave = conv1x1(fine, BLOCK_CHANNELS, zero=True)

    def forward(self, latent: Tensor, anchor_weights: Tensor) -> Tensor:
        """See the class; `anchor_weights` float (N, anchors)."""
        return F.pixel_shuffle(self.to_blocks(latent, anchor_weights), BLOCK)

    def to_blocks(self, latent: Tensor, anchor_weights: Tensor) -> Tensor:
        """Pixels in blocks, float (N, 192, 2h, 2w), channels by colour, row and column."""
        linear = _exact(self.linear, latent) * self.unit
        x = self.coarse(F.leaky_relu(self.enter(latent * self.input_scale), SLOPE), anchor_weights)
        x = self.fine(_like_convolved(F.pixel_shuffle(self.up(x), 2)), anchor_weights)
        x = F.pixel_shuffle(linear, 2) + _exact(self.leave, x)
        blocks: Tensor = x * PIXEL_DEVIATION + self.block_mean
        return blocks


def _exact(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution of `x` in float32, also where training runs in bf16.

    bf16 rounds pixels to about a level and large latents to about a quantization step, which is visible at
    high rates.
    """
    result: Tensor
    device = x.device.type
    if torch.is_autocast_enabled(device):  # else no context, which exported graphs could not hold
        with torch.autocast(device, enabled=False):
            result = conv(x.float())
    else:
        result = conv(x)
    return result


def _like_convolved(x: Tensor) -> Tensor:
    """`x`; in exported graphs as the output of a convolution with ones.

    ONNX Runtime adds outputs of convolutions in a layout of its own, fused with the convolution, but only
    where both summands are such outputs. Without it the transform takes a tenth longer.
    """
    if not torch.compiler.is_exporting():
        return x
    channels = x.shape[1]
    return F.conv2d(x, torch.ones(channels, 1, 1, 1), groups=channels)
