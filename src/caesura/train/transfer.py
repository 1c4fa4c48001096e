"""Copies from the host to the device that do not wait for it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def to_device(host: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device; copied to a GPU asynchronously, through pinned memory."""
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host


@lru_cache(maxsize=64)
def constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """Nested tuples of numbers as float32 on a device; cached, since copying them waits for the GPU."""
    return torch.tensor(values, dtype=torch.float32, device=device)
