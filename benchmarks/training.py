"""Training throughput: pixels per second, wait for data, and share of the machine's peak in convolutions.

    python -m benchmarks.training [CONFIG...] [--steps 24]

CONFIG is a TOML file or the name of a shipped one; the default is photo-psnr and cae2017. Photographs of
scikit-image are packed to a temporary folder. Compare figures of one run only.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from caesura.bench.speed import median
from caesura.train import architectures, loss, schedule
from caesura.train import config as configs
from caesura.train.crops import crop_batches
from caesura.train.optim import optimizers
from caesura.train.pack import Pack, planar
from caesura.train.precision import dtype, resolve
from caesura.train.prepare import prepare

_WARM_UP = 4
_SHIPPED = Path(configs.__file__).parent


class Figures(NamedTuple):
    """Figures of one configuration; rates are in pixels per second."""

    pipeline: float
    step: float  # data and optimizers included
    network: float  # forward and backward alone
    wait: float  # share of a step's time spent waiting for crops
    work: float  # floating-point operations per pixel, forward and backward; a multiply-accumulate is two


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[CONFIG]...")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Number of timed steps.")] = 24,
) -> None:
    """Measure training throughput and print a table."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    peak = convolution_peak(device)
    names = names or ["photo-psnr", "cae2017"]
    with tempfile.TemporaryDirectory() as folder:
        pack = _pack(Path(folder))
        found = [measure(read(name), pack, device, steps) for name in names]
    table = Table("figure", *names, title=f"training on {where}")
    for title, show in (
        ("whole step", lambda f: f"{f.step / 1e6:.3f} MP/s"),
        ("network alone", lambda f: f"{f.network / 1e6:.3f} MP/s"),
        ("wait for data, of a step", lambda f: f"{f.wait:.2%}"),
        (
            "data pipeline alone",
            lambda f: f"{f.pipeline / 1e6:.1f} MP/s, {f.pipeline / f.network:.0f} x the network",
        ),
        ("work of the network", lambda f: f"{f.work / 2e3:.1f} kMAC/pixel, backward included"),
        ("share of the peak, whole step", lambda f: f"{f.step * f.work / peak:.0%}"),
        ("share of the peak, network alone", lambda f: f"{f.network * f.work / peak:.0%}"),
    ):
        table.add_row(title, *map(show, found))
    console = Console()
    console.print(table)
    precision = str(_fastest(device)).removeprefix("torch.")
    console.print(f"peak: {peak / 1e9:.0f} GFLOP/s in convolutions of 128 channels, 3x3, {precision}")


def read(name: str) -> configs.Config:
    """The configuration of this name, or of this TOML file."""
    shipped = _SHIPPED / f"{name}.toml"
    return configs.load(shipped if shipped.is_file() else Path(name))


def measure(config: configs.Config, pack: Pack, device: torch.device, steps: int) -> Figures:
    """The figures of a configuration over `steps` steps, after a few untimed ones."""
    settings = dataclasses.replace(config.train, steps=steps + _WARM_UP)
    model = architectures.make(config, pack.squares[pack.train[:64]])
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steppers = optimizers(model, 1e-4, dtype(resolve(settings.precision, device.type)))
    whole, network, waits, work = [], [], [], 0
    batches = crop_batches(pack, settings, first_step=0, device=device)
    started = time.perf_counter()
    for step, crops in enumerate(batches):
        here = time.perf_counter()
        position = schedule.positions(step, settings, len(config.loss.betas)).to(device)
        with FlopCounterMode(display=False) if step == 0 else torch.enable_grad() as counter:
            _forward_and_backward(model, planar(crops), position, config)
        if isinstance(counter, FlopCounterMode):
            work = counter.get_total_flops()
        _wait(device)
        trained = time.perf_counter()
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        _wait(device)
        ended = time.perf_counter()
        whole.append(ended - started)
        network.append(trained - here)
        waits.append(here - started)
        started = ended
    pixels = settings.batch * settings.crop**2
    return Figures(
        _pipeline(config.train, pack, device),
        pixels / float(np.median(whole[_WARM_UP:])),
        pixels / float(np.median(network[_WARM_UP:])),
        sum(waits[_WARM_UP:]) / sum(whole[_WARM_UP:]),
        work / pixels,
    )


def _forward_and_backward(
    model: architectures.RateModel, pixels: torch.Tensor, position: torch.Tensor, config: configs.Config
) -> None:
    precision = resolve(config.train.precision, pixels.device.type)
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
        output = model(pixels, position)
    distortions = loss.distortion(pixels, output.pixels, config.loss.distortion, config.loss.mix)
    bpp = output.bits / config.train.crop**2
    loss.rate_distortion(bpp, distortions, loss.betas_at(position, config.loss.betas)).backward()  # type: ignore[no-untyped-call]


def _pipeline(settings: configs.TrainConfig, pack: Pack, device: torch.device) -> float:
    """Pixels per second of the data pipeline alone."""
    settings = dataclasses.replace(settings, steps=100)
    started = time.perf_counter()
    pixels = sum(b.numel() // 3 for b in crop_batches(pack, settings, first_step=0, device=device))
    _wait(device)
    return pixels / (time.perf_counter() - started)


@torch.no_grad()
def convolution_peak(device: torch.device) -> float:
    """Floating-point operations per second of a large convolution, channels last."""
    conv = nn.Conv2d(128, 128, 3, padding=1, device=device, dtype=_fastest(device))
    conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = 64 if device.type == "cuda" else 8
    x = torch.rand(batch, 128, 64, 64, device=device, dtype=_fastest(device))
    x = x.to(memory_format=torch.channels_last)

    def call() -> None:
        conv(x)
        _wait(device)

    call()
    return 2 * 128 * 128 * 9 * x.numel() / 128 / median(call, 25)


def _fastest(device: torch.device) -> torch.dtype:
    return dtype(resolve("auto", device.type))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _pack(folder: Path) -> Pack:
    from skimage import data

    (folder / "photos").mkdir()
    for number, pixels in enumerate([data.astronaut(), data.coffee(), data.chelsea()] * 8):
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")  # names fall into both splits
    prepare(folder / "photos", folder / "pack", sizes=(256,), side=256)
    return Pack(folder / "pack")


if __name__ == "__main__":
    typer.run(main)
