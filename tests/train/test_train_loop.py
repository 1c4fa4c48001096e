"""loop.py: whole runs of a tiny network, whole, interrupted, resumed and taken further."""

from __future__ import annotations

import io
import json
import multiprocessing
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from caesura.errors import ConfigError, ModelError, TrainingError
from caesura.train import checkpoint, loss, optim, start
from caesura.train.config import Config, from_dict
from caesura.train.monitor import Monitor
from caesura.train.prepare import prepare
from train_helpers import make_pack, names, photo, run_tiny, save, tiny


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("loop"))


@pytest.fixture(scope="module")
def finished(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished tiny run."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    run_tiny(tiny(), pack, run)
    return run


def tensors(folder: Path) -> dict[str, Any]:
    """Everything a checkpoint holds, by file."""
    return {path.name: checkpoint.read(path) for path in sorted(folder.glob("*.pt"))}


def assert_identical(one: Any, other: Any, path: str = "") -> None:
    """Equal to the last bit, through nested dicts and lists."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_identical(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_identical(left, right, f"{path}/{number}")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


def averaged_weights(source: Path) -> dict[str, Tensor]:
    return start.read(source).weights


def assert_same_checkpoint(one: Path, other: Path) -> None:
    assert_identical(tensors(one), tensors(other))
    assert checkpoint.read_state(one) == checkpoint.read_state(other)


def logged(run: Path) -> EventAccumulator:
    """What TensorBoard would show of a run."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Names of the weights that differ."""
    assert before.keys() == after.keys()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def kill_after_first_checkpoint(config: Config, data: Path, run: Path) -> None:
    """Train in a fork of this process and kill it without warning as soon as one checkpoint is there."""
    process = multiprocessing.get_context("fork").Process(target=run_tiny, args=(config, data, run))
    process.start()
    while checkpoint.latest(run) is None:
        assert process.is_alive(), "the run ended before its first checkpoint"
        time.sleep(0.005)
    process.kill()
    process.join()


@pytest.mark.slow
def test_a_run_ends_with_a_checkpoint_that_tells_what_it_is(pack: Path, finished: Path) -> None:
    last = checkpoint.latest(finished)
    assert last == finished / "checkpoints" / "000006"
    state = checkpoint.read_state(last)
    assert state["step"] == 6
    assert state["pixels"] == 6 * 2 * 16 * 16
    assert set(tensors(last)) == {"model.pt", "ema.pt", "optimizer-0.pt", "optimizer-1.pt"}
    assert sorted(path.name for path in last.parent.iterdir()) == ["000003", "000006"]


@pytest.mark.slow
def test_the_last_step_is_kept_even_between_checkpoints(pack: Path, tmp_path: Path) -> None:
    config = tiny(train={"steps": 2, "checkpoint_every": 100})
    assert run_tiny(config, pack, tmp_path) == tmp_path / "checkpoints" / "000002"


@pytest.mark.slow
def test_two_runs_of_one_configuration_are_the_same(pack: Path, finished: Path, tmp_path: Path) -> None:
    assert_same_checkpoint(finished / "checkpoints" / "000006", run_tiny(tiny(), pack, tmp_path))


@pytest.mark.slow
def test_another_seed_gives_another_model(pack: Path, finished: Path, tmp_path: Path) -> None:
    other = run_tiny(tiny(train={"seed": 1}), pack, tmp_path)
    first = checkpoint.read(finished / "checkpoints" / "000006" / "model.pt")
    assert "log_gain" in changed(first, checkpoint.read(other / "model.pt"))


@pytest.mark.slow
def test_a_run_killed_and_resumed_ends_with_the_weights_of_an_uninterrupted_one(
    pack: Path, tmp_path: Path
) -> None:
    config = tiny(train={"steps": 24, "checkpoint_every": 3})
    expected = run_tiny(config, pack, tmp_path / "whole")
    kill_after_first_checkpoint(config, pack, tmp_path / "killed")
    found = checkpoint.latest(tmp_path / "killed")
    assert found is not None
    assert found.name < expected.name  # it was killed on its way
    assert_same_checkpoint(expected, run_tiny(config, pack, tmp_path / "killed", resume=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"precision": "bf16-mixed", "decay": 0.5}},
        {"prior": {"kind": "scale-mixture"}, "network": {"padding": "mirror"}, "train": {"mask_steps": 3}},
        {"train": {"stage": "scales", "ema": 0.5}},
        {"loss": {"betas": [300.0]}, "train": {"batch": 1, "seed": 9}},
    ],
    ids=["bf16", "paper", "scales", "one rate"],
)
def test_a_run_that_lost_its_newest_checkpoint_ends_the_same(
    pack: Path, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    config = tiny(**sections | {"train": {"steps": 4, "checkpoint_every": 2, **sections["train"]}})
    last = run_tiny(config, pack, tmp_path / "run")
    kept = shutil.copytree(last, tmp_path / "kept")
    shutil.rmtree(last)
    assert run_tiny(config, pack, tmp_path / "run", resume=True) == last
    assert_same_checkpoint(kept, last)


@pytest.mark.slow
def test_resuming_a_finished_run_gives_its_last_checkpoint(pack: Path, finished: Path) -> None:
    last = finished / "checkpoints" / "000006"
    before = tensors(last)
    assert run_tiny(tiny(), pack, finished, resume=True) == last
    assert_identical(tensors(last), before)


@pytest.mark.slow
def test_resuming_where_nothing_was_begins_a_run(pack: Path, finished: Path, tmp_path: Path) -> None:
    last = run_tiny(tiny(), pack, tmp_path / "new", resume=True)
    assert_same_checkpoint(finished / "checkpoints" / "000006", last)


def test_a_run_that_is_there_is_not_overwritten(pack: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match="already holds 000006; resume it or name another folder"):
        run_tiny(tiny(), pack, finished)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"train": {"seed": 1}}, r"seed is 1; run .* was started with 0"),
        ({"train": {"steps": 12}}, r"steps is 12; run .* was started with 6"),
        ({"loss": {"betas": [100.0, 300.0]}}, r"betas is \(100\.0, 300\.0\); run .* was started with"),
        ({"prior": {"components": 2}}, r"components is 2; run .* was started with 3"),
        ({"network": {"padding": "mirror"}}, r"padding is mirror; run .* was started with zeros"),
    ],
)
def test_a_run_is_resumed_with_its_own_configuration_only(
    pack: Path, finished: Path, sections: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_tiny(tiny(**sections), pack, finished, resume=True)


@pytest.mark.slow
def test_a_run_begun_with_settings_that_are_no_more_is_resumed(pack: Path, tmp_path: Path) -> None:
    config = tiny(train={"steps": 3})
    last = run_tiny(config, pack, tmp_path / "run")
    state = json.loads((last / "state.json").read_text())
    state["config"]["train"]["clip"] = 1.0
    state["config"]["network"]["init"] = "klt"
    (last / "state.json").write_text(json.dumps(state))
    assert run_tiny(config, pack, tmp_path / "run", resume=True) == last


def test_a_run_is_resumed_with_its_own_data_only(finished: Path, tmp_path: Path) -> None:
    save(tmp_path / "photos" / names(1)[0], photo(64, 64, 300, 300))
    prepare(tmp_path / "photos", tmp_path / "other", sizes=(32,), side=32)
    with pytest.raises(ConfigError, match=r"data is not what run .* was started with"):
        run_tiny(tiny(), tmp_path / "other", finished, resume=True)


def test_data_that_is_no_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a pack made by"):
        run_tiny(tiny(), tmp_path, tmp_path / "run")


@pytest.mark.slow
def test_squares_may_have_any_side_the_crop_fits_in(tmp_path: Path) -> None:
    config = tiny(train={"steps": 1})
    assert run_tiny(config, make_pack(tmp_path, side=20), tmp_path / "run").name == "000001"


@pytest.mark.slow
def test_the_scales_stage_changes_only_the_scale_vectors(pack: Path, finished: Path, tmp_path: Path) -> None:
    first = finished / "checkpoints" / "000006"
    last = run_tiny(tiny(train={"stage": "scales"}), pack, tmp_path, start=first)
    before = averaged_weights(first)
    assert changed(before, checkpoint.read(last / "model.pt")) == {"log_gain", "log_inverse"}
    assert changed(before, averaged_weights(last)) == {"log_gain", "log_inverse"}


@pytest.mark.slow
def test_a_start_takes_over_the_averaged_weights(pack: Path, finished: Path, tmp_path: Path) -> None:
    first = finished / "checkpoints" / "000006"
    config = tiny(train={"steps": 1, "learning_rate": 1e-12, "seed": 3})
    last = run_tiny(config, pack, tmp_path, start=first)
    before, after = averaged_weights(first), checkpoint.read(last / "model.pt")
    assert changed(before, checkpoint.read(first / "model.pt"))  # the average is not the last step
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("betas", [[200.0], [50.0, 100.0, 200.0], [25.0, 50.0, 140.0, 200.0, 800.0]])
def test_a_start_serves_a_ladder_of_another_length(
    pack: Path, finished: Path, tmp_path: Path, betas: list[float]
) -> None:
    """Known betas keep their scale vectors; others take the nearest, moved by half the log ratio."""
    first = finished / "checkpoints" / "000006"
    config = tiny(loss={"betas": betas}, train={"steps": 1, "learning_rate": 1e-12})
    after = checkpoint.read(run_tiny(config, pack, tmp_path, start=first) / "model.pt")
    before, known = averaged_weights(first), [100.0, 200.0]
    for number, beta in enumerate(betas):
        nearest = min(range(2), key=lambda i: abs(np.log(known[i] / beta)))
        moved = float(np.log(beta / known[nearest])) / 2
        torch.testing.assert_close(after["log_gain"][number], before["log_gain"][nearest] + moved)
        torch.testing.assert_close(after["log_inverse"][number], before["log_inverse"][nearest] - moved)
    for name in before.keys() - {"log_gain", "log_inverse"}:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "sections",
    [{"network": {"latent_channels": 4}}, {"prior": {"kind": "scale-mixture"}}, {"prior": {"components": 2}}],
)
def test_a_start_that_does_not_fit_is_named(
    pack: Path, finished: Path, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    with pytest.raises(ConfigError, match=r"start .*000006 does not fit the configured network"):
        run_tiny(tiny(**sections), pack, tmp_path, start=finished / "checkpoints" / "000006")


def test_a_start_that_is_neither_run_nor_checkpoint_nor_bundle_is_named(pack: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        run_tiny(tiny(), pack, tmp_path / "run", start=tmp_path / "nowhere")


def test_a_start_that_cannot_be_read_is_named(pack: Path, finished: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(finished / "checkpoints" / "000006", tmp_path / "damaged")
    (damaged / "ema.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"checkpoint .*ema\.pt cannot be read"):
        run_tiny(tiny(), pack, tmp_path / "run", start=damaged)


def test_a_run_is_read_at_its_last_checkpoint(finished: Path) -> None:
    whole, single = start.read(finished), start.read(finished / "checkpoints" / "000006")
    assert_identical(whole.weights, single.weights)
    assert whole.training == single.training
    assert whole.training["steps"] == 6
    assert whole.training["pixels"] == 6 * 2 * 16 * 16
    assert from_dict(whole.training["config"]) == tiny()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mixture", "scale-mixture"])
@pytest.mark.parametrize("mask_steps", [0, 2])
def test_both_priors_train_with_and_without_incremental_training(
    pack: Path, tmp_path: Path, kind: str, mask_steps: int
) -> None:
    config = tiny(prior={"kind": kind}, train={"steps": 3, "mask_steps": mask_steps})
    weights = checkpoint.read(run_tiny(config, pack, tmp_path) / "model.pt")
    assert all(torch.isfinite(value).all() for value in weights.values())


@pytest.mark.slow
def test_masked_channels_wait_for_their_turn(pack: Path, tmp_path: Path) -> None:
    """In the first steps of incremental training only the first channel of eight moves."""
    config = tiny(
        train={"steps": 2, "mask_steps": 800, "learning_rate": 1e-3, "checkpoint_every": 1},
    )
    last = run_tiny(config, pack, tmp_path)
    one, two = (checkpoint.read(last.parent / name / "model.pt") for name in ("000001", "000002"))
    moved = (two["log_gain"] - one["log_gain"]).abs().amax(0)
    assert moved[0] > 0
    assert not moved[1:].any()
    assert not (two["prior.logit"] - one["prior.logit"])[1:].any()


@pytest.mark.slow
def test_gradients_that_are_not_finite_end_the_run_before_a_checkpoint_has_them(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = loss.rate_distortion
    monkeypatch.setattr(loss, "rate_distortion", lambda *parts: usual(*parts) * torch.inf)
    with pytest.raises(TrainingError, match="step 3: gradients were not finite"):
        run_tiny(tiny(), pack, tmp_path)
    assert checkpoint.latest(tmp_path) is None


@pytest.mark.slow
def test_a_step_reads_nothing_from_the_device(pack: Path, tmp_path: Path) -> None:
    """Between validations and checkpoints no tensor becomes a number, for which a GPU would have to wait."""
    read: list[int] = []
    counts: list[int] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function is torch.ops.aten._local_scalar_dense.default:
                read.append(1)
            return function(*args, **(kwargs or {}))

    usual = Monitor.step

    def step(self: Monitor, *arguments: Any) -> None:
        usual(self, *arguments)
        counts.append(len(read))

    with Watch(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Monitor, "step", step)
        run_tiny(tiny(train={"checkpoint_every": 100}), pack, tmp_path)
    assert len(counts) == 6
    # Counts of steps stay on the host: Adam's, one a parameter, and the average's. Nothing else is read.
    adam = checkpoint.read(tmp_path / "checkpoints" / "000006" / "optimizer-1.pt")
    assert set(np.diff(counts).tolist()) == {len(adam["state"]) + 1}


@pytest.mark.slow
def test_without_averaging_the_average_is_the_model(pack: Path, tmp_path: Path) -> None:
    last = run_tiny(tiny(train={"steps": 3, "ema": 0.0}), pack, tmp_path)
    assert not changed(checkpoint.read(last / "model.pt"), averaged_weights(last))


@pytest.mark.slow
def test_the_loss_falls_and_tensorboard_shows_it(pack: Path, tmp_path: Path) -> None:
    config = tiny(
        train={
            "steps": 40,
            "batch": 4,
            "checkpoint_every": 40,
            "validate_every": 10,
            "learning_rate": 2e-3,
            "ema": 0.8,
        },
    )
    output = io.StringIO()
    run_tiny(config, pack, tmp_path, console=Console(file=output, width=200), muon=optim._ITERATIONS)

    events = logged(tmp_path)
    scalars = set(events.Tags()["scalars"])
    assert {"train/loss", "train/bpp", "train/psnr", "train/learning rate"} <= scalars
    assert {f"validation/{what}/{anchor}" for what in ("bpp", "psnr") for anchor in (0, 1)} <= scalars
    assert [event.step for event in events.Scalars("train/loss")] == [20, 40]
    losses = [event.value for event in events.Scalars("validation/loss")]
    assert [event.step for event in events.Scalars("validation/loss")] == [10, 20, 30, 40]
    assert losses[-1] < 0.9 * losses[0]
    assert "validation/pictures" in events.Tags()["images"]
    for step in (10, 20, 30, 40):
        assert f"step {step}: validation loss" in output.getvalue()


@pytest.mark.slow
def test_a_better_anchor_has_more_bits_and_less_error_from_the_start(pack: Path, tmp_path: Path) -> None:
    config = tiny(loss={"betas": [20.0, 200.0, 2000.0]}, train={"steps": 1})
    run_tiny(config, pack, tmp_path)
    events = logged(tmp_path)
    for what in ("bpp", "psnr"):
        values = [events.Scalars(f"validation/{what}/{anchor}")[0].value for anchor in range(3)]
        assert values == sorted(values)
        assert len(set(values)) == 3
