"""What the tests of caesura.train share: drawn photos, packs, tiny runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from torch import Tensor

from caesura.train import optim
from caesura.train.config import Config, from_dict
from caesura.train.loop import train
from caesura.train.prepare import is_validation, prepare

# Networks this small only lose by threads; and equal weights need equal numbers of threads.
torch.set_num_threads(1)

QUIET = Console(quiet=True)
TINY: dict[str, dict[str, Any]] = {
    "network": {"latent_channels": 8},
    "loss": {"betas": [100.0, 200.0]},
    "train": {
        "steps": 6,
        "batch": 2,
        "crop": 16,
        "warmup": 2,
        "precision": "32-true",
        "checkpoint_every": 3,
        "validation_squares": 2,
    },
}


def photo(height: int, width: int, top: int = 0, left: int = 0) -> NDArray[np.uint8]:
    """uint8 (height, width, 3), a part of a photograph that scikit-image packages."""
    return np.ascontiguousarray(skimage.data.astronaut()[top : top + height, left : left + width])


def position_photo(side: int, number: int = 0) -> NDArray[np.uint8]:
    """uint8 (side, side, 3) whose pixels say where they are: row, column, number of the picture."""
    row, column = np.mgrid[:side, :side]
    return np.stack([row, column, np.full_like(row, number)], axis=2).astype(np.uint8)


def planar(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, 3) to float (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def as_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """What a JPEG file of the picture decodes to."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def noisy(original: Tensor, deviation: float, seed: int = 0) -> Tensor:
    """A picture in [0, 1] with Gaussian noise, still in [0, 1]."""
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(seed))
    return (original + deviation * noise).clamp(0, 1)


def save(path: Path, pixels: NDArray[np.uint8 | np.uint16], **options: Any) -> Path:
    """Write a picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def names(count: int, *, validation: bool = False) -> list[str]:
    """File names of photos that all belong to one split."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        name = f"photo{number}.png"
        number += 1
        if is_validation(name) == validation:
            found.append(name)
    return found


def make_pack(folder: Path, side: int = 32, photos: int = 4) -> Path:
    """A pack of `photos` training photos and a validation photo, cut at native resolution."""
    for index, name in enumerate(names(photos) + names(1, validation=True)):
        save(folder / "photos" / name, photo(2 * side, 2 * side, 40 * index, 60 * index))
    prepare(folder / "photos", folder / "pack", sizes=(side,), side=side)
    return folder / "pack"


def tiny(**sections: dict[str, Any]) -> Config:
    """The configuration of a run of seconds, with settings replaced section by section."""
    return from_dict({name: {**TINY.get(name, {}), **sections.get(name, {})} for name in {*TINY, *sections}})


def run_tiny(config: Config, data: Path, run: Path, *, muon: int = 1, **options: Any) -> Path:
    """Train quietly on the CPU; returns the last checkpoint.

    Args:
        config, data, run, options: as for `train`.
        muon: iterations with which Muon orthogonalises. All that training does by default would take two
            thirds of a run's time; how well they orthogonalise is tested with the optimizers.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optim, "_ITERATIONS", muon)
        return train(config, data, run, accelerator="cpu", **{"console": QUIET, **options})
