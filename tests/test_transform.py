"""Analysis and synthesis: every allowed size goes through, and tiles give what the whole gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from caesura import transform
from caesura.model import Bundle

Pixels = NDArray[np.uint8]
SIDES = range(6)  # in strides above the smallest side


def levels_apart(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


def farthest(where: NDArray[np.bool_], first: int, last: int) -> int:
    """How far outside the square first..last, first..last the farthest marked place lies."""
    marked = np.argwhere(where)
    return int(np.maximum(first - marked, marked - last).max())


@pytest.mark.parametrize("height", SIDES)
def test_all_sizes_from_the_smallest_go_through(coffee: Pixels, bundle: Bundle, height: int) -> None:
    for width in SIDES:
        rows, columns = (bundle.smallest_side // bundle.stride + side for side in (height, width))
        pixels = coffee[100 : 100 + rows * bundle.stride, 200 : 200 + columns * bundle.stride]
        latent = transform.analyse(pixels, bundle)
        assert latent.dtype == np.float32
        assert latent.shape == (bundle.channels, rows, columns)
        back = transform.synthesise(latent, bundle)
        assert back.dtype == np.uint8
        assert back.shape == pixels.shape


@pytest.mark.parametrize("turned", [False, True])
def test_a_long_strip_goes_through_in_several_tiles(coffee: Pixels, bundle: Bundle, turned: bool) -> None:
    strip = np.tile(coffee[: bundle.smallest_side, :592], (1, 3, 1))
    strip = strip.transpose(1, 0, 2) if turned else strip
    assert max(strip.shape) > transform._TILE
    assert transform.synthesise(transform.analyse(strip, bundle), bundle).shape == strip.shape


def test_unrounded_latents_hold_the_picture(coffee: Pixels, bundle: Bundle) -> None:
    pixels = coffee[96:288, 200:456]
    back = transform.synthesise(transform.analyse(pixels, bundle), bundle)
    flat = pixels.mean(axis=(0, 1))
    assert np.square(back - pixels.astype(float)).mean() < np.square(flat - pixels).mean() / 10


def test_the_same_input_gives_the_same_output(coffee: Pixels, bundle: Bundle) -> None:
    pixels = coffee[:104, :96]
    one, other = (transform.analyse(pixels, bundle) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(transform.synthesise(one, bundle), transform.synthesise(other, bundle))


def test_a_view_of_a_larger_array_is_read_right(coffee: Pixels, bundle: Bundle) -> None:
    view = coffee[10:106, 20:100][::-1]
    expected = transform.analyse(np.ascontiguousarray(view), bundle)
    np.testing.assert_array_equal(transform.analyse(view, bundle), expected)


def test_a_pixel_reaches_no_further_than_the_halo(coffee: Pixels, bundle: Bundle) -> None:
    reach = bundle.halo // bundle.stride
    middle = reach + 2
    side = (2 * middle + 1) * bundle.stride
    pixels = coffee[:side, :side].copy()
    before = transform.analyse(pixels, bundle)
    here = slice(middle * bundle.stride, (middle + 1) * bundle.stride)
    pixels[here, here] ^= 0xFF
    seen = (transform.analyse(pixels, bundle) != before).any(axis=0)
    assert seen[middle, middle]
    assert farthest(seen, middle, middle) <= reach


def test_a_latent_reaches_no_further_than_the_halo(coffee: Pixels, bundle: Bundle) -> None:
    middle = bundle.halo // bundle.stride + 2
    side = (2 * middle + 1) * bundle.stride
    latent = transform.analyse(coffee[:side, :side], bundle)
    before = transform.synthesise(latent, bundle)
    latent[:, middle, middle] *= -10
    changed = (transform.synthesise(latent, bundle) != before).any(axis=2)
    first, last = middle * bundle.stride, (middle + 1) * bundle.stride - 1
    assert changed[first, first]
    assert farthest(changed, first, last) <= bundle.halo


@pytest.fixture(scope="module")
def whole(coffee: Pixels, bundle: Bundle) -> tuple[Pixels, NDArray[np.float32], Pixels]:
    """A picture, its latents and what they give back, each in one tile."""
    pixels = coffee[50:186, 200:360]  # 17 x 20 latents at a stride of 8: tiles differ in size
    latent = transform.analyse(pixels, bundle)
    return pixels, latent, transform.synthesise(latent, bundle)


@pytest.mark.parametrize("strides", [3, 7, 16])
def test_tiles_give_what_the_whole_gives(
    whole: tuple[Pixels, NDArray[np.float32], Pixels],
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    strides: int,
) -> None:
    pixels, latent, back = whole
    monkeypatch.setattr(transform, "_TILE", strides * bundle.stride)
    np.testing.assert_allclose(transform.analyse(pixels, bundle), latent, rtol=0, atol=1e-3)
    assert levels_apart(transform.synthesise(latent, bundle), back) <= 1


@pytest.mark.parametrize(("rows", "columns"), list(itertools.product([1, 3], [1, 40])))
def test_tiles_of_a_strip_give_what_the_whole_gives(
    coffee: Pixels, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, rows: int, columns: int
) -> None:
    height, width = (max(n * bundle.stride, bundle.smallest_side) for n in (rows, columns))
    pixels = coffee[:height, :width]
    latent = transform.analyse(pixels, bundle)
    back = transform.synthesise(latent, bundle)
    monkeypatch.setattr(transform, "_TILE", 9 * bundle.stride)
    np.testing.assert_allclose(transform.analyse(pixels, bundle), latent, rtol=0, atol=1e-3)
    assert levels_apart(transform.synthesise(latent, bundle), back) <= 1
