"""checkpoint.py: complete or absent, whatever happens while one is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from caesura.errors import ConfigError
from caesura.train import checkpoint


def write(run: Path, step: int) -> Path:
    """A checkpoint of a small network after one step of Adam, its weights made from the step's number."""
    torch.manual_seed(step)
    model, ema = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return checkpoint.save(run, model, ema, [optimizer], {"step": step, "pixels": 100 * step})


def kept(run: Path) -> list[int]:
    return sorted(int(path.name) for path in (run / "checkpoints").iterdir())


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, ema = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizers: list[torch.optim.Optimizer] = [torch.optim.Adam(model.parameters()) for _ in range(2)]
    model(torch.ones(1, 3)).sum().backward()
    optimizers[1].step()
    state = {"step": 250, "pixels": 9, "config": {"a": [1]}}
    folder = checkpoint.save(tmp_path, model, ema, optimizers, state)

    assert folder == tmp_path / "checkpoints" / "000250"
    assert checkpoint.read_state(folder) == state
    for name, module in (("model.pt", model), ("ema.pt", ema)):
        stored = checkpoint.read(folder / name)
        assert stored.keys() == module.state_dict().keys()
        assert all(torch.equal(stored[key], value) for key, value in module.state_dict().items())
    assert checkpoint.read(folder / "optimizer-0.pt")["state"] == {}
    moments = checkpoint.read(folder / "optimizer-1.pt")["state"][0]
    assert torch.equal(moments["exp_avg"], optimizers[1].state[model.weight]["exp_avg"])


def test_a_run_without_checkpoints_has_no_latest(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None
    assert checkpoint.latest(tmp_path / "nowhere") is None


def test_the_latest_is_the_newest_and_only_two_are_kept(tmp_path: Path) -> None:
    for step in (3, 6, 9, 12):
        folder = write(tmp_path, step)
        assert checkpoint.latest(tmp_path) == folder
    assert kept(tmp_path) == [9, 12]


def test_the_latest_is_the_newest_beyond_a_million_steps(tmp_path: Path) -> None:
    for step in (999_998, 999_999, 1_000_000, 1_000_001):
        folder = write(tmp_path, step)
        assert folder.is_dir()
        assert checkpoint.latest(tmp_path) == folder
    assert kept(tmp_path) == [1_000_000, 1_000_001]


def test_a_killed_write_is_ignored_and_cleared_by_the_next_one(tmp_path: Path) -> None:
    last = write(tmp_path, 3)
    unfinished = tmp_path / "checkpoints" / ".000006.part"
    unfinished.mkdir()
    (unfinished / "model.pt").write_bytes(b"half")
    (unfinished / "state.json").write_text("{}")
    (unfinished / "left-over").write_text("")
    assert checkpoint.latest(tmp_path) == last

    again = write(tmp_path, 6)
    assert checkpoint.latest(tmp_path) == again
    assert not unfinished.exists()
    assert {path.name for path in again.iterdir()} == {"model.pt", "ema.pt", "optimizer-0.pt", "state.json"}


def test_a_folder_without_its_state_is_no_checkpoint(tmp_path: Path) -> None:
    last = write(tmp_path, 3)
    (tmp_path / "checkpoints" / "000009").mkdir()
    assert checkpoint.latest(tmp_path) == last


def test_a_checkpoint_may_be_written_again(tmp_path: Path) -> None:
    first = write(tmp_path, 3)
    (first / "left-over").write_text("")
    assert write(tmp_path, 3) == first
    assert not (first / "left-over").exists()
    assert checkpoint.read_state(first) == {"step": 3, "pixels": 300}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"checkpoint .*ema\.pt cannot be read"):
        checkpoint.read(tmp_path / "ema.pt")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 no archive", b"hello, this is no checkpoint", bytes(100), b"\x80\x02."],
    ids=["empty", "no archive", "text", "zeros", "empty pickle"],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ema.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"checkpoint .*ema\.pt cannot be read"):
        checkpoint.read(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_named(tmp_path: Path, share: float) -> None:
    path = write(tmp_path, 3) / "model.pt"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ConfigError, match=r"checkpoint .*model\.pt cannot be read"):
        checkpoint.read(path)


@pytest.mark.parametrize("content", [None, "", "{"])
def test_a_checkpoint_without_a_readable_state_is_named(tmp_path: Path, content: str | None) -> None:
    folder = write(tmp_path, 3)
    (folder / "state.json").unlink()
    if content is not None:
        (folder / "state.json").write_text(content)
    with pytest.raises(ConfigError, match="000003"):
        checkpoint.read_state(folder)
