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
from caesura.errors import ConfigError
from caesura.models import bundle as bundles
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
    assert caesura.encode(drawn(100, 70), model=after) == data
    assert ("not kept" in fitting.summary(decibels)) == (close == 100)


def test_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stride is 16 and there are 3 pictures; multiples of 8 and 10"):
        fitting.fit(bundles.load("photo-psnr"), photos(tmp_path, 3))
