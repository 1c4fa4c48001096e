"""Trained weights to go on from: a run, one of its checkpoints, or a bundle."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from caesura import model as bundles
from caesura.errors import ConfigError, ModelError
from caesura.train import checkpoint
from caesura.train.config import from_dict
from caesura.train.model import RateModel


class Start(NamedTuple):
    """Weights as `RateModel.load_state_dict` takes them, and the record of the training that made them."""

    weights: dict[str, Tensor]
    training: dict[str, Any]  # steps, pixels, config, validation


def read(source: Path) -> Start:
    """Read averaged weights.

    Args:
        source: a run's folder (its last checkpoint counts), a checkpoint's, a bundle's, or a bundle's name.

    Raises:
        ConfigError: a checkpoint cannot be read.
        ModelError: there is neither a checkpoint nor a bundle.
    """
    folder = source if (source / "state.json").is_file() else checkpoint.latest(source)
    if folder is None:
        return read_bundle(bundles.load(source))
    state = checkpoint.read_state(folder)
    averaged = checkpoint.read(folder / "ema.pt")
    weights = {
        name.removeprefix("module."): value for name, value in averaged.items() if name != "n_averaged"
    }
    kept = ("pixels", "config", "validation")
    record = {"steps": state["step"]} | {name: state[name] for name in kept if name in state}
    return Start(weights, record)


def load(model: RateModel, source: Path, betas: Sequence[float]) -> None:
    """Load weights into a model whose ladder may have other betas.

    A rung starts from the scale vectors of the old rung with the nearest beta, moved to its own as
    high-rate theory has it: steps go with 1 / sqrt(beta).

    Raises:
        ConfigError: the weights do not fit the model; or see `read`.
    """
    weights, training = read(source)
    old = np.log(from_dict(training["config"]).loss.betas)
    new = np.log(betas)
    nearest = np.abs(new[:, None] - old[None, :]).argmin(1)
    shift = torch.from_numpy((new - old[nearest]) / 2).float()[:, None]
    weights["log_gain"] = weights["log_gain"][nearest] + shift
    weights["log_inverse"] = weights["log_inverse"][nearest] - shift
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"start {source} does not fit the configured network: {reason}") from error


def read_bundle(bundle: bundles.Bundle) -> Start:
    """The weights of a bundle, as exported in half precision, and its prior."""
    weights = {}
    for graph in (bundle.analysis, bundle.synthesis):
        for tensor in onnx.load_from_string(graph).graph.initializer:
            name = tensor.name.removesuffix(".half")
            if name.startswith(("analysis.", "synthesis.")):
                weights[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    with np.load(io.BytesIO(bundle.prior)) as prior:
        weights |= {f"prior.{name}": torch.tensor(values) for name, values in prior.items()}
    weights["log_gain"] = torch.tensor(bundle.log_gain)
    weights["log_inverse"] = torch.tensor(bundle.log_inverse)
    training = bundle.manifest.get("training")
    if not isinstance(training, dict) or "config" not in training:
        raise ModelError(f"model {bundle.name}: the manifest's training is {training!r}; a record is needed")
    return Start(weights, training)
