"""From the host to the device, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(host: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device; to a GPU through pinned memory, in turn with what is under way."""
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host
