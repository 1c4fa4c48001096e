"""The quality of JPEGs, from tables of all kinds, and the quality that keeps it."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image, JpegPresets

from caesura.picture import jpeg_quality
from caesura.picture.jpeg_quality import KEEPS, ijg_quality, quality_that_keeps
from cli_helpers import drawn


def opened(picture: Image.Image | None = None, **settings: object) -> Image.Image:
    """A picture saved as a JPEG and opened."""
    file = io.BytesIO()
    (picture or Image.fromarray(drawn(16, 16))).save(file, "JPEG", **settings)
    return Image.open(file)


def with_table(values: list[int]) -> Image.Image:
    """A JPEG with this table for all components, of 16 bits an entry."""
    file = io.BytesIO()
    Image.fromarray(drawn(16, 16)).save(file, "JPEG", qtables=[[1] * 64])
    data = file.getvalue()
    old = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1]) * 64
    assert data.count(old) == 1
    new = b"\xff\xdb" + struct.pack(">HB64H", 131, 0x10, *values)
    return Image.open(io.BytesIO(data.replace(old, new)))


@pytest.mark.parametrize("quality", [*range(1, 101, 3), 99])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_quality_that_a_jpeg_was_saved_with_is_found(mode: str, quality: int) -> None:
    picture = Image.fromarray(drawn(16, 16)).convert(mode)
    assert ijg_quality(opened(picture, quality=quality)) == pytest.approx(quality, abs=0.5)


def test_it_is_found_once_pixels_are_loaded() -> None:
    picture = opened(quality=63)
    picture.load()
    assert ijg_quality(picture) == pytest.approx(63, abs=0.5)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_other_formats_have_none(kind: str) -> None:
    file = io.BytesIO()
    Image.fromarray(drawn(16, 16)).save(file, kind)
    assert ijg_quality(Image.open(file)) is None
    assert ijg_quality(Image.fromarray(drawn(16, 16))) is None


def test_tables_of_photoshop_are_in_their_order_and_not_taken_for_worse() -> None:
    web = ["web_low", "web_medium", "web_high", "web_very_high", "web_maximum"]
    assert set(web) <= JpegPresets.presets.keys()
    found = [ijg_quality(opened(quality=name)) for name in web]
    # The qualities of standard tables that give the same mean SSIMULACRA 2, measured on eight photographs.
    equal = [38, 61, 83, 93, 98]
    assert all(
        value is not None and 0 <= value - least <= 6 for value, least in zip(found, equal, strict=True)
    )
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("table", "expected"), [([1] * 64, 100), ([255] * 64, 1), ([65535] * 64, 1), ([0] * 64, 100)]
)
def test_tables_at_the_extremes(table: list[int], expected: int) -> None:
    found = ijg_quality(with_table(table))
    assert found is not None
    assert 1 <= found <= 100
    assert found == pytest.approx(expected, abs=6)


def test_a_coarser_table_never_has_a_higher_quality() -> None:
    draw = np.random.default_rng(0)
    table = draw.integers(1, 40, 64)
    found = []
    for _ in range(20):
        found.append(ijg_quality(with_table(table.tolist())))
        table = np.minimum(table + draw.integers(0, 60, 64), 65535)
    assert all(before >= after for before, after in itertools.pairwise(found))  # type: ignore[operator]


@pytest.mark.parametrize(
    "changed",
    [
        {"quantization": {}},
        {"quantization": {3: [16] * 64}},
        {"quantization": {0: [16] * 10}},
        {"layer": []},
    ],
)
def test_tables_that_are_missing_give_none(changed: dict[str, object]) -> None:
    picture = opened()
    for name, value in changed.items():
        setattr(picture, name, value)
    assert ijg_quality(picture) is None


def test_the_table_rises_and_is_interpolated() -> None:
    ours, theirs = zip(*KEEPS, strict=True)
    assert list(ours) == sorted(set(ours))
    assert list(theirs) == sorted(set(theirs))
    assert 1 <= theirs[0] < theirs[-1] <= 100
    for (before, low), (after, high) in itertools.pairwise(KEEPS):
        assert quality_that_keeps(before) == low
        assert quality_that_keeps((before + after) / 2) == pytest.approx((low + high) / 2)
    assert quality_that_keeps(1) == theirs[0]
    assert quality_that_keeps(ours[-1]) == theirs[-1]
    assert ours[-1] < 100
    assert quality_that_keeps(100) is None


def test_the_standard_table_is_that_of_quality_50() -> None:
    assert opened(quality=50).quantization[0] == jpeg_quality._STANDARD.tolist()  # type: ignore[attr-defined]
