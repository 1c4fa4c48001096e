"""Fields of a bundle's manifest that are measured after its export: quality scale and forecast."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura.errors import ConfigError
from caesura.models import bundle as bundles
from caesura.models.manifest import MANIFEST, read_manifest
from caesura.ratecontrol.forecast import forecast
from caesura.ratecontrol.search import Target
from caesura.train import coded, quality_scale
from caesura.train import forecast as fitting
from caesura.train.bundle_files import amend
from caesura.train.prepare import is_validation
from caesura.train.quality_scale import QUALITIES, pairs, positions_to_measure
from model_helpers import folder_of

pytestmark = pytest.mark.slow

Pixels = NDArray[np.uint8]


@pytest.fixture
def photos(tmp_path: Path, astronaut: Pixels) -> Path:
    """Three photographs that are trained on, and three that are held out."""
    for held_out in (False, True):
        names = (name for n in itertools.count() if is_validation(name := f"{n}.png") == held_out)
        for top, name in zip((0, 100, 200), names, strict=False):
            (tmp_path / "photos").mkdir(exist_ok=True)
            cut = astronaut[top : top + 176, 100:300]
            Image.fromarray(cut).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the default bundle."""
    return Path(shutil.copytree(folder_of(bundles.DEFAULT), tmp_path / bundles.DEFAULT))


# photographs


def test_photographs_are_those_that_training_holds_out_or_the_others(photos: Path) -> None:
    assert len(coded.cuts(photos, held_out=True, most=9)) == 3
    assert len(coded.cuts(photos, held_out=False, most=2)) == 2
    (photos / "more").mkdir()
    with pytest.raises(
        ConfigError, match="holds 0 photographs that are held out of training and pictures is 9"
    ):
        coded.cuts(photos / "more", held_out=True, most=9)


@pytest.mark.parametrize(("sides", "cut"), [((600, 1000), (512, 768)), ((900, 300), (768, 300))])
def test_the_middle_is_cut_along_the_picture(
    tmp_path: Path, sides: tuple[int, int], cut: tuple[int, int]
) -> None:
    picture = np.zeros((*sides, 3), np.uint8)
    picture[sides[0] // 2, sides[1] // 2] = 255
    Image.fromarray(picture).save(tmp_path / "one.png")
    (found,) = coded.cuts(tmp_path, held_out=is_validation("one.png"), most=1)
    assert found.shape == (*cut, 3)
    assert found[cut[0] // 2, cut[1] // 2].tolist() == [255] * 3


# the quality scale


@given(
    st.lists(st.floats(-200, 100), min_size=len(QUALITIES), max_size=len(QUALITIES)).map(sorted),
    st.lists(st.floats(-200, 100), min_size=2, max_size=12, unique=True),
)
def test_a_scale_is_one_that_bundles_may_have(wanted: list[float], found: list[float]) -> None:
    scale = pairs(wanted, list(zip(found, np.linspace(1, 100, len(found)).tolist(), strict=True)))
    assert [quality for quality, _ in scale] == [*QUALITIES, 100.0]
    for (_, position), (_, higher) in itertools.pairwise(scale):
        assert position < higher
    assert scale[0][1] >= 1
    assert scale[-1] == [100.0, 100.0]


def test_equal_bundles_have_equal_scales() -> None:
    found = [(2.0 * position - 60, position) for position in np.linspace(1, 100, 12).tolist()]
    scale = pairs([2.0 * quality - 60 for quality in QUALITIES], found)
    assert scale == [[quality, quality] for quality in (*QUALITIES, 100.0)]


def test_what_the_bundle_does_not_reach_is_its_end() -> None:
    found = [(0.0, 1.0), (50.0, 100.0)]
    scale = pairs([-50.0, -20.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 90.0], found)
    assert scale[0] == [1.0, 1.0]
    assert scale[2][1] == pytest.approx(1 + 99 / 5, abs=0.01)
    assert [position for _, position in scale[-4:]] == pytest.approx([98, 98.6, 99.3, 100])


@pytest.mark.parametrize("top", [72.0, 100.0])
def test_positions_are_measured_along_the_ladder_and_above(top: float) -> None:
    positions = positions_to_measure(top)
    assert positions == sorted(set(positions))
    assert (positions[0], positions[-1]) == (1, 100)
    assert top in positions


def test_a_measured_scale_is_in_the_manifest_and_the_id_stays(
    photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bundles.load(folder).id
    amend(folder, quality_scale=[[1.0, 1.0], [72.0, 72.0], [100.0, 100.0]])
    monkeypatch.setattr(quality_scale, "QUALITIES", (1.0, 40.0, 72.0))
    monkeypatch.setattr(quality_scale, "_ON_LADDER", 3)
    monkeypatch.setattr(quality_scale, "_ABOVE", 1)
    monkeypatch.setattr(sys, "argv", ["quality_scale", str(folder), str(photos), "--pictures", "2"])
    quality_scale.main()
    scale = read_manifest(folder)["quality_scale"]
    assert [quality for quality, _ in scale] == [1.0, 40.0, 72.0, 100.0]
    assert bundles.load(folder).id == before
    heading, *rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert "`photo-psnr`: bpp" in heading
    assert "`photo`: bpp" in heading
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 40", "| 72", "| 100"]


# the forecast


def test_a_fit_foresees_what_it_was_fitted_to(
    photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bundles.load(folder).id
    monkeypatch.setattr(fitting, "_POSITIONS", 3)
    monkeypatch.setattr(sys, "argv", ["forecast", str(folder), str(photos)])
    fitting.main()
    bundle = bundles.load(folder)
    assert bundle.id == before
    assert bundle.forecast is not None
    ladder = coded.by_ladder_position(bundle)
    picture = coded.cuts(photos, held_out=False, most=1)[0]
    for position in (20.0, 50.0):
        (one,) = coded.code([picture], ladder, position)
        pixels = picture.shape[0] * picture.shape[1]
        found = forecast(*fitting.analysed(picture, one, ladder), bundle, Target(bpp=one.bits), pixels)
        assert found is not None
        assert abs(found.ladder_position / 100 - position) * found.slope * 100 < math.log(1.25)


def test_a_line_is_through_what_lies_on_one() -> None:
    estimated = np.random.default_rng(0).normal(size=(3, 5))
    measured = 1.5 * estimated + np.array([[0.5], [-1], [2]])
    line, left = fitting._line(estimated, measured, [1.0, 30.0, 72.0])
    assert line.slope == 1.5
    assert line.offsets == [(1.0, 0.5), (30.0, -1.0), (72.0, 2.0)]
    assert line.means == [(p, round(m, 3)) for (p, _), m in zip(line.offsets, measured.mean(1), strict=True)]
    assert left == pytest.approx(0, abs=1e-9)


def test_a_bundle_without_one_meets_targets_all_the_same(folder: Path, astronaut: Pixels) -> None:
    manifest = read_manifest(folder)
    manifest.pop("forecast", None)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    bundles.forget()
    bundle = bundles.load(folder)
    assert bundle.forecast is None
    data = caesura.encode(astronaut[:128, :128], target=Target(bytes=900), model=bundle)
    assert 800 < len(data) <= 900
