"""Encode and decode as one: every picture comes back in its shape, better and bigger with quality."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import metrics
from caesura.coding.base import DEFAULT_EFFORT
from caesura.entropy import factorized
from caesura.entropy.coder import Pusher
from caesura.entropy.tables import TOTAL
from caesura.errors import (
    CaesuraError,
    ConfigError,
    FormatError,
    ImageError,
    LimitError,
    ModelError,
    SignatureError,
)
from caesura.format import container
from caesura.format.container import Payload, SegmentData
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.manifest import ANALYSIS, TABLES
from caesura.picture.pixels import to_image, to_pixels
from caesura.runtime import onnx_runtime
from container_helpers import layers
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


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_comes_back_in_its_shape(size: tuple[int, int], channels: int, either: Bundle) -> None:
    pixels = drawn(*size, channels)
    data = caesura.encode(pixels, model=either)
    decoded = caesura.decode_array(data)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.shape == pixels.shape
    header = caesura.read_header(data)
    assert (header.height, header.width, header.channels) == pixels.shape


@pytest.mark.slow
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.floats(1, 100), st.integers(0, 99))
@settings(max_examples=30)
def test_any_small_picture_at_any_quality_comes_back_in_its_shape(
    either: Bundle, height: int, width: int, channels: int, quality: float, seed: int
) -> None:
    pixels = drawn(height, width, channels, seed)
    data = caesura.encode(pixels, quality=quality, model=either)
    assert caesura.decode_array(data).shape == pixels.shape
    header, payload = container.read(data)
    assert header.ladder_position == ladder.position_of(quality, either.quality_scale)
    assert (layers(payload).detail is not None) == (header.ladder_position > either.ladder_top)


@pytest.mark.parametrize(("mode", "comes_back"), [("L", "L"), ("1", "L"), ("RGB", "RGB"), ("P", "RGB")])
def test_a_pillow_image_comes_back_in_its_mode(mode: str, comes_back: str, either: Bundle) -> None:
    picture = Image.fromarray(drawn(20, 33, 3)).convert(mode)
    decoded = caesura.decode(caesura.encode(picture, model=either))
    assert decoded.mode == comes_back
    assert decoded.size == (33, 20)


def test_grey_decodes_to_grey(either: Bundle) -> None:
    for pixels in (drawn(24, 17, 1), drawn(24, 17, 1)[:, :, 0]):
        data = caesura.encode(pixels, model=either)
        assert caesura.decode(data).mode == "L"
        assert caesura.decode_array(data).shape == (24, 17, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_and_a_pillow_image_of_it_give_the_same_file(channels: int) -> None:
    pixels = drawn(31, 26, channels)
    data = caesura.encode(pixels)
    assert caesura.encode(to_image(pixels)) == data
    np.testing.assert_array_equal(to_pixels(caesura.decode(data)), caesura.decode_array(data))


def test_a_turned_photo_is_turned_where_its_orientation_is_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(drawn(20, 40, 3)).save(file, "PNG", exif=exif)
    with Image.open(file) as picture:
        data = caesura.encode(picture, strip=True)
    assert data == caesura.encode(np.rot90(drawn(20, 40, 3), -1))


# ---- quality


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "qualities"),
    [
        ("cae2017", (1, 25, 38, 50, 100)),
        ("photo-psnr", (1, 25, 50, 72, 75, 100)),  # 75 is above the ladder
    ],
)
def test_higher_quality_is_better_and_bigger(
    astronaut: Pixels, model: str, qualities: tuple[float, ...]
) -> None:
    picture = astronaut[:256, 100:356]
    files = [caesura.encode(picture, quality=quality, model=model) for quality in qualities]
    sizes = [len(data) for data in files]
    scores = [metrics.psnr(picture, caesura.decode_array(data)) for data in files]
    assert sizes == sorted(set(sizes))
    assert scores == sorted(set(scores))
    assert scores[-1] > 25


@pytest.mark.parametrize("quality", [1, 100])
def test_beyond_what_a_model_reaches_its_last_quality_is_taken(either: Bundle, quality: float) -> None:
    reached = either.quality_scale[0 if quality == 1 else -1][0]
    pixels = drawn(40, 24, 3)
    at_the_end = caesura.encode(pixels, quality=reached, model=either)
    assert caesura.encode(pixels, quality=quality, model=either) == at_the_end


@pytest.mark.slow
def test_one_quality_means_about_one_picture_whatever_the_model(coffee: Pixels) -> None:
    picture = coffee[100:292, 200:456]
    one, other = (
        metrics.psnr(picture, caesura.decode_array(caesura.encode(picture, quality=40, model=model)))
        for model in ("cae2017", "photo-psnr")
    )
    assert one == pytest.approx(other, abs=2)


def test_a_flat_picture_comes_back_flat_and_small(either: Bundle) -> None:
    for level in (0, 90, 255):
        flat = np.full((64, 64, 3), level, np.uint8)
        data = caesura.encode(flat, model=either)
        assert len(data) < 64 * 64 * 3 / 10
        assert metrics.psnr(flat, caesura.decode_array(data)) > 20


def test_the_default_quality_and_model_are_those_named() -> None:
    pixels = drawn(16, 16, 3)
    named = caesura.encode(pixels, quality=ladder.DEFAULT_QUALITY, model=bundles.DEFAULT)
    assert caesura.encode(pixels) == named


# ---- exactness


@pytest.mark.parametrize("quality", [50, 90])
def test_the_same_picture_gives_the_same_file_and_pixels(either: Bundle, quality: float) -> None:
    one, other = (caesura.encode(drawn(50, 70, 3), quality=quality, model=either) for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(caesura.decode_array(one), caesura.decode_array(other))


@pytest.mark.parametrize("quality", [50, 90])
def test_the_picture_given_is_not_changed(either: Bundle, quality: float) -> None:
    pixels = drawn(17, 19, 3)
    caesura.encode(pixels, quality=quality, model=either)
    np.testing.assert_array_equal(pixels, drawn(17, 19, 3))


@pytest.mark.parametrize("quality", [1, 40, 100])
def test_decoded_symbols_coded_again_are_the_same_bytes(bundle: Bundle, quality: float) -> None:
    data = caesura.encode(noise(40, 56), quality=quality, model=bundle)
    header, payload = container.read(data)
    tables = bundle.tables.row(ladder.table_row(header.ladder_position, bundle.tables.rows))
    pusher = Pusher()
    factorized.push(pusher, symbols_of(data, bundle).astype(np.int32), tables)
    assert payload == Payload([SegmentData(pusher.bytes())])


@pytest.fixture
def use_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that has the sessions made anew with so many threads."""

    def use(threads: str) -> None:
        monkeypatch.setenv("CAESURA_THREADS", threads)
        onnx_runtime.forget()

    yield use
    onnx_runtime.forget()


@pytest.mark.slow
def test_the_number_of_threads_changes_no_symbol(
    coffee: Pixels, bundle: Bundle, use_threads: Callable[[str], None]
) -> None:
    picture = coffee[30:235, 100:410]
    files, decoded = [], []
    for threads in "12":
        use_threads(threads)
        files.append(caesura.encode(picture, quality=60, model=bundle))
        decoded.append(caesura.decode_array(files[0]))
    one, two = (symbols_of(data, bundle) for data in files)
    np.testing.assert_array_equal(one, two)
    assert levels_apart(*decoded) <= 1


@pytest.mark.parametrize("threads", ["two", "-1", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(
    use_threads: Callable[[str], None], threads: str
) -> None:
    use_threads(threads)
    with pytest.raises(
        ConfigError, match=f"CAESURA_THREADS is '{threads}'; a whole number up to 1024 is allowed"
    ):
        caesura.encode(drawn(8, 8, 3))


def test_noise_at_the_highest_quality_comes_back(either: Bundle) -> None:
    picture = noise(64, 72)
    best, usual = (caesura.decode_array(caesura.encode(picture, quality=q, model=either)) for q in (100, 50))
    assert best.shape == picture.shape
    assert metrics.psnr(picture, best) > metrics.psnr(picture, usual)


@pytest.fixture
def escaping_bundle(
    tmp_path: Path, make_bundle: Callable[..., Path], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> Bundle:
    """The paper's model with tables that hold one symbol far away: everything is coded as an escape."""
    tables = {
        "low": np.full((1, bundle.channels), 30_000, np.int32),
        "length": np.full((1, bundle.channels), 2, np.int32),
        "frequencies": np.tile(np.array([1, TOTAL - 1], np.uint32), bundle.channels),
    }
    folder = make_bundle(tmp_path / "escaping", {TABLES: tables})
    monkeypatch.setenv("CAESURA_MODELS", str(tmp_path))
    return bundles.load(folder.name)


@pytest.mark.parametrize("quality", [1, 40, 100])
def test_tables_change_the_size_and_nothing_else(
    bundle: Bundle, escaping_bundle: Bundle, quality: float
) -> None:
    picture = noise(32, 41)
    usual = caesura.encode(picture, quality=quality, model=bundle)
    escaped = caesura.encode(picture, quality=quality, model=escaping_bundle)
    assert len(escaped) > len(usual)
    np.testing.assert_array_equal(symbols_of(escaped, escaping_bundle), symbols_of(usual, bundle))
    np.testing.assert_array_equal(caesura.decode_array(escaped), caesura.decode_array(usual))


def test_a_file_is_decoded_with_the_model_that_coded_it(
    bundle: Bundle, flagship: Bundle, escaping_bundle: Bundle
) -> None:
    for used in (bundle, flagship, escaping_bundle):
        assert caesura.read_header(caesura.encode(drawn(8, 8, 3), model=used)).model_id == used.id


# ---- errors


@pytest.mark.parametrize("quality", [0, 100.5, float("nan")])
def test_a_quality_out_of_range_is_refused(quality: float) -> None:
    with pytest.raises(ConfigError, match="1 to 100 is allowed"):
        caesura.encode(drawn(8, 8, 3), quality=quality)


def test_a_picture_that_cannot_be_coded_is_refused() -> None:
    with pytest.raises(ImageError, match="array of int64"):
        caesura.encode(np.zeros((8, 8, 3), np.int64))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="mode CMYK"):
        caesura.encode(Image.new("CMYK", (8, 8)))
    with pytest.raises(ImageError, match="at least one pixel"):
        caesura.encode(np.zeros((0, 8, 3), np.uint8))


def test_an_unknown_model_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="'no-such-model' is not known"):
        caesura.encode(drawn(8, 8, 3), model="no-such-model")
    data = container.write(container.Header(bundle.id ^ 1, 3, 6000, 1, 8, 8), Payload([SegmentData(b"")]))
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
    with pytest.raises(ModelError, match=r"model graphless: analysis\.onnx cannot be loaded"):
        caesura.encode(drawn(10, 11, 3), model=graphless)


def test_a_side_that_is_too_long_is_refused() -> None:
    with pytest.raises(LimitError, match="width is 1048577; 1 to 1048576 pixels are allowed"):
        caesura.encode(np.zeros((1, (1 << 20) + 1), np.uint8))


def test_another_format_is_not_decoded() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    with pytest.raises(SignatureError, match="starts with 89 50 4e 47"):
        caesura.decode(file.getvalue())


@pytest.mark.parametrize("quality", [50, 90])
def test_latents_of_another_size_are_refused(either: Bundle, quality: float) -> None:
    header, payload = container.read(caesura.encode(noise(64, 64), quality=quality, model=either))
    smaller = container.Header(header.model_id, header.channels, header.ladder_position, 1, 8, 8)
    with pytest.raises(FormatError, match="coded symbols: "):
        caesura.decode(container.write(smaller, payload))


@pytest.mark.parametrize("effort", [0, 10, -1])
def test_an_effort_out_of_range_is_refused(either: Bundle, effort: int) -> None:
    with pytest.raises(ConfigError, match=rf"effort is {effort!r}; 1 to 9 is allowed"):
        caesura.encode(drawn(8, 8, 3), model=either, effort=effort)


WRONG_TYPES: list[tuple[str, object]] = [
    ("quality", True),
    ("quality", "50"),
    ("target", {"bytes": 1000}),
    ("target", 1000),
    ("model", 5),
    ("tune", 5),
    ("effort", 5.0),
    ("effort", True),
    ("effort", "5"),
    ("effort", None),
    ("strip", "no"),
    ("strict", 1),
    ("progress", 5),
    ("max_pixels", 1.5),
    ("max_pixels", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES, ids=str)
def test_a_setting_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"^{name} is .+, of type {type(value).__name__}; .+ allowed$"):
        caesura.encode(drawn(8, 8, 3), **{name: value})


@pytest.mark.parametrize("picture", [None, 5, b"bytes", [[1]]])
def test_what_is_no_picture_is_of_the_wrong_type(picture: object) -> None:
    with pytest.raises(TypeError, match=r"picture is .+; a Pillow image, an array and the path of a picture"):
        caesura.encode(picture)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_a_pixel_is_refused(limit: int) -> None:
    data = caesura.encode(drawn(8, 8, 3))
    for call in (caesura.read_header, caesura.decode, caesura.decode_array, caesura.recover):
        with pytest.raises(ConfigError, match=f"max_pixels is {limit}; an integer of 1 or more is allowed"):
            call(data, max_pixels=limit)
    with pytest.raises(ConfigError, match=f"max_pixels is {limit}; an integer of 1 or more is allowed"):
        caesura.encode(drawn(8, 8, 3), max_pixels=limit)


# ---- what a file is given as


READERS = [caesura.read_header, caesura.decode, caesura.decode_array, caesura.recover]


@pytest.mark.parametrize("read", READERS)
def test_a_file_is_its_bytes_or_its_path(read: Callable[[Any], Any], tmp_path: Path) -> None:
    data = caesura.encode(drawn(8, 9, 3))
    path = tmp_path / "a.cae"
    path.write_bytes(data)
    expected = read(data)
    for given_ in (bytearray(data), memoryview(data), path, str(path)):
        found = read(given_)
        assert np.array_equal(found, expected) if read is caesura.decode_array else found == expected
    for other in (5, None, [data], io.BytesIO(data), np.frombuffer(data, np.uint8)):
        with pytest.raises(TypeError, match=r"data is .+; bytes and the path of a file are allowed"):
            read(other)


@pytest.mark.parametrize("read", [*READERS, caesura.encode])
def test_what_cannot_be_opened_is_the_systems_error_and_never_waited_for(
    read: Callable[[Any], Any], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        read(tmp_path / "none")
    with pytest.raises(OSError, match=tmp_path.name):
        read(tmp_path)
    with pytest.raises(ConfigError, match="path is 'a"):
        read("a\0b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CaesuraError, match="pipe is not a file; the path of one is allowed"):
            read(tmp_path / "pipe")


def test_a_pictures_path_is_coded_as_the_picture(tmp_path: Path) -> None:
    picture = Image.fromarray(drawn(20, 33, 3))
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        picture.save(path)
        assert caesura.encode(path) == caesura.encode(picture)
    with pytest.raises(LimitError, match="max_pixels allows 600"):
        caesura.encode(tmp_path / "a.png", max_pixels=600)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    with pytest.raises(ImageError, match=r"a\.png"):
        caesura.encode(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ImageError, match=r"a\.txt is not a picture in a format known here"):
        caesura.encode(tmp_path / "a.txt")


def test_a_damaged_file_is_an_oserror_too(tmp_path: Path) -> None:
    for data in (b"", b"text", caesura.encode(drawn(8, 8, 3))[:-1]):
        with pytest.raises(OSError, match="the file ") as caught:
            caesura.decode(data)
        error = caught.value
        assert isinstance(error, FormatError)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
        assert (error.errno, error.strerror, error.filename) == (None, None, None)


def test_the_default_effort_is_the_one_named(either: Bundle) -> None:
    pixels = drawn(40, 24, 3)
    named = caesura.encode(pixels, model=either, effort=DEFAULT_EFFORT)
    assert caesura.encode(pixels, model=either) == named


def test_the_papers_model_knows_one_effort(bundle: Bundle) -> None:
    pixels = drawn(40, 24, 3)
    assert len({caesura.encode(pixels, model=bundle, effort=effort) for effort in range(1, 10)}) == 1


def test_more_effort_is_smaller_at_about_the_same_picture(astronaut: Pixels, flagship: Bundle) -> None:
    picture = astronaut[:128, 100:260]
    least, usual = (caesura.encode(picture, model=flagship, effort=effort) for effort in (1, 5))
    assert len(usual) < len(least)
    one, other = (metrics.psnr(picture, caesura.decode_array(data)) for data in (least, usual))
    assert other == pytest.approx(one, abs=0.5)


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_a_detail_chunk_is_there_above_the_ladder_and_nowhere_else(either: Bundle, quality: float) -> None:
    header, payload = container.read(caesura.encode(drawn(16, 16, 3), quality=quality, model=either))
    wrong, said = (b"", "there") if header.ladder_position <= either.ladder_top else (None, "missing")
    with pytest.raises(
        FormatError, match=f"detail: the chunk is {said} at ladder position {header.ladder_position}"
    ):
        caesura.decode(container.write(header, Payload([SegmentData(layers(payload).latents, wrong)])))
