"""Places on the rate ladder, between its anchors."""

from __future__ import annotations

import torch
from torch import Tensor


def mixing(place: Tensor, anchors: int) -> Tensor:
    """Interpolation weights: float (N,), places on the ladder, to (N, anchors), rows summing to one."""
    return (1 - (place[:, None] - torch.arange(anchors, device=place.device)).abs()).clamp(min=0)
