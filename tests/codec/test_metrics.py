"""Measures of quality against values known by arithmetic and against the package that the field uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from caesura import metrics
from caesura.errors import ImageError

Pixels = NDArray[np.uint8]
pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 3])))


def grey(value: int, side: int = 4) -> Pixels:
    return np.full((side, side, 3), value, np.uint8)


def noisy(picture: Pixels, deviation: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0, deviation, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0, 255, 0.0), (255, 0, 0.0), (100, 101, 20 * math.log10(255)), (10, 0, 20 * math.log10(25.5))],
)
def test_psnr_of_flat_pictures_is_known(one: int, other: int, expected: float) -> None:
    assert metrics.psnr(grey(one), grey(other)) == pytest.approx(expected)


def test_psnr_is_of_the_mean_over_all_pixels_and_channels() -> None:
    other = grey(0)
    other[0, 0, 0] = 255  # one value of 48
    assert metrics.psnr(grey(0), other) == pytest.approx(10 * math.log10(48))


@pytest.mark.slow
@given(pictures)
def test_psnr_of_equal_pictures_is_infinite(picture: Pixels) -> None:
    assert metrics.psnr(picture, picture.copy()) == math.inf


@pytest.mark.slow
@given(pictures, st.data())
def test_psnr_does_not_mind_which_picture_is_the_original(picture: Pixels, data: st.DataObject) -> None:
    other = data.draw(hnp.arrays(np.uint8, picture.shape))
    assert metrics.psnr(picture, other) == metrics.psnr(other, picture) >= 0


def test_psnr_of_two_shapes_is_refused() -> None:
    with pytest.raises(ImageError, match=r"shapes \(4, 4, 3\) and \(5, 5, 3\); one shape is needed"):
        metrics.psnr(grey(0), grey(0, side=5))


def test_bits_per_pixel_counts_bits() -> None:
    assert metrics.bits_per_pixel(100, 20, 10) == 4.0


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("photo", (176, 192)),
        ("photo", (161, 163)),
        ("photo", (177, 256)),
        ("worse photo", (256, 177)),
        ("worse photo", (189, 211)),
        ("noise", (162, 165)),
    ],
)
def test_ms_ssim_is_the_fields(astronaut: Pixels, kind: str, size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("pytorch_msssim")
    picture = astronaut[: size[0], 100 : 100 + size[1]]
    if kind == "noise":
        other = np.random.default_rng(1).integers(0, 256, picture.shape, dtype=np.uint8)
    else:
        other = noisy(picture, 6 if kind == "photo" else 60)
    one, two = (torch.tensor(p).permute(2, 0, 1)[None].float() for p in (picture, other))
    expected = reference.ms_ssim(one, two, data_range=255).item()
    assert metrics.ms_ssim(picture, other) == pytest.approx(expected, abs=1e-4)


def test_ms_ssim_of_grey_is_that_of_its_copy_in_three_channels(astronaut: Pixels) -> None:
    one = astronaut[:170, :180, :1]
    other = noisy(one, 20)
    in_three = metrics.ms_ssim(np.repeat(one, 3, axis=2), np.repeat(other, 3, axis=2))
    assert metrics.ms_ssim(one, other) == pytest.approx(in_three)


def test_ms_ssim_of_equal_pictures_is_one_and_falls_with_noise(astronaut: Pixels) -> None:
    picture = astronaut[:192, :192]
    scores = [metrics.ms_ssim(picture, noisy(picture, deviation)) for deviation in (0, 5, 20, 80)]
    assert scores[0] == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 0


@pytest.mark.parametrize("size", [(160, 300), (300, 160), (8, 8)])
def test_ms_ssim_of_a_small_picture_is_refused(size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    with pytest.raises(ImageError, match=f"sides above 160 pixels; the picture has {size[1]} x {size[0]}"):
        metrics.ms_ssim(picture, picture)


@pytest.mark.parametrize("kept", [0, 3 << 23])
def test_ms_ssim_of_many_is_that_of_each(
    monkeypatch: pytest.MonkeyPatch, astronaut: Pixels, kept: int
) -> None:
    monkeypatch.setattr(metrics, "_MAX_CACHED", kept)
    picture = astronaut[:180, :200]
    similarity = metrics.MsSsim(picture)
    for deviation in (5, 20):
        other = noisy(picture, deviation)
        assert similarity(other) == metrics.ms_ssim(picture, other)
    with pytest.raises(ImageError, match="one shape is needed"):
        similarity(picture[:170])


def test_ms_ssim_of_two_shapes_is_refused() -> None:
    with pytest.raises(ImageError, match="one shape is needed"):
        metrics.ms_ssim(grey(0, side=200), grey(0, side=201))
