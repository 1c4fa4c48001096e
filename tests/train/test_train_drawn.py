"""drawn.py: pictures drawn by code, and the squares of a run."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ImageFont

from caesura.train import drawn as drawings
from caesura.train.crops import Drawings, Plan
from caesura.train.drawn import drawn

CPU = torch.device("cpu")
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    return [drawn(np.random.default_rng((0, number)), 64) for number in range(1000)]


@pytest.mark.slow
@pytest.mark.parametrize("side", [8, 9, 24, 64, 256])
def test_pictures_may_have_any_side(side: int) -> None:
    random = np.random.default_rng(side)
    for _ in range(100):
        picture = drawn(random, side)
        assert picture.shape == (side, side, 3)
        assert picture.dtype == np.uint8


@pytest.mark.slow
def test_a_picture_depends_on_the_generator_alone(pictures: list[Pixels]) -> None:
    for number in range(50):
        np.testing.assert_array_equal(drawn(np.random.default_rng((0, number)), 64), pictures[number])


def test_pictures_differ(pictures: list[Pixels]) -> None:
    assert len({picture.tobytes() for picture in pictures}) > 0.85 * len(pictures)  # but some white pages


@pytest.mark.parametrize(("value", "low", "high"), [(255, 0.65, 0.85), (0, 0.1, 0.25)])
def test_many_pictures_hold_a_large_area_of_pure_white_or_black(
    pictures: list[Pixels], value: int, low: float, high: float
) -> None:
    areas = [(picture == value).all(axis=2).mean() for picture in pictures]
    assert low < np.mean([area >= 0.2 for area in areas]) < high


@pytest.mark.slow
def test_pictures_hold_more_than_white_and_black(pictures: list[Pixels]) -> None:
    busy = [len(np.unique(picture)) > 8 for picture in pictures]
    assert np.mean(busy) > 0.6


def test_no_file_is_read_for_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def truetype(font: object, *options: object) -> ImageFont.FreeTypeFont:
        loaded.append(font)
        return original(font, *options)  # type: ignore[arg-type]

    loaded: list[object] = []
    original = ImageFont.FreeTypeFont
    monkeypatch.setattr(ImageFont, "FreeTypeFont", truetype)
    drawings._font.cache_clear()
    assert drawings._font(20).getbbox("caesura")[2] > 50
    assert [type(font) for font in loaded] == [io.BytesIO]


def whole(*numbers: int) -> Plan:
    """Whole squares, not turned."""
    zero, no = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), bool)
    return Plan(np.array(numbers), zero, zero, no, no, no)


def test_squares_are_what_drawn_gives() -> None:
    crops = Drawings(7, 16, CPU).crops(whole(3, 400, 3), 16)
    for number, crop in zip((3, 400, 3), crops.numpy(), strict=True):
        np.testing.assert_array_equal(crop, drawn(np.random.default_rng((7, number, 3)), 16))


def test_squares_of_another_seed_are_others() -> None:
    plan = whole(*range(32))
    assert not torch.equal(Drawings(7, 16, CPU).crops(plan, 16), Drawings(8, 16, CPU).crops(plan, 16))
