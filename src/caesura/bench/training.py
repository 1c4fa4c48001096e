"""Training throughput: the data pipeline, the network, and the machine's convolution peak.

    python -m caesura.bench.training

Photographs are scikit-image's, packed to a temporary folder; ratios of figures in one run are what counts.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn

from caesura.bench.speed import median
from caesura.train import config as configs
from caesura.train import loss
from caesura.train.cae2017.model import PaperModel
from caesura.train.crops import Pack, crop_batches, planar
from caesura.train.optim import optimizers
from caesura.train.prepare import prepare

_KMAC_PER_PIXEL = 156.5  # analysis and synthesis; a test counts them
_FLOP_PER_MAC = 6  # forward, and twice as much backward
_STEPS = 24


def main() -> None:
    """Measure and print a table."""
    from skimage import data

    config = configs.load(Path(configs.__file__).with_name("cae2017.toml"))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for number, pixels in enumerate([data.astronaut(), data.coffee(), data.chelsea()] * 8):
            Image.fromarray(pixels).save(photos / f"{number}.png")  # some names fall to each split
        prepare(photos, Path(folder) / "pack", sizes=(256,), side=256)
        pack = Pack(Path(folder) / "pack")
        pipeline = _pipeline(config, pack)
        step, network = _training(config, pack)
    peak = _peak()
    table = Table("figure", "value", title=f"training cae2017 on {torch.get_num_threads()} threads")
    table.add_row("data pipeline", f"{pipeline / 1e6:.1f} MP/s")
    table.add_row("whole step", f"{step / 1e6:.3f} MP/s")
    table.add_row("network alone", f"{network / 1e6:.3f} MP/s")
    table.add_row("pipeline / network", f"{pipeline / network:.0f} x")
    table.add_row("convolution peak (128 channels, 3x3, bf16)", f"{peak / 1e9:.0f} GFLOP/s")
    for name, rate in (("whole step", step), ("network alone", network)):
        flops = rate * _KMAC_PER_PIXEL * 1e3 * _FLOP_PER_MAC
        table.add_row(f"share of the peak, {name}", f"{flops / peak:.0%}")
    Console().print(table)


def _pipeline(config: configs.Config, pack: Pack) -> float:
    """Pixels per second of the crops alone."""
    settings = dataclasses.replace(config.train, steps=200)
    started = time.perf_counter()
    pixels = sum(
        b.numel() // 3 for b in crop_batches(pack, settings, first_step=0, device=torch.device("cpu"))
    )
    return pixels / (time.perf_counter() - started)


def _training(config: configs.Config, pack: Pack) -> tuple[float, float]:
    """Pixels per second of whole steps, data and optimizers included, and of forward and backward alone."""
    model = PaperModel(config, pack.squares[pack.train[:64]])
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steppers = optimizers(model, 1e-4)
    settings = dataclasses.replace(config.train, steps=_STEPS + 4)
    betas = torch.tensor(config.loss.betas)
    rungs = (torch.arange(settings.batch) % len(betas)).float()
    whole, network = [], []
    started = time.perf_counter()
    for crops in crop_batches(pack, settings, first_step=0, device=torch.device("cpu")):
        pixels = planar(crops)
        before = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            output = model(pixels, rungs)
        distortions = loss.distortion(pixels, output.pixels, "mse")
        loss.rate_distortion(output.bits / settings.crop**2, distortions, betas[rungs.long()]).backward()  # type: ignore[no-untyped-call]
        network.append(time.perf_counter() - before)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        whole.append(time.perf_counter() - started)
        started = time.perf_counter()
    pixels_per_step = settings.batch * settings.crop**2
    return pixels_per_step / float(np.median(whole[4:])), pixels_per_step / float(np.median(network[4:]))


@torch.no_grad()
def _peak() -> float:
    """Floating-point operations per second of the network's main convolution, bf16 and channels-last."""
    conv = nn.Conv2d(128, 128, 3, padding=1).bfloat16()
    conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.rand(8, 128, 64, 64).bfloat16().to(memory_format=torch.channels_last)
    conv(x)
    return 2 * 128 * 128 * 9 * x.numel() / 128 / median(lambda: conv(x), 25)


if __name__ == "__main__":
    main()
