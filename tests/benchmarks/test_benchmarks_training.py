"""bench/: training throughput, data prepare at scale, and drawn pages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import pages, prepare, training
from cae2026_helpers import config as cae2026_config
from caesura.errors import ConfigError
from caesura.train.pack import Pack
from caesura.train.prepare import MANIFEST
from train_helpers import make_pack, tiny


@pytest.mark.slow
@pytest.mark.parametrize("config", [tiny(), cae2026_config()], ids=["cae2017", "cae2026"])
def test_throughput_counts_pixels_waits_and_work(config: training.configs.Config, tmp_path: Path) -> None:
    pack = Pack(make_pack(tmp_path, side=64))
    found = training.measure(config, pack, torch.device("cpu"), 2)
    assert 0 < found.step < found.network
    assert 0 <= found.wait < 1
    assert found.pipeline > 0


@pytest.mark.slow
def test_work_is_that_of_the_convolutions_counted_by_hand(tmp_path: Path) -> None:
    """Analysis and synthesis of cae2017 take 156.5 kMAC/pixel; backward takes twice forward, nearly."""
    pack = Pack(make_pack(tmp_path, side=64))
    config = tiny(network={"latent_channels": 96}, train={"batch": 2, "crop": 64})
    work = training.measure(config, pack, torch.device("cpu"), 1).work
    assert work == pytest.approx(156.5e3 * 2 * 3, rel=0.06)


def test_a_configuration_has_the_name_of_a_shipped_one_or_a_files() -> None:
    assert training.read("photo-psnr").network.name == "cae2026"
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        training.read("nowhere.toml")


@pytest.mark.slow
def test_a_page_depends_on_its_number_alone_and_is_mostly_paper() -> None:
    page = pages.page(3)
    assert page.shape == (pages.SIDE, pages.SIDE, 3)
    assert np.array_equal(page, pages.page(3))
    assert not np.array_equal(page, pages.page(4))
    assert 0.01 < (page.max(axis=2) < 128).mean() < 0.3


def test_photos_of_the_benchmark_of_prepare_are_packed(tmp_path: Path) -> None:
    prepare._draw(tmp_path / "photos", 0, 120)
    found = prepare._measure(tmp_path, 1)
    assert found["own"] > 0
    photos = json.loads((tmp_path / "pack" / MANIFEST).read_text())["photos"]
    assert len(photos) == len({photo["sha256"] for photo in photos}) == 120
