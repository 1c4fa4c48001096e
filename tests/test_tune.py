"""Weights tuned for another measure of quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura import metrics
from caesura import model as models
from caesura.errors import ConfigError, ModelError
from cli_helpers import complaint, run, succeeded
from train_helpers import save

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def crop(astronaut: Pixels) -> Pixels:
    return np.ascontiguousarray(astronaut[:256, 100:356])


def test_the_model_tuned_for_it_codes_the_picture(crop: Pixels) -> None:
    data = caesura.encode(crop, tune="ms-ssim")
    assert caesura.read_header(data).model_id == models.load("fast-ms-ssim").id
    assert data == caesura.encode(crop, model="fast-ms-ssim")
    assert caesura.encode(crop, tune="psnr") == caesura.encode(crop)


def test_it_has_more_of_what_it_is_tuned_for(crop: Pixels) -> None:
    """In no more bytes, a better MS-SSIM and a worse PSNR."""
    plain = caesura.encode(crop, quality=45)
    tuned = next(
        data
        for quality in range(100, 0, -1)
        if len(data := caesura.encode(crop, quality=quality, tune="ms-ssim")) <= len(plain)
    )
    ours, theirs = caesura.decode_array(tuned), caesura.decode_array(plain)
    assert metrics.ms_ssim(crop, ours) > metrics.ms_ssim(crop, theirs)
    assert metrics.psnr(crop, ours) < metrics.psnr(crop, theirs)


def test_quality_rises_over_the_whole_scale(crop: Pixels) -> None:
    coded = [caesura.encode(crop, quality=quality, tune="ms-ssim") for quality in (1, 20, 40, 60, 80, 100)]
    found = [metrics.ms_ssim(crop, caesura.decode_array(data)) for data in coded]
    assert found == sorted(found)
    assert [len(data) for data in coded] == sorted(len(data) for data in coded)


def test_what_cannot_be_tuned_is_refused(crop: Pixels) -> None:
    with pytest.raises(ConfigError, match="tune is 'vmaf'; psnr or ms-ssim is allowed"):
        caesura.encode(crop, tune="vmaf")
    with pytest.raises(ConfigError, match="the model not given by name; only psnr is allowed"):
        caesura.encode(crop, tune="ms-ssim", model=models.load("fast"))
    with pytest.raises(ModelError, match="'cae2017-ms-ssim' is not known"):
        caesura.encode(crop, tune="ms-ssim", model="cae2017")


def test_refinement_for_squared_error_is_refused(crop: Pixels) -> None:
    with pytest.raises(ConfigError, match="model fast-ms-ssim is tuned for ms-ssim, 1 to 8 is allowed"):
        caesura.encode(crop, tune="ms-ssim", effort=9)


def test_the_command_line_has_it(crop: Pixels, tmp_path: Path) -> None:
    source, target = save(tmp_path / "photo.png", crop), tmp_path / "photo.cae"
    succeeded(run("encode", source, "-o", target, "--tune", "ms-ssim"))
    assert target.read_bytes() == caesura.encode(crop, tune="ms-ssim")
    assert "tune is 'nice'" in complaint(run("encode", source, "-o", target, "--tune", "nice", "--force"))
