"""start.py: weights to go on from, out of a run, a checkpoint and the bundle exported from it."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from caesura.errors import ConfigError, ModelError
from caesura.models import bundle as bundles
from caesura.models.manifest import ANALYSIS, MANIFEST, SYNTHESIS
from caesura.train import architectures, checkpoint, start
from caesura.train.cae2017.model import Cae2017Model
from caesura.train.config import Config, TransformConfig, from_dict, load, upgraded
from caesura.train.export import export
from caesura.train.start import Start
from train_helpers import make_pack, run_tiny, tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("graphs_made_once")]
SCALES = {"log_gain", "log_inverse"}


class Sources(NamedTuple):
    """One training, in every form that weights are read from."""

    data: Path
    run: Path
    checkpoint: Path
    bundle: Path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """A tiny run that kept two checkpoints, and the bundle of the last."""
    root = tmp_path_factory.mktemp("start")
    data = make_pack(root)
    last = run_tiny(tiny(), data, root / "run")
    bundle = export(root / "run", "tiny", root / "bundles" / "tiny", licence="CC0-1.0", data="an astronaut")
    return Sources(data, root / "run", last, bundle)


def assert_same_weights(one: Start, other: Start) -> None:
    """The same to the last bit."""
    assert one.weights.keys() == other.weights.keys()
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name


def loaded(config: Config, source: Path) -> Cae2017Model:
    """A new model of a configuration, with weights loaded into it."""
    model = Cae2017Model(config)
    start.load(model, source, config)
    return model


# Reading


def test_a_run_is_read_at_its_last_checkpoint(sources: Sources) -> None:
    run, last = start.read(sources.run), start.read(sources.checkpoint)
    assert_same_weights(run, last)
    assert run.training == last.training
    assert last.training["steps"] == 6


def test_an_earlier_checkpoint_may_be_named(sources: Sources) -> None:
    earlier = start.read(sources.run / "checkpoints" / "000003")
    assert earlier.training["steps"] == 3
    assert not torch.equal(earlier.weights["log_gain"], start.read(sources.run).weights["log_gain"])


def test_the_weights_are_the_averaged_ones(sources: Sources) -> None:
    weights = start.read(sources.run).weights
    averaged = checkpoint.read(sources.checkpoint / "ema.pt")
    assert {f"module.{name}" for name in weights} == averaged.keys() - {"n_averaged"}
    assert all(torch.equal(value, averaged[f"module.{name}"]) for name, value in weights.items())
    last_step = checkpoint.read(sources.checkpoint / "model.pt")
    assert not torch.equal(weights["analysis.conv1.weight"], last_step["analysis.conv1.weight"])


def test_the_record_tells_steps_pixels_and_configuration(sources: Sources) -> None:
    training = start.read(sources.run).training
    assert training.keys() == {"steps", "pixels", "config", "validation", "history"}
    assert training["history"] == []
    assert [anchor["beta"] for anchor in training["validation"]] == training["config"]["loss"]["betas"]
    assert training["pixels"] == 6 * 2 * 16 * 16
    assert from_dict(training["config"]) == tiny()


def test_a_bundle_gives_the_weights_of_its_run_in_half_precision(sources: Sources) -> None:
    run, bundle = start.read(sources.run), start.read(sources.bundle)
    assert bundle.weights.keys() == run.weights.keys()
    assert bundle.training == run.training
    halved = []
    for name, value in run.weights.items():
        read = bundle.weights[name]
        assert read.dtype == torch.float32
        if torch.equal(read, value):
            continue
        halved.append(name)
        assert torch.equal(read, value.half().float()), name
        torch.testing.assert_close(read, value, rtol=2**-11, atol=2**-24)
    assert halved
    assert all(name.startswith(("analysis.", "synthesis.")) for name in halved)  # prior and scales stay whole


@pytest.mark.parametrize("name", ["cae2017", "photo-psnr"])
def test_a_shipped_bundle_is_read_by_folder_and_by_name(name: str) -> None:
    folder = next(folder for folder in bundles.folders() if folder.name == name)
    by_folder, by_name = start.read(folder), start.read(Path(name))
    assert_same_weights(by_folder, by_name)
    manifest = bundles.load(name).manifest["training"]
    assert by_folder.training == by_name.training
    assert by_folder.training == manifest | {"config": upgraded(manifest["config"])}


def test_settings_that_the_transforms_shared_are_written_out_for_each() -> None:
    shared = {"fine_width": 8, "fine_blocks": 1, "coarse_width": 12, "coarse_blocks": 2}
    old = {"network": {"name": "cae2026", **shared}, "loss": {"betas": [1.0]}}
    before = copy.deepcopy(old)
    network = upgraded(old)["network"]
    assert network == {"name": "cae2026", "analysis": shared, "synthesis": shared, "prior_width": 8}
    assert old == before
    assert upgraded(upgraded(old)) == upgraded(old)
    assert from_dict(upgraded(old)).network.synthesis == TransformConfig(**shared)


def test_settings_that_are_no_more_are_left_out_of_a_record() -> None:
    config = tiny().as_dict()
    old = copy.deepcopy(config)
    old["network"]["init"], old["train"]["clip"] = "klt", 1.0
    assert upgraded(old) == config
    assert old["train"]["clip"] == 1.0


def test_a_record_without_settings_of_a_network_stays_as_it_is() -> None:
    for config in ({"loss": {"betas": [1.0]}}, tiny().as_dict()):
        assert from_dict(upgraded(config)) == from_dict(config)


@pytest.mark.parametrize("name", ["cae2017", "photo", "photo-psnr"])
def test_a_shipped_bundles_record_makes_the_network_of_its_weights(name: str) -> None:
    training = bundles.load(name).manifest["training"]
    config = from_dict(upgraded(training["config"]))
    if name != "cae2017":
        assert config.network.analysis == TransformConfig(128, 3, 192, 3 if name == "photo" else 2)
        decoder = (96, 1) if name == "photo" else (128, 3)
        assert config.network.synthesis == TransformConfig(*decoder, 192, 2)
        assert config.network.prior_width == 128
    start.load(architectures.make(config), Path(name), config)


@pytest.mark.parametrize("name", ["photo", "photo-psnr"])
def test_a_shipped_checkpoint_is_a_start_for_its_shipped_configuration(name: str) -> None:
    root = Path(__file__).parents[2]
    config = load(root / "src" / "caesura" / "train" / f"{name}.toml")
    source = root / "checkpoints" / name
    model = architectures.make(config)
    start.load(model, source, config)
    weights, training = start.read(source)
    assert from_dict(training["config"]).network == config.network
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_reading_a_bundle_leaves_the_loaded_one_as_it_is(
    tmp_path: Path, make_bundle: Callable[..., Path]
) -> None:
    folder = make_bundle(tmp_path / "copy")
    before = bundles.load(folder).log_gain.copy()
    start.read(folder).weights["log_gain"] += 1
    assert np.array_equal(bundles.load(folder).log_gain, before)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_with_neither_run_nor_bundle_is_named(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    if there:
        (folder / "checkpoints").mkdir(parents=True)
    with pytest.raises(ModelError, match=r"model '.*nothing' is not known"):
        start.read(folder)


@pytest.mark.parametrize("name", ["ema.pt", "state.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"garbage"])
def test_a_damaged_checkpoint_is_named(name: str, content: bytes, sources: Sources, tmp_path: Path) -> None:
    folder = shutil.copytree(sources.checkpoint, tmp_path / "000006")
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"checkpoint .*000006.* cannot be read"):
        start.read(folder)


def test_a_bundle_that_does_not_tell_its_training_is_named(
    tmp_path: Path, make_bundle: Callable[..., Path]
) -> None:
    with pytest.raises(ModelError, match="training"):
        start.read(make_bundle(tmp_path / "silent", training=None))


# Loading


@pytest.mark.parametrize("form", ["run", "checkpoint", "bundle"])
def test_the_same_ladder_takes_the_weights_unchanged(form: str, sources: Sources) -> None:
    source: Path = getattr(sources, form)
    model = loaded(tiny(), source)
    state, (weights, _) = model.state_dict(), start.read(source)
    assert state.keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in state.items())


@pytest.mark.parametrize("form", ["checkpoint", "bundle"])
def test_another_ladder_takes_the_nearest_anchor_moved_by_half_the_log_ratio(
    form: str, sources: Sources
) -> None:
    source: Path = getattr(sources, form)
    # Of old betas 100 and 200. Steps go with 1 / sqrt(beta): four times the beta, twice the gain.
    expected = {
        25.0: (0, -math.log(2)),
        100.0: (0, 0),
        140.0: (0, math.log(1.4) / 2),
        800.0: (1, math.log(2)),
    }
    model, (weights, _) = loaded(tiny(loss={"betas": list(expected)}), source), start.read(source)
    for anchor, (old, shift) in enumerate(expected.values()):
        torch.testing.assert_close(model.log_gain[anchor], weights["log_gain"][old] + shift)
        torch.testing.assert_close(model.log_inverse[anchor], weights["log_inverse"][old] - shift)
    state = model.state_dict()
    assert all(torch.equal(state[name], weights[name]) for name in weights.keys() - SCALES)


def test_a_ladder_of_one_takes_its_anchor(sources: Sources) -> None:
    model = loaded(tiny(loss={"betas": [200.0]}), sources.checkpoint)
    assert torch.equal(model.log_gain[0], start.read(sources.checkpoint).weights["log_gain"][1])
    assert model.log_gain.shape == (1, 8)


def test_padding_may_change(sources: Sources) -> None:
    model = loaded(tiny(network={"padding": "mirror"}, train={"crop": 24}), sources.checkpoint)
    weights = start.read(sources.checkpoint).weights
    assert torch.equal(model.state_dict()["synthesis.conv3.weight"], weights["synthesis.conv3.weight"])


@pytest.mark.parametrize("form", ["run", "bundle"])
@pytest.mark.parametrize(
    "sections",
    [
        {"network": {"latent_channels": 4}},
        {"network": {"latent_channels": 16}},
        {"prior": {"kind": "scale-mixture"}},
        {"prior": {"components": 2}},
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    form: str, sections: dict[str, dict[str, object]], sources: Sources
) -> None:
    with pytest.raises(ConfigError, match=r"start .* does not fit the configured network"):
        loaded(tiny(**sections), getattr(sources, form))


def test_loading_from_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model '.*nothing' is not known"):
        loaded(tiny(), tmp_path / "nothing")


# Training on


def test_one_step_from_a_bundle_moves_on_from_its_weights(sources: Sources, tmp_path: Path) -> None:
    config = tiny(train={"steps": 1, "learning_rate": 1e-4})
    last = run_tiny(config, sources.data, tmp_path / "run", start=sources.bundle)
    before, after = start.read(sources.bundle).weights, checkpoint.read(last / "model.pt")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert {"analysis.conv1.weight", "synthesis.conv3.weight", "prior.log_scale", *SCALES} <= changed
    for name, value in before.items():
        assert (after[name] - value).abs().max() < 2e-3, name
    assert start.read(last).training["steps"] == 1


def test_the_records_of_earlier_runs_are_kept(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's history is the records of all runs before it, the first one first."""
    config = tiny(train={"steps": 1, "learning_rate": 1e-4})
    second = run_tiny(config, sources.data, tmp_path / "second", start=sources.run)
    # Its own graphs would take seconds, and no record depends on them.
    graphs = iter([(sources.bundle / name).read_bytes() for name in (ANALYSIS, SYNTHESIS)])
    monkeypatch.setattr("caesura.train.cae2017.export.to_onnx", lambda *_: next(graphs))
    bundle = export(second, "second", tmp_path / "bundles" / "second", licence="CC0-1.0", data="an astronaut")
    third = run_tiny(config, sources.data, tmp_path / "third", start=bundle)
    records = [start.read(source).training for source in (sources.run, second)]
    alone = [{name: value for name, value in record.items() if name != "history"} for record in records]
    assert records[1]["history"] == alone[:1]
    assert start.read(third).training["history"] == alone


def test_training_on_from_a_bundle_leaves_the_loaded_one_as_it_is(sources: Sources, tmp_path: Path) -> None:
    manifest = json.loads((sources.bundle / MANIFEST).read_text())
    run_tiny(tiny(train={"steps": 1}), sources.data, tmp_path / "run", start=sources.bundle)
    assert bundles.load(sources.bundle).manifest == manifest


def test_a_ladders_scales_are_tuned_on_from_a_bundle(sources: Sources, tmp_path: Path) -> None:
    config = tiny(loss={"betas": [50.0, 400.0]}, train={"steps": 2, "stage": "scales"})
    last = run_tiny(config, sources.data, tmp_path / "run", start=sources.bundle)
    begun = loaded(config, sources.bundle).state_dict()
    tuned = checkpoint.read(last / "model.pt")
    assert {name for name, value in begun.items() if not torch.equal(value, tuned[name])} == SCALES
