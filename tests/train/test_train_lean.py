"""What training needs where it is done on another machine: PyTorch, Fabric and little else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from caesura.train import checkpoint, start
from cli_helpers import Outcome, complaint, process, succeeded
from train_helpers import names, photo, save

pytestmark = pytest.mark.slow

# The rest of what caesura installs, with any extra, and what those bring.
ABSENT = (
    "constriction onnx onnxscript onnxruntime onnx_ir pytorch_msssim tensorboard tensorboardX threadpoolctl "
    "bjontegaard imagecodecs jinja2 matplotlib pillow_heif pyjpegli scipy skimage ssimulacra2 pyvips ray "
    "pyarrow s3fs pandas google"
)

# Command lines, a JSON list, one after another where none of them can be found; prints how each ended.
LEAN = f"""
import contextlib, io, json, sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.split(".")[0] in {ABSENT.split()}
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
from caesura.cli import main

ended = []
for arguments in json.loads(sys.argv[1]):
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    ended.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(ended))
"""

CONFIG = """
[network]
name = "cae2026"
latent_channels = 8
hyperlatent_channels = 4
prior_width = 8
analysis = { fine_width = 8, fine_blocks = 1, coarse_width = 8, coarse_blocks = 1 }
synthesis = { fine_width = 8, fine_blocks = 1, coarse_width = 8, coarse_blocks = 1 }

[loss]
betas = [100, 200]
distortion = "perceptual"

[train]
steps = 3
batch = 2
crop = 64
validate_every = 2
validation_squares = 1
precision = "32-true"
"""


class Ended(NamedTuple):
    """Commands in a folder, and how each of them ended."""

    root: Path
    trained: Outcome
    trained_on: Outcome
    from_bundle: Outcome


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A run of three steps, one from what it keeps and one from a bundle, where nothing else is installed.

    They share a process, whose imports take longer than what it does.
    """
    root = tmp_path_factory.mktemp("lean")
    (root / "tiny.toml").write_text(CONFIG)
    for number, name in enumerate(names(2) + names(1, validation=True)):
        save(root / "photos" / name, photo(128, 128, 50 * number, 70 * number))
    (root / "elsewhere").symlink_to(root / "run" / "kept")  # there is no run around it
    data = ["--data", root / "pack"]
    train = ["train", "--config", root / "tiny.toml", *data, "--accelerator", "cpu", "--out"]
    prepared, *others = lean(
        ["data", "prepare", root / "photos", root / "pack", "--native", "--side", 64, "--jobs", 1],
        [*train, root / "run"],
        [*train, root / "on", "--from", root / "elsewhere"],
        ["train", *data, "--out", root / "of bundle", "--from", "photo"],
    )
    succeeded(prepared)
    return Ended(root, *others)


def lean(*commands: list[object]) -> list[Outcome]:
    """How the commands ended."""
    lines = json.dumps([[str(argument) for argument in command] for command in commands])
    return [Outcome(*found) for found in json.loads(succeeded(process(lines, program=LEAN)))]


def test_training_needs_no_more_than_the_base_of_it(ended: Ended) -> None:
    out = succeeded(ended.trained)
    assert "TensorBoard is not installed" in out
    assert "step 2: validation loss" in out
    assert "step 3: validation loss" in out
    run = ended.root / "run"
    assert checkpoint.latest(run) == run / "checkpoints" / "000003"
    assert not (run / "tensorboard").exists()


def test_what_a_run_keeps_is_a_start_for_another(ended: Ended) -> None:
    succeeded(ended.trained_on)
    (record,) = start.read(ended.root / "on").training["history"]
    assert record["steps"] == 3


def test_a_bundle_as_a_start_says_what_it_needs(ended: Ended) -> None:
    line = complaint(ended.from_bundle)
    assert "model photo is a bundle, whose weights are read with onnx, which is not installed" in line


def test_large_tensors_are_kept_in_half_precision_but_the_linear_transform(tmp_path: Path) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Conv2d(80, 80, 1, bias=False)
            self.large = torch.nn.Conv2d(80, 80, 1)
            self.count = torch.nn.Parameter(torch.zeros(5000, dtype=torch.long), requires_grad=False)

    model = torch.nn.ModuleDict({"analysis": Model()})
    checkpoint.save(tmp_path, model, model, [], {"step": 7, "config": {}})
    kept, whole = (checkpoint.read(tmp_path / name / "ema.pt") for name in ("kept", "checkpoints/000007"))
    assert kept.keys() == whole.keys()
    assert {name for name, value in kept.items() if value.dtype == torch.float16} == {"analysis.large.weight"}
    weights = start.read(tmp_path / "kept").weights
    for name, value in whole.items():
        assert weights[name].dtype == value.dtype
        torch.testing.assert_close(weights[name], value, rtol=2**-11, atol=2**-24)
    assert torch.equal(weights["analysis.linear.weight"], whole["analysis.linear.weight"])


def test_a_run_keeps_what_its_last_checkpoint_has(tmp_path: Path) -> None:
    for step in (3, 6):
        model = torch.nn.Linear(2, 2)
        checkpoint.save(tmp_path, model, model, [], {"step": step})
        assert checkpoint.read_state(tmp_path / "kept") == {"step": step}
        assert torch.equal(checkpoint.read(tmp_path / "kept" / "ema.pt")["weight"], model.weight)
        assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["ema.pt", "state.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "kept"]
