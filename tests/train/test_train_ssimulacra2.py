"""ssimulacra2.py: the sum and its score, against the reference where there is one, and as a loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from caesura.train.ssimulacra2 import weighted_sum
from train_helpers import as_jpeg, noisy, photo, planar, save

pytestmark = pytest.mark.slow

FLAT = {"black": 0.0, "grey": 0.5, "white": 1.0}


def score(total: Tensor) -> Tensor:
    """The score that a weighted sum stands for: 100 for equal pictures, 90 for no visible difference."""
    x = total * 0.9562382616834844
    x = 2.326765642916932 * x - 0.020884521182843837 * x**2 + 6.248496625763138e-05 * x**3
    return 100 - 10 * x.clamp(min=0) ** 0.6276336467831387


def gradient(original: Tensor, restored: Tensor) -> Tensor:
    leaf = restored.clone().requires_grad_()
    weighted_sum(original, leaf).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


# Measured: 0.09 to 0.12 points at 92, 0.34 to 0.43 at 75, 1.2 to 2.0 at 30, always below the reference.
@pytest.mark.parametrize(("quality", "bound"), [(92, 0.25), (75, 0.6), (30, 2.5)])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_scores_of_photographs_are_near_the_references(
    name: str, quality: int, bound: float, tmp_path: Path
) -> None:
    compute = pytest.importorskip("ssimulacra2").compute_ssimulacra2
    original: NDArray[np.uint8] = getattr(skimage.data, name)()
    restored = as_jpeg(original, quality)
    files = [save(tmp_path / f"{n}.png", pixels) for n, pixels in enumerate((original, restored))]
    expected = compute(*map(str, files))
    (got,) = score(weighted_sum(planar(original), planar(restored))).tolist()
    assert expected - bound < got < expected + 0.1


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (9, 64), (64, 48), (130, 75)])
def test_equal_pictures_differ_by_exactly_nothing(size: tuple[int, int]) -> None:
    original = planar(photo(*size, 60, 160))
    total = weighted_sum(original, original.clone())
    assert total.tolist() == [0.0]
    assert score(total).tolist() == [100.0]


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (96, 80)])
def test_more_noise_is_a_larger_sum_and_a_lower_score(size: tuple[int, int]) -> None:
    original = planar(photo(*size, 60, 160))
    sums = torch.cat([weighted_sum(original, noisy(original, s)) for s in (0, 0.01, 0.03, 0.1)])
    assert (sums.diff() > 0).all()
    assert (score(sums).diff() < 0).all()


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (48, 64)])
def test_the_gradient_is_finite_where_pictures_are_equal(size: tuple[int, int]) -> None:
    original = planar(photo(*size, 60, 160))
    assert torch.isfinite(gradient(original, original)).all()


@pytest.mark.parametrize("first", FLAT)
@pytest.mark.parametrize("second", FLAT)
def test_the_gradient_is_finite_in_flat_pictures(first: str, second: str) -> None:
    original, restored = (torch.full((1, 3, 24, 32), FLAT[name]) for name in (first, second))
    assert torch.isfinite(weighted_sum(original, restored)).all()
    assert torch.isfinite(gradient(original, restored)).all()
    assert torch.isfinite(gradient(original, noisy(restored, 0.02))).all()


def test_the_gradient_leads_to_a_smaller_sum() -> None:
    original = planar(photo(64, 64, 60, 160))
    restored = noisy(original, 0.05)
    slope = gradient(original, restored)
    step = 1e-3 * slope / slope.abs().max()
    assert weighted_sum(original, restored - step) < weighted_sum(original, restored)


@settings(deadline=None, max_examples=10)
@given(st.integers(8, 40), st.integers(8, 40), st.integers(0, 99))
def test_samples_of_a_batch_do_not_meet(height: int, width: int, seed: int) -> None:
    original = torch.cat([planar(photo(height, width, 60, 40 * n)) for n in range(3)])
    restored = noisy(original, 0.05, seed)
    together = weighted_sum(original, restored)
    alone = [weighted_sum(original[n : n + 1], restored[n : n + 1]) for n in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
