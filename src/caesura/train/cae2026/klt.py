"""KLT start of `cae2026`: the principal components of 16x16 patches, for its linear transforms."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.entropy.passes import PASSES
from caesura.train.cae2026.networks import PIXEL_DEVIATION, PIXEL_MEAN, STRIDE


def principal_components(squares: NDArray[np.uint8], count: int) -> tuple[Tensor, Tensor]:
    """Principal components of the normalised 16x16 RGB patches of `squares`.

    Args:
        squares: uint8 (n, side, side, 3); side 16 or more.
        count: components wanted, at most 768, a multiple of PASSES.

    Returns:
        components: float32 (count, 768), orthonormal, in the channel order of two pixel unshuffles, 8 and 2.
            They are distributed by falling variance over the PASSES groups of channels, so that each group
            has the same share of it.
        deviations: float32 (count,), root mean square of the patches' coordinates along each component.
    """
    side = squares.shape[1] // STRIDE * STRIDE
    pixels = torch.from_numpy(np.ascontiguousarray(squares[:, :side, :side])).permute(0, 3, 1, 2)
    mean = torch.tensor(PIXEL_MEAN).reshape(1, 3, 1, 1)
    total = torch.zeros(3 * STRIDE**2, 3 * STRIDE**2, dtype=torch.float64)
    seen = 0
    for part in torch.split(pixels, 16):
        x = (part.float() / 255 - mean) / PIXEL_DEVIATION
        x = torch.nn.functional.pixel_unshuffle(torch.nn.functional.pixel_unshuffle(x, 8), 2)
        rows = x.permute(0, 2, 3, 1).reshape(-1, 3 * STRIDE**2)
        total += (rows.T @ rows).double()
        seen += len(rows)
    variance, vectors = torch.linalg.eigh(total / seen)
    best = torch.argsort(variance, descending=True)[:count]
    dealt = best.reshape(-1, PASSES).T.reshape(-1)
    return vectors[:, dealt].T.float().contiguous(), variance[dealt].clamp(min=1e-8).sqrt().float()
