"""The architectures by the name in a configuration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura.train.cae2017.model import Cae2017Model
from caesura.train.cae2026.model import Cae2026Model
from caesura.train.config import Config

RateModel = Cae2017Model | Cae2026Model


def cell(config: Config) -> int:
    """Pixels of which the sides of crops are multiples."""
    return {"cae2017": 8, "cae2026": 64}[config.network.name]


def make(config: Config, squares: NDArray[np.uint8] | None = None) -> RateModel:
    """A new model, started from the KLT of `squares`, uint8 (n, side, side, 3), or random without them."""
    if config.network.name == "cae2026":
        return Cae2026Model(config, squares)
    return Cae2017Model(config, squares)
