"""bench/: codecs behind one interface, rate differences, reports and the demo."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import AvifImagePlugin

import caesura
from benchmarks import coding_loss
from caesura import metrics
from caesura.bench import quality
from caesura.bench.bd_rate import bd_rate
from caesura.bench.caesura_codec import Caesura, Crops, size_of
from caesura.bench.codecs import (
    AVIF_IQ,
    AVIF_PSNR,
    JPEG,
    JPEG_2000,
    OTHERS,
    WEBP,
    Avif,
    Codec,
    Heic,
    JpegXl,
    choose,
    installed,
)
from caesura.bench.matched import encode_between, encode_within
from caesura.errors import ConfigError, DependencyError
from caesura.models import ladder
from caesura.models.bundle import DEFAULT, Bundle, load

Pixels = NDArray[np.uint8]

OURS = Caesura(DEFAULT, (1, 30, 60, 100))
PAPER = Caesura("cae2017", (14, 30, 45, 62))


def of_name(codec: Codec) -> str:
    return codec.name


# The codecs


@pytest.mark.slow
@pytest.mark.parametrize("codec", [OURS, PAPER, *OTHERS], ids=of_name)
def test_a_codecs_ladder_runs_from_small_and_rough_to_large_and_fine(codec: Codec, part: Pixels) -> None:
    part = np.ascontiguousarray(part[:64, :64])
    sizes, psnrs = [], []
    for setting in codec.settings:
        data = codec.encode(part, setting)
        decoded = codec.decode(data)
        assert decoded.shape == part.shape
        assert decoded.dtype == np.uint8
        sizes.append(len(data))
        psnrs.append(metrics.psnr(part, decoded))
    assert min(psnrs) > 19
    assert all(small < large for small, large in itertools.pairwise(sizes))
    assert all(rough < fine for rough, fine in itertools.pairwise(psnrs))


def test_the_codecs_have_names_of_their_own() -> None:
    assert len({codec.name for codec in (OURS, PAPER, *OTHERS)}) == len(OTHERS) + 2
    assert OURS.name == "caesura photo"
    assert PAPER.name == "caesura cae2017"
    assert Caesura("models/mine", (50,)).name == "caesura mine"


@pytest.mark.parametrize("codec", [OURS, PAPER, *OTHERS], ids=of_name)
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (33, 64)])
def test_codecs_take_pictures_of_any_size(codec: Codec, shape: tuple[int, int], part: Pixels) -> None:
    pixels = np.ascontiguousarray(part[: shape[0], : shape[1]])
    assert codec.decode(codec.encode(pixels, codec.settings[-1])).shape == pixels.shape


def test_our_codec_takes_a_grey_picture_and_gives_rgb(part: Pixels) -> None:
    grey = np.ascontiguousarray(part[:40, :56, :1])
    decoded = OURS.decode(caesura.encode(grey, quality=60))
    assert decoded.shape == (40, 56, 3)
    assert np.array_equal(decoded[:, :, 0], decoded[:, :, 2])


def test_our_codec_takes_an_effort_and_says_so_unless_it_is_the_usual(part: Pixels) -> None:
    quick = Caesura(DEFAULT, (50,), 1)
    assert quick.name == "caesura photo effort 1"
    assert Caesura(DEFAULT, (50,), 5).name == "caesura photo"
    assert quick.encode(part, 50) == caesura.encode(part, quality=50, effort=1) != OURS.encode(part, 50)


def test_our_codec_may_be_a_bundles_folder(shipped: Path, part: Pixels) -> None:
    assert Caesura(str(shipped), (50,)).encode(part, 50) == PAPER.encode(part, 50)


# Crops


@pytest.mark.slow
@pytest.mark.parametrize("inner", [OURS, JPEG], ids=of_name)
@pytest.mark.parametrize("shape", [(64, 96), (33, 50), (7, 40), (32, 32), (1, 1)])
def test_crops_are_what_coding_each_crop_on_its_own_gives(
    inner: Codec, shape: tuple[int, int], part: Pixels
) -> None:
    pixels, setting = np.ascontiguousarray(part[: shape[0], 100 : 100 + shape[1]]), inner.settings[2]
    expected, size = np.empty_like(pixels), 0
    for top in range(0, shape[0], 32):
        for left in range(0, shape[1], 32):
            place = (slice(top, top + 32), slice(left, left + 32))
            data = inner.encode(np.ascontiguousarray(pixels[place]), setting)
            expected[place] = inner.decode(data)
            size += len(data)
    crops = Crops(inner, 32)
    data = crops.encode(pixels, setting)
    assert np.array_equal(crops.decode(data), expected)
    assert crops.size(data, pixels.shape) == size


def test_a_crop_as_large_as_the_picture_is_the_picture(part: Pixels) -> None:
    crops, whole = Crops(JPEG, 256), JPEG.encode(part, 50)
    data = crops.encode(part, 50)
    assert crops.size(data, part.shape) == len(whole)
    assert np.array_equal(crops.decode(data), JPEG.decode(whole))


def test_crops_keep_the_ladder_and_say_their_side() -> None:
    crops = Crops(OURS, 128)
    assert crops.name == "caesura photo, 128 px crops"
    assert crops.settings == OURS.settings


def test_only_the_crops_bytes_count(part: Pixels) -> None:
    pixels = np.ascontiguousarray(part[:40, :50])
    crops = Crops(Caesura(DEFAULT, (60,)), 32)
    data = crops.encode(pixels, 60)
    assert size_of(crops, data, pixels) == crops.size(data, pixels.shape) < len(data)
    assert size_of(JPEG, b"four", pixels) == 4


# Which codecs


def test_versions_say_which_library_it_is() -> None:
    for codec in OTHERS:
        assert any(character.isdigit() for character in codec.version)
    assert OURS.version != PAPER.version != Caesura("cae2017", (50,), 1).version


def test_codecs_are_chosen_by_parts_of_their_names() -> None:
    assert choose(None, OTHERS) == list(OTHERS)
    assert choose("none", OTHERS) == []
    assert choose("webp, jpeg 4:2:0", OTHERS) == [JPEG, WEBP]
    assert {codec.name for codec in choose("XL", OTHERS)} == {f"JPEG XL effort {one}" for one in (3, 7, 9)}
    with pytest.raises(ConfigError, match=r"codecs has 'gif'; parts of these names are allowed.*WebP"):
        choose("webp,gif", OTHERS)


def test_a_codec_that_is_not_installed_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    here, missing = installed([JPEG, Heic()])
    assert here == [JPEG]
    assert [(one.name, one.reason) for one in missing] == [
        ("HEIC", "pillow-heif is not installed; pip install 'caesura[bench]'")
    ]
    with pytest.raises(DependencyError, match="pillow-heif is not installed"):
        _ = Heic().version


# The tunings of AVIF


def test_avif_is_measured_at_every_tuning_named_so() -> None:
    names = [codec.name for codec in OTHERS if isinstance(codec, Avif)]
    both = [f"AVIF speed {n} tune={tune}" for n in (4, 6, 9) for tune in ("iq", "psnr")]
    assert sorted(names) == sorted(
        [*both, *(f"AVIF speed 6 tune=ssimulacra2{chroma}" for chroma in ("", " 4:2:0"))]
    )
    assert (AVIF_PSNR.name, AVIF_IQ.name) == ("AVIF speed 6 tune=psnr", "AVIF speed 6 tune=iq")
    assert choose("avif speed 6 tune=iq", OTHERS) == [AVIF_IQ]


@pytest.mark.slow
def test_each_tuning_is_ahead_by_what_it_is_for(part: Pixels) -> None:
    points = {
        codec.tune: [
            (len(data), metrics.psnr(part, decoded), quality.ssimulacra2(part, decoded))
            for data in (codec.encode(part, setting) for setting in codec.settings[::2])
            for decoded in [codec.decode(data)]
        ]
        for codec in (AVIF_PSNR, AVIF_IQ)
    }
    curves = {tune: np.array(rows, float).T for tune, rows in points.items()}
    for column, first, second in ((1, "psnr", "iq"), (2, "iq", "psnr")):
        saved = bd_rate(*(list(zip(curves[t][0], curves[t][column], strict=True)) for t in (second, first)))
        assert saved is not None
        assert saved < -3, column


def test_avif_needs_a_libaom_that_knows_the_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AvifImagePlugin, "get_codec_version", lambda name: "3.11.0")
    assert "libaom 3.11.0" in AVIF_PSNR.version
    unknown = Avif(6, "no-such-tuning")
    with pytest.raises(DependencyError, match=r"libaom, 3\.11\.0, has no tune=no-such-tuning"):
        _ = unknown.version
    assert installed([AVIF_PSNR, unknown])[0] == [AVIF_PSNR]
    monkeypatch.setattr(AvifImagePlugin, "get_codec_version", lambda name: None)
    with pytest.raises(DependencyError, match="this Pillow is built without libaom"):
        _ = AVIF_PSNR.version


# A file of a size


@pytest.mark.slow
@pytest.mark.parametrize("codec", [JPEG, WEBP, AVIF_PSNR], ids=of_name)
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_file_within_a_size_fits_and_uses_most_of_it(codec: Codec, share: float, astronaut: Pixels) -> None:
    pixels = np.ascontiguousarray(astronaut[:96, 160:256])
    smallest, largest = (len(codec.encode(pixels, setting)) for setting in (0, 100))
    size = round(smallest + share * (largest - smallest))
    data = encode_within(codec, pixels, size, 0, 100)
    assert smallest <= len(data) <= size
    assert codec.decode(data).shape == pixels.shape
    sizes = [len(codec.encode(pixels, setting)) for setting in range(0, 101, 4)]
    assert len(data) > 0.9 * max(one for one in sizes if one <= size)


@pytest.mark.parametrize("size", [0, 100])
def test_the_smallest_file_comes_where_none_fits(size: int, part: Pixels) -> None:
    assert encode_within(JPEG, part, size, 5, 95) == JPEG.encode(part, 5)


def test_a_size_of_exactly_the_smallest_file_is_met(part: Pixels) -> None:
    smallest = JPEG.encode(part, 5)
    assert len(encode_within(JPEG, part, len(smallest), 5, 95)) == len(smallest)


@pytest.mark.slow
def test_a_setting_between_whole_numbers_serves_our_codec(part: Pixels) -> None:
    part = np.ascontiguousarray(part[:96, :96])
    size = (len(OURS.encode(part, 40)) + len(OURS.encode(part, 41))) // 2
    data = encode_within(OURS, part, size, 1, 100)
    assert len(data) <= size
    lowest, highest = (ladder.position_of(quality, load(DEFAULT).quality_scale) for quality in (39, 41))
    assert lowest <= caesura.read_header(data).quality < highest


@pytest.mark.slow
@pytest.mark.parametrize("codec", [OURS, JPEG, JPEG_2000, WEBP, JpegXl(3)], ids=of_name)
def test_a_size_is_matched_in_few_trials_from_sizes_that_are_known(codec: Codec, part: Pixels) -> None:
    part = np.ascontiguousarray(part[:128, :128])
    known = [(setting, len(codec.encode(part, setting))) for setting in codec.settings]
    size = (known[1][1] + known[2][1]) // 2
    data = encode_between(codec, part, size, known)
    assert 0.85 * size < len(data) <= size
    assert encode_between(codec, part, 10, known) == codec.encode(part, known[0][0])
    assert encode_between(codec, part, 10**9, known) == codec.encode(part, known[-1][0])


# What the entropy coder loses


@pytest.mark.slow
@pytest.mark.parametrize("quality", [1, 17.3, 30, 37.5, 45.2, 60, 100])
def test_real_files_are_within_1_percent_and_32_bytes_of_the_estimate(
    quality: float, bundle: Bundle, part: Pixels
) -> None:
    prior = coding_loss.load_prior(bundle)
    estimate = coding_loss.estimate(part, quality, bundle, prior)
    size = len(caesura.encode(part, quality=quality, model=bundle))
    assert 0.99 * estimate - 32 < size < 1.01 * estimate + 32


def test_jpeg_2000_keeps_to_the_qualities_it_is_given(part: Pixels) -> None:
    for decibels in (28, 36):
        decoded = JPEG_2000.decode(JPEG_2000.encode(part, decibels))
        assert metrics.psnr(part, decoded) == pytest.approx(decibels, abs=1)
