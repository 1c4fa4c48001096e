"""The precision in which a device computes networks fastest."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["bf16-mixed", "32-true"]  # as Lightning Fabric names them
Setting = Literal["auto", "bf16-mixed", "32-true"]
_BF16 = ("avx512_bf16", "amx_bf16")


def resolve(setting: Setting, device: str) -> Precision:
    """The precision of a setting on a kind of device, "cpu" or "cuda".

    "auto" is bf16 where the device has instructions for it. Processors without them emulate it and were
    twelve times slower than in float32 (docs/TRAINING.md).
    """
    if setting != "auto":
        return setting
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    capabilities = torch.cpu.get_capabilities()
    return "bf16-mixed" if any(capabilities.get(name) for name in _BF16) else "32-true"


def dtype(precision: Precision) -> torch.dtype:
    """The type of products in a precision."""
    return torch.bfloat16 if precision == "bf16-mixed" else torch.float32
