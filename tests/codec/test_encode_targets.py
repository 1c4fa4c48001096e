"""Pictures coded to a size, a PSNR or an MS-SSIM: never beyond, and close."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import codec, metrics
from caesura.coding.base import DEFAULT_EFFORT
from caesura.coding.cae2026 import Cae2026
from caesura.errors import ConfigError
from caesura.format import container
from caesura.format.container import Header
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.options import EncodeOptions
from caesura.ratecontrol.search import LACK_SHARE, PSNR_ABOVE, Target
from caesura.tiles.build import build_encoder
from caesura.tiles.cache import RateControlCache
from caesura.tiles.encoder import Encoder
from caesura.tiles.source import Source

Pixels = NDArray[np.uint8]


@pytest.mark.slow
@pytest.mark.parametrize("size", [900, 4000, 30000])
def test_a_size_is_met_and_nearly_used(either: Bundle, part: Pixels, size: int) -> None:
    data = caesura.encode(part, target=Target(bytes=size), model=either)
    assert len(data) <= size
    whole = len(caesura.encode(part, quality=100, model=either))
    assert len(data) >= min(size - max(40, 0.01 * size), whole)


@pytest.mark.slow
def test_a_rate_is_that_size(part: Pixels) -> None:
    data = caesura.encode(part, target=Target(bpp=0.5))
    assert data == caesura.encode(part, target=Target(bytes=256 * 256 // 16))
    assert metrics.bits_per_pixel(len(data), 256, 256) <= 0.5


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [28.0, 38.0, 44.0])
def test_a_psnr_is_reached_and_hardly_more(flagship: Bundle, part: Pixels, wanted: float) -> None:
    decoded = caesura.decode_array(caesura.encode(part, target=Target(psnr=wanted), model=flagship))
    assert wanted <= metrics.psnr(part, decoded) <= wanted + PSNR_ABOVE


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [0.965, 0.98])
def test_an_ms_ssim_is_reached_and_hardly_more(flagship: Bundle, part: Pixels, wanted: float) -> None:
    decoded = caesura.decode_array(caesura.encode(part, target=Target(ms_ssim=wanted), model=flagship))
    assert wanted <= metrics.ms_ssim(part, decoded) <= wanted + (1 - wanted) * LACK_SHARE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo", "photo-psnr"])
@pytest.mark.parametrize("wanted", [0.93, 0.955])  # the ladder of `photo` leaps at 0.955
def test_an_ms_ssim_is_reached_as_closely_as_the_ladder_allows(
    name: str, part: Pixels, wanted: float
) -> None:
    bundle = bundles.load(name)
    data = caesura.encode(part, target=Target(ms_ssim=wanted), model=bundle)
    position = container.read_header(data).ladder_position
    reached = metrics.ms_ssim(part, caesura.decode_array(data))
    assert reached >= wanted
    below, source, _ = encoder(part, bundle, position - 1, RateControlCache())
    neighbour = metrics.ms_ssim(part, below.reconstruct(source.rows))
    assert reached <= wanted + (1 - wanted) * LACK_SHARE or neighbour < wanted


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("position", [2000, 9000])
def test_the_encoder_shows_what_the_file_decodes_to(
    either: Bundle, part: Pixels, mode: str, position: int
) -> None:
    picture = np.asarray(Image.fromarray(part).convert(mode)).reshape(256, 256, -1)
    coder, source, colours = encoder(picture, either, position)
    shown = coder.reconstruct(source.rows)
    assert shown.shape == colours.shape
    np.testing.assert_array_equal(shown, decoded(coder, source)[:, :, : colours.shape[2]])


@pytest.mark.slow
@pytest.mark.parametrize("position", [2000, 9000])
def test_a_trial_shows_what_the_file_decodes_to_but_for_rounding(
    either: Bundle, part: Pixels, position: int
) -> None:
    coder, source, _ = encoder(part, either, position, RateControlCache())
    apart = np.abs(coder.reconstruct(source.rows).astype(int) - decoded(coder, source))
    assert apart.max() <= 1
    assert apart.mean() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("position", [2000, 9000])
@pytest.mark.parametrize("before", [[1900], [9000, 9500], [300, 7000, 8000, 9999, 2400]])
def test_a_trial_does_not_depend_on_those_before(
    flagship: Bundle, part: Pixels, position: int, before: list[int]
) -> None:
    cache = RateControlCache()
    for other in before:
        coder, source, _ = encoder(part, flagship, other, cache, cells=2)
        coder.reconstruct(source.rows)
    coder, source, _ = encoder(part, flagship, position, cache, cells=2)
    fresh, _, _ = encoder(part, flagship, position, RateControlCache(), cells=2)
    np.testing.assert_array_equal(coder.reconstruct(source.rows), fresh.reconstruct(source.rows))
    assert list(coder.segments(source.rows)) == list(fresh.segments(source.rows))


@pytest.mark.parametrize("first", [0, 1])
def test_trials_on_both_sides_of_the_ladders_top_give_the_files_of_each(
    flagship: Bundle, part: Pixels, first: int
) -> None:
    """They share the coded latents; above the top alone there is a detail layer."""
    cache, top = RateControlCache(), flagship.ladder_top
    for position in (top + first, top + 1 - first):
        coder, source, _ = encoder(part, flagship, position, cache)
        segments = list(coder.segments(source.rows))
        fresh, _, _ = encoder(part, flagship, position, RateControlCache())
        assert segments == list(fresh.segments(source.rows))
        assert [one.detail is not None for one in segments] == [position > top]


def test_above_the_ladder_trials_code_latents_once(
    monkeypatch: pytest.MonkeyPatch, flagship: Bundle, part: Pixels
) -> None:
    calls = []
    usual = Cae2026.encode
    monkeypatch.setattr(Cae2026, "encode", lambda *given: calls.append(1) or usual(*given))
    cache = RateControlCache()
    for position in (7201, 8000, 9999):
        coder, source, _ = encoder(part, flagship, position, cache)
        coder.reconstruct(source.rows)
        list(coder.segments(source.rows))
    assert len(calls) == 1


def encoder(
    picture: Pixels, bundle: Bundle, position: int, cache: RateControlCache | None = None, cells: int = 4
) -> tuple[Encoder, Source, Pixels]:
    """An encoder of a picture, the picture as it takes it, its colours."""
    colours, transparency, kept = codec._arrays(picture, EncodeOptions())
    source = Source.from_arrays(colours, transparency, kept)
    header = Header(bundle.id, source.channels, position, cells, source.width, source.height)
    return build_encoder(header, bundle, DEFAULT_EFFORT, decodes=True, cache=cache), source, colours


def decoded(coder: Encoder, source: Source) -> Pixels:
    """What the encoder's file decodes to."""
    payload = container.Payload(list(coder.segments(source.rows)))
    return caesura.decode_array(container.write(coder.header, payload))


@pytest.mark.slow
def test_the_colours_count_and_not_the_transparency(flagship: Bundle, part: Pixels) -> None:
    with_alpha = np.dstack([part, np.arange(256, dtype=np.uint8)[:, None] * np.ones((1, 256), np.uint8)])
    decoded = caesura.decode_array(caesura.encode(with_alpha, target=Target(psnr=33)))
    seen = slice(1, None)  # the first row is not
    assert 33 <= metrics.psnr(part[seen], decoded[seen, :, :3]) <= 33 + PSNR_ABOVE


@pytest.mark.slow
def test_the_picture_is_analysed_once(part: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    usual = Cae2026.analyse
    monkeypatch.setattr(Cae2026, "analyse", lambda *given: calls.append(1) or usual(*given))
    caesura.encode(
        part, target=Target(bpp=0.5), segment_side=128
    )  # the first guess is near: the same analysis serves
    assert len(calls) == 4  # segments


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(bytes=50), "or more is possible"),
        (Target(psnr=90), "or less is possible"),
        (Target(bpp=0.001), "bpp"),
        (Target(bpp=1e-9), "bpp"),
        (Target(ms_ssim=0.9999999), "or less is possible"),
    ],
)
def test_what_cannot_be_is_refused(part: Pixels, target: Target, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        caesura.encode(part, target=target)


@pytest.mark.slow
@pytest.mark.parametrize("target", [Target(bytes=900), Target(bpp=0.1)])
def test_a_size_below_what_no_quality_changes_says_so(part: Pixels, target: Target) -> None:
    mask = np.random.default_rng(0).integers(1, 256, part.shape[:2], np.uint8)
    picture = Image.fromarray(np.dstack([part, mask]))
    picture.info["icc_profile"] = np.random.default_rng(0).bytes(5000)
    said = r"is possible for this picture; \d+ bytes of it are metadata, which strip \(--strip\) leaves out; "
    with pytest.raises(ConfigError, match=said + r"\d+ bytes of it are transparency$") as caught:
        caesura.encode(picture, target=target, effort=1)
    kept, hidden = map(int, re.findall(r"(\d+) bytes of it", str(caught.value)))
    smallest = caesura.encode(picture, quality=1, effort=1)
    bare = caesura.encode(picture, quality=1, effort=1, strip=True)
    assert len(smallest) - len(bare) == kept
    opaque = len(caesura.encode(part, quality=1, effort=1))
    assert abs(len(bare) - opaque - hidden) < 20
    with pytest.raises(ConfigError, match=r"is possible for this picture; \d+ bytes of it are transparency$"):
        caesura.encode(picture, target=target, effort=1, strip=True)
    with pytest.raises(ConfigError, match=r"is possible for this picture$"):
        caesura.encode(part, target=Target(bytes=9), effort=1)


def test_quality_and_target_exclude_each_other(part: Pixels) -> None:
    with pytest.raises(ConfigError, match=r"quality is 50 and target is Target.*; one of them is allowed"):
        caesura.encode(part, quality=50, target=Target(bpp=1))
