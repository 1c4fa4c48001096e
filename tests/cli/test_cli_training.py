"""cli/training.py: `data prepare`, `train` and `export`, one after another and refused."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import caesura
from caesura import metrics
from caesura.errors import ConfigError
from caesura.models import bundle
from caesura.models.manifest import ANALYSIS, FILES, MANIFEST, SYNTHESIS
from caesura.train import cache, checkpoint, optim, preview, start
from caesura.train import config as configs
from cli_helpers import (
    WITHOUT,
    complaint,
    drawn,
    files,
    opened,
    process,
    run,
    succeeded,
)
from train_helpers import names, photo, save

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("graphs_made_once")]
TINY_TOML = """
[network]
latent_channels = 8

[loss]
betas = [100, 200]

[train]
steps = 3
batch = 2
crop = 16
precision = "32-true"
"""


GRAPHS = (ANALYSIS, SYNTHESIS)  # in the order in which they are exported


# data prepare, train, export, encode --model: a model of one's own from photos to files


class Trained(NamedTuple):
    """A tiny model made by the command line alone, and what each command said."""

    config: Path
    pack: Path
    run: Path
    models: Path
    prepared: str
    trained: str
    exported: str


@pytest.fixture(scope="module", autouse=True)
def _one_iteration() -> Iterator[None]:
    """Muon orthogonalises in one iteration, as in `train_helpers.run_tiny`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optim, "_ITERATIONS", 1)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("trained")
    for number, name in enumerate(names(3) + names(1, validation=True)):
        save(root / "photos" / name, photo(64, 64, 50 * number, 70 * number))
    (root / "photos" / "broken.jpg").write_bytes(b"no picture")
    config, pack, folder, models = root / "tiny.toml", root / "pack", root / "run", root / "models"
    config.write_text(TINY_TOML)
    prepared = run("data", "prepare", root / "photos", pack, "--native", "--side", 32)
    train = ["train", "--config", config, "--data", pack, "--out", folder, "--accelerator", "cpu"]
    trained = succeeded(run(*train))
    about = ["--licence", "CC0-1.0", "--data", "an astronaut"]
    exported = succeeded(run("export", folder, "tiny", "--out", models, *about))
    assert prepared.status == 0
    return Trained(config, pack, folder, models, prepared.out + prepared.err, trained, exported)


@pytest.fixture
def own_models(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny model is found by name."""
    monkeypatch.setenv("CAESURA_MODELS", str(trained.models))
    return


def train_arguments(trained: Trained, **changes: object) -> list[object]:
    """`train` as it was run, with options replaced."""
    options = {"config": trained.config, "data": trained.pack, "out": trained.run, "accelerator": "cpu"}
    return ["train", *(part for name, value in (options | changes).items() for part in (f"--{name}", value))]


def test_prepare_train_and_export_say_what_they_made(trained: Trained) -> None:
    assert "12 squares to train on, 4 held out" in trained.prepared
    assert "skipped broken.jpg: unreadable" in trained.prepared
    assert f"trained: {trained.run / 'checkpoints' / '000003'}" in trained.trained.replace("\n", "")
    assert f"exported: {trained.models / 'tiny'}" in trained.exported
    assert sorted(files(trained.models / "tiny")) == sorted([*FILES["cae2017"], MANIFEST])
    assert [path.name for path in trained.models.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("own_models")
def test_a_model_of_ones_own_codes_and_decodes_by_name(picture: Path, tmp_path: Path) -> None:
    sizes, psnrs = [], []
    for quality in (1, 100):
        file = tmp_path / f"{quality}.cae"
        succeeded(run("encode", picture, "--model", "tiny", "-q", quality, "-o", file))
        succeeded(run("decode", file))
        assert "(tiny)" in succeeded(run("info", file))
        sizes.append(file.stat().st_size)
        psnrs.append(metrics.psnr(drawn(40, 56), opened(file.with_suffix(".png"))))
    assert sizes[0] < sizes[1]
    assert min(psnrs) > 15


@pytest.mark.usefixtures("own_models")
def test_models_shows_licence_and_data_as_exported(trained: Trained) -> None:
    out = succeeded(run("models"))
    assert str(trained.models / "tiny") in out
    assert "licence: CC0-1.0" in out
    assert "data: an astronaut" in out


def test_a_file_of_a_model_that_went_away_names_it(
    picture: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(run("encode", picture, "--model", trained.models / "tiny", "-o", tmp_path / "own.cae"))
    file = tmp_path / "own.cae"
    code = f"{caesura.read_header(file.read_bytes()).model_id:08x}"
    assert f"coded with model {code}, which is not here" in complaint(run("decode", file))
    monkeypatch.setenv("CAESURA_MODELS", str(trained.models))
    succeeded(run("decode", file))


def test_export_takes_what_a_run_kept(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its own graphs would take seconds, and no record depends on them.
    graphs = iter([(trained.models / "tiny" / name).read_bytes() for name in GRAPHS])
    monkeypatch.setattr("caesura.train.cae2017.export.to_onnx", lambda *_: next(graphs))
    kept = shutil.copytree(trained.run / "kept", tmp_path / "elsewhere")
    succeeded(run("export", kept, "tiny", "--out", tmp_path / "models"))
    records = [start.read(folder / "tiny").training for folder in (trained.models, tmp_path / "models")]
    assert records[0] == records[1]


def test_a_run_by_the_clock_ends_within_its_time(trained: Trained, tmp_path: Path) -> None:
    """Whatever number of steps its configuration says."""
    began = time.monotonic()
    config = tmp_path / "long.toml"
    config.write_text(TINY_TOML.replace("steps = 3", "steps = 1_000_000"))
    options = train_arguments(trained, config=config, out=tmp_path / "run")
    out = succeeded(run(*options, "--minutes", 0.1))
    assert time.monotonic() - began < 30
    last = checkpoint.latest(tmp_path / "run")
    assert last is not None
    assert f"trained: {last}" in out.replace("\n", "")
    record = start.read(tmp_path / "run").training
    assert record["steps"] >= 1
    assert record["validation"]
    assert (record["config"]["train"]["minutes"], record["config"]["train"]["steps"]) == (0.1, 0)


@pytest.mark.parametrize("minutes", [0, -1, "nan", "inf"])
def test_a_time_that_no_run_can_have_is_refused(minutes: object, trained: Trained, tmp_path: Path) -> None:
    line = complaint(run(*train_arguments(trained, out=tmp_path / "run"), "--minutes", minutes))
    assert re.search(r"minutes is \S+; it must be above 0 and finite", line)


def test_export_refuses_a_name_that_is_no_folders(trained: Trained, tmp_path: Path) -> None:
    line = complaint(run("export", trained.run, "../tiny", "--out", tmp_path / "models"))
    assert "name is '../tiny'" in line
    assert files(tmp_path) == {}


def test_export_of_nothing_is_refused(tmp_path: Path) -> None:
    line = complaint(run("export", tmp_path, "tiny", "--out", tmp_path / "models"))
    assert str(tmp_path) in line
    assert files(tmp_path) == {}


def test_a_run_that_is_there_is_resumed_only_when_asked(trained: Trained) -> None:
    before = files(trained.run / "checkpoints")
    line = complaint(run(*train_arguments(trained)))
    assert "resume it or name another folder" in line
    succeeded(run(*train_arguments(trained), "--resume"))
    assert files(trained.run / "checkpoints") == before


def test_train_without_its_config_file_says_so(trained: Trained, tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    line = complaint(run(*train_arguments(trained, config=missing, out=tmp_path / "run")))
    assert f"config {missing} cannot be read" in line
    assert files(tmp_path) == {}


def test_train_without_an_option_it_needs_is_a_usage_error(trained: Trained, tmp_path: Path) -> None:
    outcome = run("train", "--config", trained.config, "--out", tmp_path / "run")
    assert outcome.status == 2
    assert "data" in outcome.err


def test_train_without_a_config_needs_a_start(tmp_path: Path) -> None:
    line = complaint(run("train", "--data", tmp_path, "--out", tmp_path / "run"))
    assert "neither --config nor --from is given" in line


def test_a_fine_tune_takes_a_folder_of_photos_and_makes_a_bundle_of_its_own(
    trained: Trained, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a config; and files of the bundle it began with still decode."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    short = tmp_path / "short.toml"
    text = configs.FINE_TUNE.read_text()
    short.write_text(text.replace("steps = 600", "steps = 2").replace("batch = 8", "batch = 1"))
    monkeypatch.setattr(configs, "FINE_TUNE", short)
    for number, name in enumerate(names(2)):
        save(tmp_path / "photos" / name, photo(256, 256, 60 * number, 90 * number))
    start_from = trained.models / "tiny"
    options = ["--from", start_from, "--data", tmp_path / "photos", "--accelerator", "cpu"]
    succeeded(run("train", *options, "--out", tmp_path / "run"))
    assert start.read(tmp_path / "run").training["config"]["train"]["learning_rate"] == 5e-4
    (pack,) = (tmp_path / "cache" / "caesura" / "packs").iterdir()
    made = files(pack)
    succeeded(run("train", *options, "--out", tmp_path / "again"))
    assert [pack] == list(pack.parent.iterdir())
    assert files(pack) == made

    monkeypatch.setenv("CAESURA_MODELS", str(trained.models))
    succeeded(run("encode", picture, "--model", "tiny", "-o", tmp_path / "old.cae"))
    succeeded(run("export", tmp_path / "run", "tuned", "--out", tmp_path / "models"))
    monkeypatch.setenv("CAESURA_MODELS", os.pathsep.join(map(str, (tmp_path / "models", trained.models))))
    succeeded(run("encode", picture, "--model", "tuned", "-o", tmp_path / "new.cae"))
    ids = [caesura.read_header((tmp_path / f"{name}.cae").read_bytes()).model_id for name in ("old", "new")]
    assert ids[0] != ids[1]
    for name in ("old", "new"):
        succeeded(run("decode", tmp_path / f"{name}.cae"))


def test_photos_that_changed_are_packed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save(tmp_path / "photos" / "a.png", photo(256, 256))
    first = cache.pack_of(tmp_path / "photos", 64)
    assert cache.pack_of(tmp_path / "photos", 64) == first
    assert cache.pack_of(first, 64) == first  # a pack is taken as it is
    save(tmp_path / "photos" / "b.png", photo(300, 256))
    assert cache.pack_of(tmp_path / "photos", 64) != first


def test_several_ranks_need_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "photos" / "a.png", photo(256, 256))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="several ranks need a pack of it"):
        cache.pack_of(tmp_path / "photos", 64)


def test_train_takes_the_model_of_its_start_where_the_config_is_silent(
    trained: Trained, tmp_path: Path
) -> None:
    config = tmp_path / "on.toml"
    config.write_text(TINY_TOML[TINY_TOML.index("[train]") :])
    line = complaint(run(*train_arguments(trained, config=config, out=tmp_path / "run")))
    assert "loss is missing" in line
    changes: dict[str, object] = {"config": config, "out": tmp_path / "run", "from": trained.run}
    succeeded(run(*train_arguments(trained, **changes)))
    was, now = (start.read(folder).training for folder in (trained.run, tmp_path / "run"))
    assert now["config"] == was["config"]
    assert [record["steps"] for record in now["history"]] == [3]


def test_train_names_a_setting_that_cannot_be_used(trained: Trained, tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(TINY_TOML.replace("crop = 16", "crop = 17"))
    line = complaint(run(*train_arguments(trained, config=config, out=tmp_path / "run")))
    assert "train.crop is 17; it must be a positive multiple of 8" in line


def test_train_without_a_pack_says_so(trained: Trained, tmp_path: Path) -> None:
    line = complaint(run(*train_arguments(trained, data=tmp_path / "nothing", out=tmp_path / "run")))
    assert str(tmp_path / "nothing") in line


def test_train_from_weights_that_do_not_fit_is_one_line(trained: Trained, tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text(TINY_TOML.replace("latent_channels = 8", "latent_channels = 4"))
    changes: dict[str, object] = {"config": config, "out": tmp_path / "run", "from": trained.run}
    line = complaint(run(*train_arguments(trained, **changes)))
    assert f"start {trained.run} does not fit the configured network" in line


@pytest.mark.parametrize(
    "options", [["--sizes", "32,big"], ["--sizes", "16", "--side", "32"], ["--side", "4"]]
)
def test_prepare_refuses_settings_that_cannot_be_used(options: list[str], tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photo(64, 64))
    complaint(run("data", "prepare", tmp_path / "photos", tmp_path / "pack", *options))
    assert not (tmp_path / "pack").exists()


def test_prepare_of_a_folder_without_photos_says_so(tmp_path: Path) -> None:
    line = complaint(run("data", "prepare", tmp_path, tmp_path / "pack"))
    assert f"source {tmp_path} holds no photos" in line


@pytest.mark.parametrize("command", ["train", "export"])
def test_training_without_torch_says_what_to_install(command: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY_TOML)
    arguments: dict[str, list[object]] = {
        "train": ["--config", tmp_path / "tiny.toml", "--data", tmp_path, "--out", tmp_path / "run"],
        "export": [tmp_path, "tiny"],
    }
    outcome = process("torch", command, *arguments[command], program=WITHOUT)
    assert complaint(outcome) == "caesura: torch is not installed; pip install 'caesura[train]'"


def test_export_fits_previews_to_photos(trained: Trained, tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / "photos" / f"{number}.png", photo(64, 64, 30 * number, 40 * number))
    out = succeeded(
        run("export", trained.run, "sharp", "--out", tmp_path / "models", "--photos", tmp_path / "photos")
    )
    found = re.search(r"previews: (\d+\.\d+) dB", out)
    assert found
    assert (bundle.load(tmp_path / "models" / "sharp").preview is None) == (float(found[1]) < preview.CLOSE)


def test_export_needs_some_photos_for_previews(trained: Trained, tmp_path: Path) -> None:
    arguments = ["export", trained.run, "few", "--out", tmp_path / "models", "--photos", trained.pack]
    assert "there are 0 pictures" in complaint(run(*arguments))
