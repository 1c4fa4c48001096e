"""Work per pixel: within the budget, and what the shipped bundles say."""

from __future__ import annotations

from pathlib import Path

import pytest

import caesura
from caesura.models.manifest import FILES, MANIFEST, read_manifest
from caesura.train import config as configs
from caesura.train import work
from caesura.train.cae2026.model import Cae2026Model
from work_helpers import decoding, kilomacs_per_pixel

MODELS, CONFIGS = (Path(caesura.__file__).parent / name for name in ("models/weights", "train"))


@pytest.mark.parametrize(("name", "limit"), [("photo", 6.5), ("photo-psnr", 6.5)])
def test_a_configuration_decodes_within_its_work_per_pixel(name: str, limit: float) -> None:
    counted = kilomacs_per_pixel(Cae2026Model(configs.load(CONFIGS / f"{name}.toml")))
    assert decoding(counted) <= limit


@pytest.mark.slow
def test_the_shipped_models_of_cae2026_cost_what_their_configurations_say() -> None:
    found = 0
    for manifest in MODELS.glob(f"*/{MANIFEST}"):
        facts = read_manifest(manifest.parent)
        if facts["architecture"] == "cae2026":
            files = {name: (manifest.parent / name).read_bytes() for name in FILES["cae2026"]}
            config = configs.from_dict(configs.upgraded(facts["training"]["config"]))
            counted = kilomacs_per_pixel(Cae2026Model(config))
            assert work.per_pixel(files, facts["stride"])["decode"] == pytest.approx(
                decoding(counted), abs=0.02
            )
            found += 1
    assert found
