"""Trained weights to start from: of a run, a checkpoint, RUN/kept or a bundle."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from caesura.errors import ConfigError, DependencyError, ModelError
from caesura.models.bundle import Bundle
from caesura.models.bundle import load as load_bundle
from caesura.train import checkpoint
from caesura.train.architectures import RateModel
from caesura.train.config import Config, from_dict, upgraded

# The stages of cae2026's transforms beside their linear part, in the order in which data passes them.
_STAGES = (
    ("analysis.enter.", "analysis.fine.", "analysis.down.", "analysis.coarse.", "analysis.leave."),
    ("synthesis.enter.", "synthesis.coarse.", "synthesis.up.", "synthesis.fine.", "synthesis.leave."),
)
_PER_ANCHOR = {"log_gain": 1, "log_inverse": -1, "control.bias": 1}  # with the factor of their shift


class Start(NamedTuple):
    """Weights as `RateModel.load_state_dict` takes them, and the record of the training that made them."""

    weights: dict[str, Tensor]
    training: dict[str, Any]  # steps, pixels, config, validation; history: records of earlier runs


def read(source: Path) -> Start:
    """Read averaged weights.

    Args:
        source: a run's folder (its last checkpoint counts), a checkpoint's, the folder `kept` of a run, a
            bundle's folder, or a bundle's name.

    Returns:
        The weights, in float32 if they are stored in half precision.

    Raises:
        ConfigError: a checkpoint cannot be read.
        ModelError: `source` is neither a checkpoint nor a bundle.
        DependencyError: it is a bundle, and onnx is not installed.
    """
    folder = source if (source / "state.json").is_file() else checkpoint.latest(source)
    if folder is None:
        return read_bundle(load_bundle(source))
    state = checkpoint.read_state(folder)
    averaged = checkpoint.read(folder / "ema.pt")
    weights = {
        name.removeprefix("module."): value.float() if value.dtype == torch.float16 else value
        for name, value in averaged.items()
        if name != "n_averaged"
    }
    kept = ("pixels", "config", "validation", "history")
    record = {"steps": state["step"]} | {name: state[name] for name in kept if name in state}
    record["config"] = upgraded(record["config"])
    return Start(weights, record)


def load(model: RateModel, source: Path, config: Config) -> dict[str, Any]:
    """Load weights into a model of `config`, whose ladder and transforms may differ; returns their record.

    An anchor starts from the old anchor with the nearest beta. Scale vectors, and the table indices that
    depend on them, are moved according to high-rate theory: quantization steps scale with 1 / sqrt(beta).
    Blocks of cae2026 that the source does not have begin as the identity, so that a deeper network starts as
    good as its source. A transform of another shape keeps its linear part and the stages of its network
    before the first that does not fit; the others begin anew.

    Raises:
        ConfigError: the weights do not fit the model; or see `read`.
    """
    weights, training = read(source)
    old, new = np.log(from_dict(training["config"]).loss.betas), np.log(config.loss.betas)
    nearest = np.abs(new[:, None] - old[None, :]).argmin(1)
    shift = torch.from_numpy((new - old[nearest]) / 2).float()[:, None]
    for name in weights:
        if name in _PER_ANCHOR or name.endswith(".table") or name.startswith("hyper_prior."):
            weights[name] = weights[name][nearest]
    for name in _PER_ANCHOR.keys() & weights.keys():
        weights[name] = weights[name] + _PER_ANCHOR[name] * shift
    own = model.state_dict()
    fresh: dict[str, Tensor] = {}
    for stages in _STAGES:
        weights = _fitting(weights, own, stages)
        fresh |= {name: value for name, value in own.items() if name.startswith(stages)}
    try:
        model.load_state_dict(fresh | weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"start {source} does not fit the configured network: {reason}") from error
    return training


def _fitting(
    weights: dict[str, Tensor], own: dict[str, Tensor], stages: tuple[str, ...]
) -> dict[str, Tensor]:
    """The weights without those of a transform's first stage that does not fit and of all stages after it.

    Stages after one that begins anew have to begin anew too: the last one then starts at zero.
    """
    for number, stage in enumerate(stages):
        old = {name: value.shape for name, value in weights.items() if name.startswith(stage)}
        new = {name: value.shape for name, value in own.items() if name.startswith(stage)}
        if bool(old) != bool(new) or not old.items() <= new.items():
            return {name: value for name, value in weights.items() if not name.startswith(stages[number:])}
    return weights


def read_bundle(bundle: Bundle) -> Start:
    """The weights of a bundle, as exported in half precision, and its prior.

    Raises:
        ModelError: the manifest of the bundle has no record of its training.
        DependencyError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise DependencyError(
            f"model {bundle.name} is a bundle, whose weights are read with onnx, which is not installed; "
            "pip install 'caesura[train]', or start from a run or from what it kept"
        ) from error
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
