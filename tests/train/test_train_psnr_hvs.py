"""psnr_hvs.py: the weighted error, against a package that measures it, and as a loss."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.train import psnr_hvs
from caesura.train.psnr_hvs import CHROMA_WEIGHT, weighted_error
from train_helpers import as_jpeg, noisy, photo, planar

# RGB that changes luma alone, Cb alone and Cr alone, each by one unit of BT.601's levels over 255.
MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
TO_RGB = torch.from_numpy(np.linalg.inv(MATRIX).T).float()[..., None, None]


def photograph(name: str) -> NDArray[np.uint8]:
    """A packaged photograph, cut to whole blocks."""
    pixels = getattr(skimage.data, name)()
    height, width = (side // 8 * 8 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


@pytest.mark.parametrize("quality", [30, 75, 92])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_the_error_of_luma_is_the_measures(name: str, quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("psnr_hvsm")
    original = photograph(name)
    restored = as_jpeg(original, quality)
    lumas = (package.bt601ycbcr(pixels, precision="float")[0] for pixels in (original, restored))
    with np.errstate(invalid="ignore"):  # flat blocks divide by nothing
        plain, _ = package.hvs_hvsm_mse(*lumas)
    monkeypatch.setattr(psnr_hvs, "CHROMA_WEIGHT", 0.0)
    pair = planar(original), planar(restored)
    assert float(weighted_error(*pair)) == pytest.approx(plain, rel=1e-4)


def test_equal_pictures_differ_by_nothing_and_more_noise_by_more() -> None:
    original = planar(photo(48, 64, 60, 160))
    levels = (0, 0.01, 0.03, 0.1)
    errors = torch.cat([weighted_error(original, noisy(original, s)) for s in levels])
    assert errors[0] == 0
    assert (errors.diff() > 0).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_the_gradient_is_finite(value: float) -> None:
    flat = torch.full((1, 3, 16, 24), value)
    for original in (flat, planar(photo(16, 24, 60, 160))):
        for restored in (original, flat, noisy(original, 0.05)):
            leaf = restored.clone().requires_grad_()
            weighted_error(original, leaf).sum().backward()
            assert leaf.grad is not None
            assert torch.isfinite(leaf.grad).all()


def change(channel: int, pattern: Tensor) -> Tensor:
    """RGB, float (1, 3, 32, 32), that moves one of Y, Cb and Cr by a pattern and the others not at all."""
    return pattern * TO_RGB[channel][None]


@pytest.mark.parametrize("channel", [1, 2])
def test_an_error_of_chroma_counts_a_fifth_of_one_of_luma(channel: int) -> None:
    original = planar(photo(32, 32, 60, 160))
    pattern = 0.01 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    luma, chroma = (weighted_error(original, original + change(n, pattern)) for n in (0, channel))
    torch.testing.assert_close(chroma, CHROMA_WEIGHT * luma, rtol=1e-3, atol=0)
    assert CHROMA_WEIGHT == 0.2


def test_the_errors_of_luma_and_both_chromas_are_added() -> None:
    original = planar(photo(32, 32, 60, 160))
    random = torch.Generator().manual_seed(0)
    changes = [change(n, 0.01 * torch.randn(1, 1, 32, 32, generator=random)) for n in range(3)]
    alone = sum(weighted_error(original, original + moved) for moved in changes)
    together = weighted_error(original, original + torch.stack(changes).sum(0))
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=0)


def test_an_error_of_one_frequency_counts_by_its_sensitivity() -> None:
    """A shift of the mean has the first weight, 1.608: in orthonormal coefficients, 8 times the shift."""
    original = torch.full((1, 3, 8, 16), 0.5)
    shifted = original + change(0, torch.full((1, 1, 8, 16), 0.01))
    expected = (8 * 0.01 * 1.608443) ** 2 / 64
    assert float(weighted_error(original, shifted)) == pytest.approx(expected, rel=1e-4)


def test_samples_of_a_batch_do_not_meet() -> None:
    original = torch.cat([planar(photo(24, 16, 60, 40 * n)) for n in range(3)])
    restored = noisy(original, 0.05)
    together = weighted_error(original, restored)
    alone = [weighted_error(original[[n]], restored[[n]]) for n in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=0)
