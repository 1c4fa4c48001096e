"""What the tests of training cae2026 share: a tiny configuration, squares to start from, weights stirred."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caesura.train.cae2026.model import Cae2026Model
from caesura.train.config import Config
from train_helpers import tiny

CHANNELS, HYPERLATENTS = 16, 4
# Ends of the shipped ladder, so that qualities 1 to 72 are ladder positions 1 to 72.
BETAS = [6.0, 268.0, 12000.0]
ANCHORS = len(BETAS)
SIDE = 64
_TRANSFORM = {"fine_width": 8, "fine_blocks": 1, "coarse_width": 12, "coarse_blocks": 1}
_SECTIONS: dict[str, dict[str, Any]] = {
    "network": {
        "name": "cae2026",
        "latent_channels": CHANNELS,
        "hyperlatent_channels": HYPERLATENTS,
        "prior_width": 8,
        "analysis": _TRANSFORM,
        "synthesis": _TRANSFORM,
    },
    "loss": {"betas": BETAS},
    "train": {"crop": SIDE, "steps": 4, "checkpoint_every": 2},
}


def transform(**settings: int) -> dict[str, int]:
    """The settings of a tiny transform, with some replaced."""
    return _TRANSFORM | settings


def config(**sections: dict[str, Any]) -> Config:
    """The configuration of a run of cae2026 of seconds, with settings replaced section by section."""
    names = {*_SECTIONS, *sections}
    return tiny(**{name: {**_SECTIONS.get(name, {}), **sections.get(name, {})} for name in names})


@lru_cache(maxsize=1)
def squares() -> NDArray[np.uint8]:
    """uint8 (64, 64, 64, 3), a photograph cut up."""
    cut = skimage.data.astronaut().reshape(8, SIDE, 8, SIDE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cut.reshape(-1, SIDE, SIDE, 3))


@lru_cache(maxsize=1)
def _started() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return Cae2026Model(config(), squares()).state_dict()


def fresh(**sections: dict[str, Any]) -> Cae2026Model:
    """A model as training starts it from the squares; the sections change neither network nor ladder."""
    model = Cae2026Model(config(**sections))
    model.load_state_dict(_started())
    return model


def stir(module: nn.Module, deviation: float = 0.02) -> None:
    """Add noise to every parameter, so that nothing is zero any more."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=deviation)


def stirred(**sections: dict[str, Any]) -> Cae2026Model:
    """A model as training starts it, stirred."""
    model = fresh(**sections)
    stir(model)
    return model


def batch(count: int = 8) -> Tensor:
    """float (count, 3, SIDE, SIDE) in [0, 1], squares from the middle of the photograph."""
    return torch.from_numpy(squares()[20 : 20 + count]).permute(0, 3, 1, 2).float() / 255
