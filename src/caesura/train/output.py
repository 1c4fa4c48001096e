"""What a model gives in training, whatever its architecture."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """What one forward pass gives."""

    pixels: Tensor  # float (N, 3, H, W) in [0, 1]; see `quantize.shown`
    bits: Tensor  # float (N,), the estimated size of each sample


def bits(log_mass: Tensor) -> Tensor:
    """Bits per sample: float32 (N, C, ...) natural logarithms of masses to (N,)."""
    return -log_mass.flatten(1).sum(1) / math.log(2)
