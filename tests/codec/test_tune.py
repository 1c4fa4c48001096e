"""Weights of a model tuned for another measure of quality."""

from __future__ import annotations

import copy
from bisect import bisect_right
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura import metrics
from caesura.errors import ConfigError, ModelError
from caesura.models import bundle as bundles
from cli_helpers import complaint, run, succeeded
from model_helpers import MakeBundle, folder_of
from train_helpers import save

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def crop(astronaut: Pixels) -> Pixels:
    return np.ascontiguousarray(astronaut[:256, 100:356])


@pytest.mark.slow
def test_the_model_tuned_for_it_codes_the_picture(crop: Pixels) -> None:
    data = caesura.encode(crop, tune="psnr")
    assert caesura.read_header(data).model_id == bundles.load("photo-psnr").id
    assert data == caesura.encode(crop, model="photo-psnr")
    assert data == caesura.encode(crop, model="photo-psnr", tune="psnr")
    assert caesura.read_header(caesura.encode(crop)).model_id == bundles.load("photo").id


@pytest.mark.slow
def test_it_has_more_of_what_it_is_tuned_for(crop: Pixels) -> None:
    """In no more bytes, a better PSNR."""
    plain = caesura.encode(crop, quality=45)

    def tuned(quality: int) -> bytes:
        return caesura.encode(crop, quality=quality, tune="psnr")

    larger = bisect_right(range(1, 101), len(plain), key=lambda quality: len(tuned(quality)))
    fitting = tuned(larger)  # qualities begin at 1, so that this is the one before
    assert len(fitting) <= len(plain)
    ours, theirs = caesura.decode_array(fitting), caesura.decode_array(plain)
    assert metrics.psnr(crop, ours) > metrics.psnr(crop, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("tune", [None, "psnr"])
def test_quality_rises_over_the_whole_scale(crop: Pixels, tune: str | None) -> None:
    coded = [caesura.encode(crop, quality=quality, tune=tune) for quality in (1, 20, 40, 60, 80, 100)]
    decoded = [caesura.decode_array(data) for data in coded]
    for measure in (metrics.ms_ssim, metrics.psnr):
        found = [measure(crop, one) for one in decoded]
        assert found == sorted(found)
    assert [len(data) for data in coded] == sorted(len(data) for data in coded)


def test_what_cannot_be_tuned_is_refused(crop: Pixels) -> None:
    for tune in ("vmaf", "ms-ssim", ""):
        with pytest.raises(ConfigError, match=f"tune is '{tune}'; psnr or none is allowed"):
            caesura.encode(crop, tune=tune)
    with pytest.raises(ConfigError, match="tune is 'psnr' and the model not given by name"):
        caesura.encode(crop, tune="psnr", model=bundles.load("photo"))
    with pytest.raises(ModelError, match="'cae2017-psnr' is not known"):
        caesura.encode(crop, tune="psnr", model="cae2017")


@pytest.mark.slow
def test_refinement_for_another_distortion_is_refused(
    crop: Pixels, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    training = copy.deepcopy(bundles.load("photo-psnr").manifest["training"])
    training["config"]["loss"]["distortion"] = "ms-ssim"
    tuned = make_bundle(tmp_path / "tuned", of=folder_of("photo-psnr"), training=training)
    with pytest.raises(ConfigError, match="model tuned is tuned for ms-ssim, 1 to 8 is allowed"):
        caesura.encode(crop, model=tuned, effort=9)


@pytest.mark.slow
def test_the_command_line_has_it(crop: Pixels, tmp_path: Path) -> None:
    source, target = save(tmp_path / "photo.png", crop), tmp_path / "photo.cae"
    succeeded(run("encode", source, "-o", target, "--tune", "psnr"))
    assert target.read_bytes() == caesura.encode(crop, tune="psnr")
    assert "tune is 'nice'" in complaint(run("encode", source, "-o", target, "--tune", "nice", "--force"))
