"""The map from latents to a preview's pixels: its layout, and its fit to photographs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import caesura
from caesura.coding import preview
from caesura.coding.cae2026 import Cae2026
from caesura.errors import ConfigError
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import MANIFEST, PREVIEW
from caesura.picture.pixels import reduce
from caesura.train import preview as fitting
from cli_helpers import drawn
from model_helpers import folder_of


@pytest.mark.slow
@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([8, 16, 32]), st.integers(0, 2**32 - 1))
def test_means_come_out_where_they_lie(high: int, wide: int, stride: int, seed: int) -> None:
    decoded = np.random.default_rng(seed).integers(0, 256, (high * stride, wide * stride, 3), np.uint8)
    means = fitting.targets(decoded, stride)
    assert means.dtype == np.float32
    plane = np.eye(high * wide, dtype=np.float32).reshape(-1, high, wide)  # a channel for each latent
    weights = np.vstack([means, np.zeros((1, means.shape[1]), np.float32)])
    found = preview.pixels(plane, weights)
    assert found.dtype == np.uint8
    assert found.shape == (high * stride // 8, wide * stride // 8, 3)
    assert np.abs(found.astype(int) - reduce(decoded, 8)).max() <= 1


def test_pixels_stay_within_their_range() -> None:
    plane = np.array([[[-1000, 0, 1000]]], np.float32)
    weights = np.array([[1.0] * 12, [100.0] * 12], np.float32)
    assert np.unique(preview.pixels(plane, weights)).tolist() == [0, 100, 255]


def photos(folder: Path, count: int) -> list[Path]:
    """Pictures of 100 x 70 pixels with smooth parts and edges."""
    for number in range(count):
        pixels = np.roll(drawn(100, 70), 7 * number, axis=(0, 1)) // (1 + number % 3)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A shipped bundle without its map, in a folder beside twelve photos."""
    folder = tmp_path / "copy"
    shutil.copytree(folder_of("photo-psnr"), folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][PREVIEW]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / PREVIEW).unlink()
    (tmp_path / "photos").mkdir()
    photos(tmp_path / "photos", 12)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("close", [0, 100])
def test_a_map_that_is_close_goes_with_the_bundle(
    copy: Path, monkeypatch: pytest.MonkeyPatch, close: float
) -> None:
    monkeypatch.setattr(fitting, "CLOSE", close)
    before = bundles.load(copy)
    assert before.preview is None
    data = caesura.encode(drawn(100, 70), model=before)
    decibels = fitting.add(copy, copy.parent / "photos", 11)
    assert decibels > 15
    after = bundles.load(copy)
    assert after.id == before.id
    assert (after.preview is None) == (decibels < close)
    assert (after.coarse_preview is None) == (decibels < close)
    assert caesura.encode(drawn(100, 70), model=after) == data
    assert ("not kept" in fitting.summary(decibels)) == (close == 100)


def test_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stride is 16 and there are 3 pictures; multiples of 8 and 10"):
        fitting.fit(bundles.load("photo-psnr"), photos(tmp_path, 3))


@pytest.mark.slow
def test_the_coarse_map_finds_the_colours_it_was_fitted_to(tmp_path: Path) -> None:
    bundle = bundles.load("photo-psnr")
    colours = [(40 * (number % 6), 20 * number, 255 - 20 * number) for number in range(12)]
    for number, colour in enumerate(colours):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{number:02}.png")
    Image.new("RGB", (63, 200)).save(tmp_path / "narrow.png")  # has no square of 64 pixels
    maps = fitting.fit_coarse(bundle, sorted(tmp_path.iterdir()))
    assert maps is not None
    assert maps.shape == (fitting.COARSE_POSITIONS, bundle.tables.channels + 1, 3)
    coder = Cae2026(Conditioning(bundle, bundle.ladder_top))
    for colour in colours:
        pixels = np.full((64, 64, 3), colour, np.uint8)
        hyperlatents = coder.encode(coder.analyse(pixels)).hyperlatents
        found = np.append(hyperlatents.reshape(-1), 1) @ maps[-1]
        assert np.abs(found - colour).max() < 60


def test_an_architecture_without_hyperlatents_has_no_coarse_map(bundle: Bundle, tmp_path: Path) -> None:
    assert fitting.fit_coarse(bundle, photos(tmp_path, 2)) is None
