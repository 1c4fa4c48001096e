"""The model that a configuration names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura.train.cae2017.model import PaperModel
from caesura.train.cae2026.model import FlagshipModel
from caesura.train.config import Config

RateModel = PaperModel | FlagshipModel


def cell(config: Config) -> int:
    """Crops have sides that are multiples of it."""
    return {"cae2017": 8, "cae2026": 64}[config.network.name]


def make(config: Config, squares: NDArray[np.uint8] | None = None) -> RateModel:
    """A new model, started from `squares`, uint8 (n, side, side, 3), where it can be."""
    if config.network.name == "cae2026":
        return FlagshipModel(config, squares)
    return PaperModel(config, squares)
