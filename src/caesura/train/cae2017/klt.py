"""KLT start of `cae2017`: weights that make it the Karhunen-Loeve transform of 8x8 patches.

A leaky ReLU is invertible on a channel that passes it with both signs: leaky(x) - leaky(-x) = (1 + slope) x.
The first layers carry the 2x2, then the 4x4 pixels of a patch in signed pairs, the residual blocks start as
the identity, the last layer of the analysis applies the principal components, and the synthesis is its mirror
image. Channels that are not needed keep random filters, for training to use.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.train.cae2017.networks import PIXEL_DEVIATION, PIXEL_MEAN, SLOPE, STRIDE, Analysis, Synthesis

_GAIN = 1 + SLOPE


def principal_components(squares: NDArray[np.uint8], count: int) -> tuple[Tensor, Tensor]:
    """Principal components of the normalised 8x8 RGB patches of `squares`.

    Args:
        squares: uint8 (n, side, side, 3); side 8 or more.
        count: components wanted, at most 192.

    Returns:
        components: float32 (count, 3, 8, 8), orthonormal, by falling variance.
        deviations: float32 (count,), the root mean square of the patches' coordinates along each.
    """
    n, side = squares.shape[:2]
    grid = side // STRIDE
    squares = squares[:, : grid * STRIDE, : grid * STRIDE]
    patches = squares.reshape(n, grid, STRIDE, grid, STRIDE, 3).transpose(0, 1, 3, 5, 2, 4)
    mean = np.array(PIXEL_MEAN, np.float32).reshape(3, 1, 1)
    deviation = np.array(PIXEL_DEVIATION, np.float32).reshape(3, 1, 1)
    rows = ((patches.astype(np.float32) / 255 - mean) / deviation).reshape(-1, 3 * STRIDE * STRIDE)
    variance, vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows / len(rows))
    order = np.argsort(variance)[::-1][:count]
    components = np.ascontiguousarray(vectors[:, order].T, np.float32).reshape(-1, 3, STRIDE, STRIDE)
    deviations = np.sqrt(np.maximum(variance[order], 1e-8)).astype(np.float32)
    return torch.from_numpy(components), torch.from_numpy(deviations)


@torch.no_grad()
def start_from(components: Tensor, analysis: Analysis, synthesis: Synthesis) -> None:
    """Set both transforms to the given components; `components` as from `principal_components`.

    Afterwards analysis gives exactly the patches' coordinates along the components, and synthesis their sum.
    """
    count = components.shape[0]
    for conv in (analysis.conv1, analysis.conv2, analysis.conv3):
        conv.bias.zero_()  # type: ignore[union-attr]
    for conv in (synthesis.conv1, synthesis.conv2, synthesis.conv3):
        conv.bias.zero_()  # type: ignore[union-attr]

    # Taps 2 and 3 of a 5x5 kernel at stride 2 are the pixels of the output's own 2x2 cell.
    own = (slice(2, 4), slice(2, 4))
    weight = analysis.conv1.weight
    weight[:24] = 0
    weight[:24, :, *own] = torch.cat([_split(3), -_split(3)])
    weight = analysis.conv2.weight
    weight[:96] = 0
    weight[:96, :24, *own] = _signed_pairs(_split(12))
    # Row 8 of a patch is conv3's tap, conv2's, conv1's as binary digits; columns alike.
    digits = components.reshape(
        count, 3, 2, 2, 2, 2, 2, 2
    )  # component, colour, 3 row digits, 3 column digits
    last = digits.permute(0, 3, 6, 4, 7, 1, 2, 5).reshape(count, 48, 2, 2)
    weight = analysis.conv3.weight
    weight.zero_()
    weight[:, :96, *own] = torch.cat([last, -last], 1) / _GAIN

    # The same backwards; only the centre of each 3x3 kernel is used.
    weight = synthesis.conv1.weight
    weight.mul_(0.1)  # random features of the latents should not drown the pairs
    weight[:384] = 0
    first = last.permute(1, 2, 3, 0).reshape(192, count)
    weight[:384, :, 1, 1] = torch.cat([first, -first])
    weight = synthesis.conv2.weight
    weight[:96] = 0
    weight[:96, :96, 1, 1] = _signed_pairs(_join(12))
    weight = synthesis.conv3.weight
    weight.zero_()
    weight[:, :24, 1, 1] = torch.cat([_join(3), -_join(3)], 1) / _GAIN


def _split(channels: int) -> Tensor:
    """2x2 cells to channels, as kernels (4 * channels, channels, 2, 2); output (row, column, channel)."""
    return torch.eye(4 * channels).reshape(4 * channels, 2, 2, channels).permute(0, 3, 1, 2)


def _join(channels: int) -> Tensor:
    """Map of the channels of `_split` to the order of pixel shuffle: (4 * channels, 4 * channels)."""
    return torch.eye(4 * channels).reshape(4, channels, 4 * channels).transpose(0, 1).flatten(0, 1)


def _signed_pairs(weight: Tensor) -> Tensor:
    """A map that takes (x, -x) after a leaky ReLU and gives (w x, -w x)."""
    return torch.cat([torch.cat([weight, -weight], 1), torch.cat([-weight, weight], 1)]) / _GAIN
