"""Size of cae2017 files compared with the model's estimate: the loss of the entropy coder.

    python -m benchmarks.coding_loss DIR [--model NAME] [--qualities 14,38,62]

The estimate is the information content of the rounded latent under the mixture at the exact scale vector, in
float64. The real size is that of the whole file. The difference comes from tables that exist for a grid of
qualities and hold 24-bit integers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

import benchmarks
from caesura import codec
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.picture.loading import open_image
from caesura.picture.pixels import pad, padded_side, to_pixels, to_rgb
from caesura.runtime import transform
from caesura.train import start
from caesura.train.cae2017 import priors
from caesura.train.config import from_dict
from caesura.train.forward import bits


def main() -> None:
    """Parse arguments, measure and print a table."""
    parser = benchmarks.parser("coding_loss", __doc__)
    parser.add_argument("folder", type=Path, help="folder of PNG files")
    parser.add_argument("--model", default="cae2017", help="name or folder of a bundle of cae2017")
    parser.add_argument("--qualities", default="14,24,34,44,54,62", help="comma-separated")
    arguments = parser.parse_args()
    bundle = bundles.load(arguments.model)
    if bundle.architecture != "cae2017":
        raise SystemExit(f"model {bundle.name} has architecture {bundle.architecture}; cae2017 is allowed")
    qualities = [float(part) for part in arguments.qualities.split(",")]
    prior = load_prior(bundle)
    table = Table("quality", "real bytes", "estimate", "mean loss", "largest loss without 32 bytes")
    sizes: dict[float, list[tuple[int, float]]] = {quality: [] for quality in qualities}
    for path in track(sorted(arguments.folder.glob("*.png")), "pictures"):
        pixels = to_pixels(open_image(path))
        for quality in qualities:
            real = len(codec.encode(pixels, quality=quality, model=bundle))
            sizes[quality].append((real, estimate(pixels, quality, bundle, prior)))
    for quality, pairs in sizes.items():
        real, estimated = (sum(column) for column in zip(*pairs, strict=True))
        largest = max((one - 32) / other - 1 for one, other in pairs)
        table.add_row(
            f"{quality:g}", f"{real}", f"{estimated:.0f}", f"{real / estimated - 1:+.2%}", f"{largest:+.2%}"
        )
    Console().print(table)


def load_prior(bundle: Bundle) -> priors.Prior:
    """The prior that a bundle's tables were computed from, in float64."""
    weights, training = start.read_bundle(bundle)
    prior = priors.make(from_dict(training["config"]).prior, torch.ones(bundle.channels))
    prior.load_state_dict(
        {name.removeprefix("prior."): value for name, value in weights.items() if name.startswith("prior.")}
    )
    return prior.double()


@torch.no_grad()
def estimate(pixels: NDArray[np.uint8], quality: float, bundle: Bundle, prior: priors.Prior) -> float:
    """The model's estimate of a picture's size in bytes; `pixels` as returned by `to_pixels`."""
    sides = (padded_side(side, bundle.stride, bundle.smallest_side) for side in pixels.shape[:2])
    padded = pad(to_rgb(pixels), *sides)
    conditioning = Conditioning(bundle, ladder.position_of(quality, bundle.quality_scale))
    gain = conditioning.gain[:, 0, 0]
    latent = transform.analyse(padded, conditioning) * conditioning.gain
    symbols = torch.from_numpy(np.rint(latent).clip(SYMBOL_MIN, SYMBOL_MAX)).double()
    log_mass = prior.log_mass(symbols[None], torch.from_numpy(gain).double()[None])
    return float(bits(log_mass)) / 8


if __name__ == "__main__":
    main()
