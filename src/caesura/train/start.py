"""Trained weights to go on from: a run, one of its checkpoints, or a bundle."""

from __future__ import annotations

import copy
import io
import re
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
from caesura.train.config import Config, TransformConfig, from_dict
from caesura.train.models import RateModel

_BLOCK = re.compile(r"(analysis|synthesis)\.(fine|coarse)\.\d+\.")
_LINEAR = re.compile(r"(analysis|synthesis)\.(linear\.weight|unit|block_mean|input_scale)$")
# Settings of the flagship's transforms before each had its own.
_SHARED = ("fine_width", "fine_blocks", "coarse_width", "coarse_blocks")
_PER_ANCHOR = {"log_gain": 1, "log_inverse": -1, "control.bias": 1}  # and how they move with the gain


class Start(NamedTuple):
    """Weights as `RateModel.load_state_dict` takes them, and the record of the training that made them."""

    weights: dict[str, Tensor]
    training: dict[str, Any]  # steps, pixels, config, validation, and the history: the same of earlier runs


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
    kept = ("pixels", "config", "validation", "history")
    record = {"steps": state["step"]} | {name: state[name] for name in kept if name in state}
    record["config"] = upgraded(record["config"])
    return Start(weights, record)


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration as it is written today: transforms once shared the settings of their networks."""
    network = dict(config.get("network", {}))
    shared = {name: network.pop(name) for name in _SHARED if name in network}
    if shared:
        network |= {"analysis": dict(shared), "synthesis": dict(shared)}
        network["prior_width"] = shared.get("fine_width", TransformConfig.fine_width)
    return config | {"network": network}


def load(model: RateModel, source: Path, config: Config) -> dict[str, Any]:
    """Load weights into a model of `config`, whose ladder and transforms may be others.

    An anchor starts from what the old anchor with the nearest beta has; scale vectors, and the table indices
    that go with them, move as high-rate theory has it: steps go with 1 / sqrt(beta). Betas of two kinds of
    distortion cannot be compared: then anchors keep their positions along the ladder. Blocks of the flagship
    that the start has not got begin as the identity: a deeper network starts as good as the one it is from.
    A transform of other widths, or of fewer blocks, keeps its linear part alone; its network begins anew.

    Raises:
        ConfigError: the weights do not fit the model; or see `read`.
    """
    weights, training = read(source)
    trained = from_dict(training["config"])
    before, loss = trained.loss, config.loss
    old, new = np.log(before.betas), np.log(loss.betas)
    if before.distortion == loss.distortion:
        nearest = np.abs(new[:, None] - old[None, :]).argmin(1)
        shift = torch.from_numpy((new - old[nearest]) / 2).float()[:, None]
    else:
        nearest, shift = np.rint(np.linspace(0, len(old) - 1, len(new))).astype(np.int64), torch.zeros(1, 1)
    for name in weights:
        if name in _PER_ANCHOR or name.endswith(".table") or name.startswith("hyper_prior."):
            weights[name] = weights[name][nearest]
    for name in _PER_ANCHOR.keys() & weights.keys():
        weights[name] = weights[name] + _PER_ANCHOR[name] * shift
    anew = tuple(f"{name}." for name in ("analysis", "synthesis") if _is_other(name, trained, config))
    own = model.state_dict()
    fresh = {
        name: value
        for name, value in own.items()
        if _BLOCK.match(name) or (name.startswith(anew) and not _LINEAR.match(name))
    }
    kept = {name: value for name, value in weights.items() if not name.startswith(anew) or _LINEAR.match(name)}
    try:
        model.load_state_dict(fresh | kept)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"start {source} does not fit the configured network: {reason}") from error
    return training


def _is_other(transform: str, trained: Config, config: Config) -> bool:
    """Whether a transform's network cannot begin with the weights of the one that was trained."""
    if config.network.name != "cae2026" or trained.network.name != config.network.name:
        return False
    old: TransformConfig = getattr(trained.network, transform)
    new: TransformConfig = getattr(config.network, transform)
    fine = new.fine_width != old.fine_width and (new.fine_blocks or old.fine_blocks)
    fewer = new.fine_blocks < old.fine_blocks or new.coarse_blocks < old.coarse_blocks
    first = new.fine_blocks > 0 and not old.fine_blocks
    return bool(fine or fewer or first or new.coarse_width != old.coarse_width)


def read_bundle(bundle: bundles.Bundle) -> Start:
    """The weights of a bundle, as exported in half precision, and its prior."""
    weights = {}
    for content in bundle.graphs.values():
        for tensor in onnx.load_from_string(content).graph.initializer:
            name = tensor.name.removesuffix(".half")
            if "." in name or name == "deviation":
                weights[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    prefix = "prior." if bundle.architecture == "cae2017" else ""
    with np.load(io.BytesIO(bundle.prior)) as prior:
        weights |= {prefix + name: torch.tensor(values).float() for name, values in prior.items()}
    if "deviation" in weights:
        weights["deviation"] = weights["deviation"].flatten()
    weights["log_gain"] = torch.tensor(bundle.log_gain)
    weights["log_inverse"] = torch.tensor(bundle.log_inverse)
    training = bundle.manifest.get("training")
    if not isinstance(training, dict) or "config" not in training:
        raise ModelError(f"model {bundle.name}: the manifest's training is {training!r}; a record is needed")
    training = copy.deepcopy(training)
    training["config"] = upgraded(training["config"])
    return Start(weights, training)
