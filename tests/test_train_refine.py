"""The encoder's last effort: refined symbols cost less for what they give, and are coded like any others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura import model as models
from caesura import rate, refine
from caesura.model import Bundle

QUALITY = 40


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The shipped flagship, refined in few steps."""
    monkeypatch.setattr(refine, "STEPS", 40)
    return models.load("fast")


def loss(pixels: NDArray[np.uint8], data: bytes) -> float:
    """R + beta * D of a file."""
    error = (caesura.decode_array(data).astype(float) - pixels) ** 2
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    return bpp + rate.beta(QUALITY) * float(error.mean()) / 255**2


def test_refined_latents_are_worth_more(bundle: Bundle, astronaut: NDArray[np.uint8]) -> None:
    crop = np.ascontiguousarray(astronaut[32:160, 160:288])
    plain = caesura.encode(crop, quality=QUALITY, model=bundle, effort=1)
    seen = []
    refined = caesura.encode(
        crop, quality=QUALITY, model=bundle, effort=9, progress=lambda done, total: seen.append((done, total))
    )
    assert loss(crop, refined) < loss(crop, plain)
    assert seen == [(step, 40) for step in range(1, 41)]
    again = caesura.encode(crop, quality=QUALITY, model=bundle, effort=9)
    assert again == refined


@pytest.mark.parametrize("shape", [(1, 1), (37, 70)])
def test_a_picture_of_any_size_is_refined(
    bundle: Bundle, astronaut: NDArray[np.uint8], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "STEPS", 2)
    crop = np.ascontiguousarray(astronaut[: shape[0], : shape[1]])
    decoded = caesura.decode_array(caesura.encode(crop, quality=90, model=bundle, effort=9))
    assert decoded.shape == crop.shape
