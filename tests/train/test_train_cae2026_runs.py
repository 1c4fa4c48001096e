"""cae2026/: runs from the first step to the last, and the stage of the detail layer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from cae2026_helpers import (
    ANCHORS,
    BETAS,
    CHANNELS,
    SIDE,
    batch,
    config,
    fresh,
    stirred,
    transform,
)
from caesura.train import checkpoint, loss, optim, start
from caesura.train.cae2026.model import Cae2026Model
from caesura.train.cae2026.networks import PIXEL_DEVIATION
from caesura.train.pack import Pack
from train_helpers import make_pack, run_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("cae2026"), side=SIDE)


@pytest.fixture(scope="module")
def finished(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a tiny run."""
    return run_tiny(config(), pack, tmp_path_factory.mktemp("runs") / "joint")


def resumed(
    last: Path, settings: dict[str, Any], pack: Path, folder: Path, **sections: dict[str, Any]
) -> dict[str, Any]:
    """All tensors of a run that lost its last checkpoint and was resumed."""
    run = shutil.copytree(last.parent.parent, folder)
    shutil.rmtree(run / "checkpoints" / last.name)
    return tensors(run_tiny(config(train=settings, **sections), pack, run, resume=True))


def tensors(folder: Path) -> dict[str, Any]:
    """Everything a checkpoint holds, flattened: a tensor or a number by its path."""
    found: dict[str, Any] = {}

    def gather(value: Any, path: str) -> None:
        if isinstance(value, dict | list):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                gather(inner, f"{path}/{key}")
        else:
            found[path] = value

    for path in sorted(folder.glob("*.pt")):
        gather(checkpoint.read(path), path.name)
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for path, value in one.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, other[path]), path
        else:
            assert value == other[path], path


@pytest.mark.slow
def test_a_joint_run_leaves_the_detail_layer_and_what_is_fixed_alone(finished: Path) -> None:
    before, after = (checkpoint.read(finished.parent / name / "model.pt") for name in ("000002", "000004"))
    assert all(torch.isfinite(value).all() for value in after.values())
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    parameters = {name for name, _ in fresh().named_parameters()}
    assert {
        "analysis.linear.weight",
        "synthesis.leave.weight",
        "control.bias",
        "means.3.leave.bias",
    } <= changed
    assert changed <= {name for name in parameters if not name.startswith("detail.")}


def loss_of(checkpointed: Path, pack: Path) -> float:
    """The loss over the whole ladder of averaged weights, on the squares that they were trained on."""
    model, seen = Cae2026Model(config()), Pack(pack)
    model.load_state_dict(start.read(checkpointed).weights)
    pixels = torch.from_numpy(seen.squares[seen.train]).permute(0, 3, 1, 2).float() / 255
    positions = torch.linspace(0, ANCHORS - 1, len(pixels))
    with torch.no_grad():
        restored, size = model.eval()(pixels, positions)
    distortions = loss.distortion(pixels, restored, "mse")
    return float(loss.rate_distortion(size / SIDE**2, distortions, loss.betas_at(positions, BETAS)))


def test_a_short_run_lowers_the_loss(pack: Path, tmp_path: Path) -> None:
    """The components are near an optimum for networks this small, so it begins away from them."""
    model = stirred()
    state = {"step": 1, "pixels": 0, "config": config().as_dict()}
    begun = checkpoint.save(tmp_path / "begun", model, AveragedModel(model), [], state)
    settings = {"steps": 40, "ema": 0.8, "checkpoint_every": 40}
    trained = run_tiny(
        config(train=settings), pack, tmp_path / "trained", start=begun, muon=optim._ITERATIONS
    )
    assert loss_of(trained, pack) < 0.9 * loss_of(begun, pack)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    pack: Path, finished: Path, tmp_path: Path
) -> None:
    assert_same(resumed(finished, {}, pack, tmp_path / "again"), tensors(finished))


def test_the_detail_stage_trains_the_detail_layer_alone_and_resumes_exactly(
    pack: Path, finished: Path, tmp_path: Path
) -> None:
    settings = {"stage": "detail"}
    last = run_tiny(config(train=settings), pack, tmp_path / "detail", start=finished)
    before, after = start.read(finished).weights, checkpoint.read(last / "model.pt")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("detail.")}
    assert_same(resumed(last, settings, pack, tmp_path / "again"), tensors(last))


# The detail layer


def test_the_detail_stage_counts_the_detail_layer_alone_on_top_of_the_base() -> None:
    """The base is what the ladder's top gives; further up, the detail layer costs more and errs less."""
    pixels, positions = batch(1).expand(5, -1, -1, -1), torch.linspace(0, ANCHORS - 1, 5)
    base, model = stirred().eval(), stirred(train={"stage": "detail"}).eval()
    with torch.no_grad():
        top = base(pixels[:1], torch.tensor([ANCHORS - 1.0])).pixels
        restored, size = model(pixels, positions)
        more = model.train()(pixels, positions)
    assert torch.equal(more.bits, size)  # no noise here
    errors = loss.distortion(pixels, restored, "mse")
    assert (torch.cat([loss.distortion(pixels[:1], top, "mse"), errors]).diff() < 0).all()
    assert -10 * torch.log10(errors[-1]) > 44
    assert torch.isfinite(size).all()


def test_a_deeper_network_starts_as_good_as_the_one_it_is_from(finished: Path) -> None:
    deep = transform(fine_blocks=3, coarse_blocks=2)
    same, deeper = (
        Cae2026Model(config()),
        Cae2026Model(other := config(network={"analysis": deep, "synthesis": deep})),
    )
    for model, settings in ((same, config()), (deeper, other)):
        start.load(model, finished, settings)
    mix = torch.eye(ANCHORS)[1:2]
    with torch.no_grad():
        pixels = batch()[:1]
        latent, _ = same.eval().analyse(pixels, mix)
        assert torch.equal(deeper.eval().analyse(pixels, mix)[0], latent)
        assert torch.equal(deeper.synthesis(latent, mix), same.synthesis(latent, mix))


STAGES = {
    "analysis": ("enter", "fine", "down", "coarse", "leave"),
    "synthesis": ("enter", "coarse", "up", "fine", "leave"),
}


@pytest.mark.parametrize(
    ("which", "settings", "kept"),
    [
        ("analysis", {"fine_width": 4}, 0),
        ("analysis", {"coarse_width": 16}, 2),
        ("analysis", {"coarse_blocks": 0}, 3),
        ("synthesis", {"coarse_width": 16}, 0),
        ("synthesis", {"coarse_blocks": 0}, 1),
        ("synthesis", {"fine_width": 4}, 2),
    ],
)
def test_a_transform_of_another_shape_begins_anew_where_it_does_not_fit(
    finished: Path, which: str, settings: dict[str, int], kept: int
) -> None:
    other = config(network={which: transform(**settings)})
    model = Cae2026Model(other)
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    start.load(model, finished, other)
    weights = start.read(finished).weights
    anew = tuple(f"{which}.{stage}." for stage in STAGES[which][kept:])
    for name, value in model.state_dict().items():
        expected = begun if name.startswith(anew) or name not in weights else weights
        assert torch.equal(value, expected[name]), name
    network = getattr(model, which)
    assert not any(parameter.any() for parameter in network.leave.parameters())
    assert any(weights[f"{which}.leave.{part}"].any() for part in ("weight", "bias"))


def test_a_light_decoder_starts_as_the_linear_part(finished: Path) -> None:
    light = config(network={"synthesis": transform(coarse_width=16, coarse_blocks=2)})
    model, mix = Cae2026Model(light), torch.eye(ANCHORS)[1:2]
    start.load(model, finished, light)
    synthesis, latent = model.synthesis, torch.randn(1, CHANNELS, 2, 3)
    with torch.no_grad():
        patches = F.pixel_shuffle(synthesis.linear(latent) * synthesis.unit, 2)
        expected = F.pixel_shuffle(patches * PIXEL_DEVIATION + synthesis.block_mean, 8)
        assert torch.equal(synthesis(latent, mix), expected)


def test_the_stage_of_the_synthesis_trains_it_alone_and_resumes_exactly(
    pack: Path, finished: Path, tmp_path: Path
) -> None:
    settings = {"stage": "synthesis"}
    network = {"synthesis": transform(coarse_width=16, coarse_blocks=2)}
    last = run_tiny(config(network=network, train=settings), pack, tmp_path / "light", start=finished)
    before, after = start.read(finished).weights, checkpoint.read(last / "model.pt")
    others = {name for name in after if not name.startswith("synthesis.")}
    assert others == {name for name in before if not name.startswith("synthesis.")}
    assert all(torch.equal(before[name], after[name]) for name in others)
    earlier = checkpoint.read(last.parent / "000002" / "model.pt")
    changed = {name for name in after if not torch.equal(earlier[name], after[name])}
    parameters = {name for name, _ in Cae2026Model(config(network=network)).synthesis.named_parameters()}
    assert changed <= {f"synthesis.{name}" for name in parameters}
    assert {"synthesis.linear.weight", "synthesis.leave.weight", "synthesis.coarse.1.widen.weight"} <= changed
    assert_same(resumed(last, settings, pack, tmp_path / "again", network=network), tensors(last))
