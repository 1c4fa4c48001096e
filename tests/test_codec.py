"""Encode and decode as one: every picture comes back in its shape, better and bigger with quality."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import container, image, metrics, rate, transform
from caesura import model as models
from caesura.entropy import factorized
from caesura.entropy.tables import TOTAL
from caesura.errors import ConfigError, FormatError, ImageError, LimitError, ModelError, SignatureError
from caesura.model import ANALYSIS, TABLES, Bundle
from symbols import symbols_of

Pixels = NDArray[np.uint8]
SIZES = [(1, 1), (7, 5), (1, 300), (300, 1), (8, 8), (9, 8), (64, 63), (100, 75)]


def drawn(height: int, width: int, channels: int, seed: int = 0) -> Pixels:
    """A smooth picture, uint8 (height, width, channels)."""
    rows, columns = np.mgrid[:height, :width]
    phases = np.random.default_rng(seed).uniform(0, 6, channels)
    waves = np.sin(rows[..., None] / 9 + phases) + np.cos(columns[..., None] / 7 + phases)
    pixels: Pixels = (127 + 60 * waves).astype(np.uint8)
    return pixels


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    pixels: Pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pixels


def levels_apart(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


# ---- shapes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_comes_back_in_its_shape(size: tuple[int, int], channels: int) -> None:
    pixels = drawn(*size, channels)
    data = caesura.encode(pixels)
    decoded = caesura.decode_array(data)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.shape == pixels.shape
    header = caesura.read_header(data)
    assert (header.height, header.width, header.channels) == pixels.shape


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.floats(1, 100), st.integers(0, 99))
@settings(max_examples=30)
def test_any_small_picture_at_any_quality_comes_back_in_its_shape(
    height: int, width: int, channels: int, quality: float, seed: int
) -> None:
    pixels = drawn(height, width, channels, seed)
    data = caesura.encode(pixels, quality=quality)
    assert caesura.decode_array(data).shape == pixels.shape
    assert caesura.read_header(data).quality == round(quality * 100)


@pytest.mark.parametrize(("mode", "comes_back"), [("L", "L"), ("1", "L"), ("RGB", "RGB"), ("P", "RGB")])
def test_a_pillow_image_comes_back_in_its_mode(mode: str, comes_back: str) -> None:
    picture = Image.fromarray(drawn(20, 33, 3)).convert(mode)
    decoded = caesura.decode(caesura.encode(picture))
    assert decoded.mode == comes_back
    assert decoded.size == (33, 20)


def test_grey_decodes_to_grey() -> None:
    for pixels in (drawn(24, 17, 1), drawn(24, 17, 1)[:, :, 0]):
        data = caesura.encode(pixels)
        assert caesura.decode(data).mode == "L"
        assert caesura.decode_array(data).shape == (24, 17, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_and_a_pillow_image_of_it_give_the_same_file(channels: int) -> None:
    pixels = drawn(31, 26, channels)
    data = caesura.encode(pixels)
    assert caesura.encode(image.to_image(pixels)) == data
    np.testing.assert_array_equal(image.to_pixels(caesura.decode(data)), caesura.decode_array(data))


def test_a_turned_photo_comes_back_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(drawn(20, 40, 3)).save(file, "PNG", exif=exif)
    with Image.open(file) as picture:
        data = caesura.encode(picture)
    assert data == caesura.encode(np.rot90(drawn(20, 40, 3), -1))


# ---- quality


def test_higher_quality_is_better_and_bigger(astronaut: Pixels) -> None:
    picture = astronaut[:256, 100:356]
    files = [caesura.encode(picture, quality=quality) for quality in (1, 25, 50, 75, 100)]
    sizes = [len(data) for data in files]
    scores = [metrics.psnr(picture, caesura.decode_array(data)) for data in files]
    assert sizes == sorted(set(sizes))
    assert scores == sorted(set(scores))
    assert scores[-1] > 25


def test_a_flat_picture_comes_back_flat_and_small() -> None:
    for level in (0, 90, 255):
        flat = np.full((64, 64, 3), level, np.uint8)
        data = caesura.encode(flat)
        assert len(data) < 64 * 64 * 3 / 10
        assert metrics.psnr(flat, caesura.decode_array(data)) > 20


def test_the_default_quality_is_the_one_named() -> None:
    pixels = drawn(16, 16, 3)
    assert caesura.encode(pixels) == caesura.encode(pixels, quality=rate.DEFAULT_QUALITY)


# ---- exactness


def test_the_same_picture_gives_the_same_file_and_pixels() -> None:
    one, other = (caesura.encode(drawn(50, 70, 3)) for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(caesura.decode_array(one), caesura.decode_array(other))


def test_the_picture_given_is_not_changed() -> None:
    pixels = drawn(17, 19, 3)
    caesura.encode(pixels)
    np.testing.assert_array_equal(pixels, drawn(17, 19, 3))


@pytest.mark.parametrize("quality", [1, 60, 100])
def test_decoded_symbols_coded_again_are_the_same_bytes(bundle: Bundle, quality: float) -> None:
    data = caesura.encode(noise(40, 56), quality=quality)
    header, payload = container.read(data)
    tables = bundle.tables.row(rate.table_row(header.quality, bundle.tables.rows))
    assert factorized.encode(symbols_of(data, bundle).astype(np.int32), tables) == payload


@pytest.fixture
def use_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that has the sessions made anew with so many threads."""

    def use(threads: str) -> None:
        monkeypatch.setenv("CAESURA_THREADS", threads)
        transform._session.cache_clear()

    yield use
    transform._session.cache_clear()


def test_the_number_of_threads_changes_no_symbol(
    coffee: Pixels, bundle: Bundle, use_threads: Callable[[str], None]
) -> None:
    picture = coffee[30:235, 100:410]
    files, decoded = [], []
    for threads in "12":
        use_threads(threads)
        files.append(caesura.encode(picture, quality=90))
        decoded.append(caesura.decode_array(files[0]))
    one, two = (symbols_of(data, bundle) for data in files)
    np.testing.assert_array_equal(one, two)
    assert levels_apart(*decoded) <= 1


@pytest.mark.parametrize("threads", ["two", "-1", "1.5", ""])
def test_a_number_of_threads_that_is_none_is_refused(
    use_threads: Callable[[str], None], threads: str
) -> None:
    use_threads(threads)
    with pytest.raises(ConfigError, match=f"CAESURA_THREADS is '{threads}'; a whole number is allowed"):
        caesura.encode(drawn(8, 8, 3))


def test_noise_at_the_highest_quality_comes_back() -> None:
    picture = noise(64, 72)
    best, usual = (caesura.decode_array(caesura.encode(picture, quality=q)) for q in (100, 50))
    assert best.shape == picture.shape
    assert metrics.psnr(picture, best) > metrics.psnr(picture, usual)


@pytest.fixture
def escaping_bundle(
    tmp_path: Path, make_bundle: Callable[..., Path], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> Bundle:
    """The shipped model with tables that hold one symbol far away: everything is coded as an escape."""
    tables = {
        "low": np.full((1, bundle.channels), 30_000, np.int32),
        "length": np.full((1, bundle.channels), 2, np.int32),
        "frequencies": np.tile(np.array([1, TOTAL - 1], np.uint32), bundle.channels),
    }
    folder = make_bundle(tmp_path / "escaping", {TABLES: tables})
    monkeypatch.setenv("CAESURA_MODELS", str(tmp_path))
    return models.load(folder.name)


@pytest.mark.parametrize("quality", [1, 60, 100])
def test_tables_change_the_size_and_nothing_else(
    bundle: Bundle, escaping_bundle: Bundle, quality: float
) -> None:
    picture = noise(32, 41)
    usual = caesura.encode(picture, quality=quality)
    escaped = caesura.encode(picture, quality=quality, model=escaping_bundle)
    assert len(escaped) > len(usual)
    np.testing.assert_array_equal(symbols_of(escaped, escaping_bundle), symbols_of(usual, bundle))
    np.testing.assert_array_equal(caesura.decode_array(escaped), caesura.decode_array(usual))


def test_a_file_is_decoded_with_the_model_that_coded_it(bundle: Bundle, escaping_bundle: Bundle) -> None:
    for used in (bundle, escaping_bundle):
        assert caesura.read_header(caesura.encode(drawn(8, 8, 3), model=used)).model_id == used.id


# ---- errors


@pytest.mark.parametrize("quality", [0, 100.5, float("nan"), "60"])
def test_a_quality_out_of_range_is_refused(quality: float) -> None:
    with pytest.raises(ConfigError, match="1 to 100 is allowed"):
        caesura.encode(drawn(8, 8, 3), quality=quality)


def test_a_picture_that_cannot_be_coded_is_refused() -> None:
    with pytest.raises(ImageError, match="array of float64"):
        caesura.encode(np.zeros((8, 8, 3)))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="with transparency"):
        caesura.encode(Image.new("RGBA", (8, 8)))
    with pytest.raises(ImageError, match="at least one pixel"):
        caesura.encode(np.zeros((0, 8, 3), np.uint8))


def test_an_unknown_model_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="'no-such-model' is not known"):
        caesura.encode(drawn(8, 8, 3), model="no-such-model")
    data = container.write(container.Header(bundle.id ^ 1, 3, 6000, 8, 8), b"")
    with pytest.raises(ModelError, match=f"{bundle.id ^ 1:08x}, which is not here"):
        caesura.decode(data)


def test_a_picture_above_max_pixels_is_refused_both_ways() -> None:
    pixels = drawn(10, 11, 3)
    data = caesura.encode(pixels, max_pixels=110)
    assert caesura.decode_array(data, max_pixels=110).shape == pixels.shape
    with pytest.raises(LimitError, match="11 x 10 = 110 pixels; max_pixels allows 109"):
        caesura.encode(pixels, max_pixels=109)
    for decode in (caesura.decode, caesura.decode_array, caesura.read_header):
        with pytest.raises(LimitError, match="11 x 10 = 110 pixels; max_pixels allows 109"):
            decode(data, max_pixels=109)


def test_a_picture_above_max_pixels_is_refused_before_the_network_sees_it(
    tmp_path: Path, make_bundle: Callable[..., Path]
) -> None:
    graphless = make_bundle(tmp_path / "graphless", {ANALYSIS: b"no graph"})
    with pytest.raises(LimitError, match="max_pixels allows 109"):
        caesura.encode(drawn(10, 11, 3), model=graphless, max_pixels=109)
    with pytest.raises(ModelError, match="the analysis graph cannot be loaded"):
        caesura.encode(drawn(10, 11, 3), model=graphless)


def test_a_side_that_is_too_long_is_refused() -> None:
    with pytest.raises(LimitError, match="width is 1048577; 1 to 1048576 pixels are allowed"):
        caesura.encode(np.zeros((1, (1 << 20) + 1), np.uint8))


def test_another_format_is_not_decoded() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    with pytest.raises(SignatureError, match="starts with 89 50 4e 47"):
        caesura.decode(file.getvalue())


def test_latents_of_another_size_are_refused(bundle: Bundle) -> None:
    header, payload = container.read(caesura.encode(noise(64, 64)))
    smaller = container.Header(header.model_id, header.channels, header.quality, 8, 8)
    with pytest.raises(FormatError, match="latents: "):
        caesura.decode(container.write(smaller, payload))
