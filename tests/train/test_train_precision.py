"""precision.py: bf16 where a device has instructions for it, and nowhere else unless asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caesura.train.config import TrainConfig
from caesura.train.precision import Setting, dtype, resolve


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"architecture": "aarch64"}, "32-true"),
    ],
)
def test_a_processor_takes_bf16_where_it_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve("auto", "cpu") == expected


@pytest.mark.parametrize(("has_it", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_takes_bf16_where_it_has_it(
    monkeypatch: pytest.MonkeyPatch, has_it: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_it)
    assert resolve("auto", "cuda") == expected


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("setting", "products"), [("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)]
)
def test_what_is_asked_for_is_taken(device: str, setting: Setting, products: torch.dtype) -> None:
    assert resolve(setting, device) == setting
    assert dtype(resolve(setting, device)) == products


def test_by_default_a_run_takes_the_fast_precision() -> None:
    assert TrainConfig().precision == "auto"
