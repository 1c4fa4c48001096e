"""Checkpoints of a run, and the averaged weights of the last one.

    RUN/checkpoints/000250/   model.pt  ema.pt  optimizer-0.pt ...  state.json
    RUN/kept/                 ema.pt  state.json

A checkpoint is written under another name and renamed when all of it is on disk, so a run killed at any
moment finds the last complete one. RUN/kept has the averaged weights in half precision and the state: a sixth
of a checkpoint, enough to export and to start other runs from, not to resume this one.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from caesura.errors import ConfigError

_NEWEST = 2
_SMALL = 4096  # elements; smaller tensors, and the linear transforms of cae2026, keep single precision
_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, IndexError, pickle.UnpicklingError)


def save(
    run: Path, model: nn.Module, ema: nn.Module, optimizers: list[Optimizer], state: dict[str, Any]
) -> Path:
    """Write a checkpoint and RUN/kept, delete all checkpoints but the newest two, and return its folder.

    Args:
        run: the run's folder.
        model, ema: the weights, and their average.
        optimizers: in a fixed order.
        state: JSON values; "step" names the checkpoint.
    """
    target, averaged = run / "checkpoints" / f"{state['step']:06d}", ema.state_dict()
    tensors = {"model": model.state_dict(), "ema": averaged}
    tensors |= {f"optimizer-{number}": part.state_dict() for number, part in enumerate(optimizers)}
    _write(target, tensors, state)
    keep(run, averaged, state)
    for old in _complete(run)[:-_NEWEST]:
        shutil.rmtree(old)
    return target


def keep(run: Path, averaged: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write RUN/kept alone: averaged weights, and a state as for `save`."""
    _write(run / "kept", {"ema": {name: _halved(name, value) for name, value in averaged.items()}}, state)


def _write(target: Path, tensors: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a folder of a state and of tensor files, by names without .pt; replaced only when complete."""
    unfinished = target.with_name(f".{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in tensors.items():
        torch.save(content, unfinished / f"{name}.pt")
    (unfinished / "state.json").write_text(json.dumps(state))
    for path in unfinished.iterdir():
        with path.open("rb") as written:
            os.fsync(written.fileno())
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _halved(name: str, value: Tensor) -> Tensor:
    return (
        value.half()
        if value.is_floating_point() and value.numel() > _SMALL and ".linear." not in name
        else value
    )


def latest(run: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    found = _complete(run)
    return found[-1] if found else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state that `save` was given.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        state: dict[str, Any] = json.loads((checkpoint / "state.json").read_text())
    except _UNREADABLE as error:
        raise ConfigError(f"checkpoint {checkpoint} cannot be read: {error}") from error
    return state


def read(path: Path) -> dict[str, Any]:
    """Content of a tensor file of a checkpoint.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        result: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise ConfigError(f"checkpoint {path} cannot be read: {error}") from error
    return result


def read_all(checkpoint: Path) -> dict[str, Any]:
    """All of a checkpoint: the state as "state", and each tensor file by its name without .pt.

    Raises:
        ConfigError: a file cannot be read.
    """
    return {"state": read_state(checkpoint)} | {path.stem: read(path) for path in checkpoint.glob("*.pt")}


def _complete(run: Path) -> list[Path]:
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    found = (p for p in folder.iterdir() if p.name.isdecimal() and (p / "state.json").is_file())
    return sorted(found, key=lambda path: int(path.name))
