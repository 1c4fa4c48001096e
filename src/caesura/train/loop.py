"""The training loop: `train`, from the first step to the last.

A step depends on the configuration, the data and its number alone, so that a run killed at any moment and
resumed ends with the weights of an uninterrupted one (same machine, same number of threads).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from caesura.errors import ConfigError
from caesura.train import checkpoint, loss, models, schedule
from caesura.train import start as starts
from caesura.train.config import Config
from caesura.train.crops import Pack, crop_batches, planar, spread
from caesura.train.monitor import Monitor, RungFigures
from caesura.train.optim import optimizers

_KLT_SQUARES = 256


def train(
    config: Config,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    accelerator: str = "auto",
    console: Console | None = None,
) -> Path:
    """Train a model and return its last checkpoint.

    Args:
        config: the run.
        data: a pack made by `caesura data prepare`.
        run: folder for checkpoints and logs.
        resume: go on from the run's last checkpoint if it has one.
        start: a run, checkpoint or bundle to take weights from (`start.read`), with fresh optimizers.
        accelerator: as Lightning Fabric names them: "auto", "cpu", "cuda".
        console: where progress goes; the terminal by default.

    Raises:
        ConfigError: the data or a checkpoint does not fit the configuration, or `run` already holds one and
            `resume` is not set.
    """
    last = checkpoint.latest(run)
    if last is not None and not resume:
        raise ConfigError(f"run {run} already holds {last.name}; resume it or name another folder")
    settings, pack = config.train, Pack(data)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=settings.precision)
    torch.manual_seed(settings.seed)
    model, history = _new_model(config, pack, start if last is None else None)
    model.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = AveragedModel(model, multi_avg_fn=_ema(settings.ema), use_buffers=False)
    plain_optimizers = optimizers(model, settings.learning_rate)
    forward, *stepping = fabric.setup(model, *plain_optimizers)

    state: dict[str, Any] = {"step": 0, "pixels": 0, "config": config.as_dict()}
    state |= {"data": pack.manifest["sha256"], "history": history}
    if last is not None:
        was = checkpoint.read_state(last)
        _check_same_run(was, state, run)
        state |= {"step": was["step"], "pixels": was["pixels"], "history": was.get("history", [])}
        model.load_state_dict(checkpoint.read(last / "model.pt"))
        ema.load_state_dict(checkpoint.read(last / "ema.pt"))
        for number, optimizer in enumerate(plain_optimizers):
            optimizer.load_state_dict(checkpoint.read(last / f"optimizer-{number}.pt"))

    cell = models.cell(config)
    validation = pack.validation_crops(settings.validation_squares, pack.side // cell * cell)
    batches = crop_batches(pack, settings, first_step=state["step"], device=fabric.device)
    with Monitor(run, state["step"], settings.steps, console) as monitor:
        for step, crops in enumerate(batches, state["step"]):
            learning_rate = settings.learning_rate * schedule.learning_rate_factor(step, settings)
            for optimizer in plain_optimizers:
                optimizer.zero_grad()
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate
            torch.manual_seed(settings.seed << 32 | step)  # the noise of this step
            place = schedule.places(step, settings, len(config.loss.betas)).to(fabric.device)
            masks = schedule.channel_masks(step, settings, config.network.latent_channels, fabric.device)
            pixels = planar(crops)
            output = forward(pixels, place, *masks)
            bpp = output.bits / settings.crop**2
            distortions = loss.distortion(pixels, output.pixels, config.loss.distortion)
            total = loss.rate_distortion(bpp, distortions, loss.betas_at(place, config.loss.betas))
            fabric.backward(total)
            for optimizer in stepping:
                fabric.clip_gradients(forward, optimizer, max_norm=settings.clip)
                optimizer.step()
            ema.update_parameters(model)
            seen = settings.batch * settings.crop**2
            state |= {"step": step + 1, "pixels": state["pixels"] + seen}
            error = ((pixels - output.pixels.detach()) ** 2).mean()
            figures = {"loss": total.detach(), "bpp": bpp.detach().mean(), "psnr": -10 * torch.log10(error)}
            monitor.step(step, seen, figures, learning_rate)
            at_end = step + 1 == settings.steps
            if (step + 1) % settings.validate_every == 0 or at_end:
                value, ladder, pictures = _validate(ema.module, validation, config, fabric)
                monitor.validation(step + 1, value, ladder, pictures)
                state["validation"] = [rung_figures._asdict() for rung_figures in ladder]
            if (step + 1) % settings.checkpoint_every == 0 or at_end:
                last = checkpoint.save(run, model, ema, plain_optimizers, state)
    if last is None:
        raise ConfigError(f"run {run}: no step was taken")
    return last


def _new_model(
    config: Config, pack: Pack, start: Path | None
) -> tuple[models.RateModel, list[dict[str, Any]]]:
    """The model a run begins with, and the records of the runs it comes from."""
    model = models.make(config, pack.squares[spread(pack.train, _KLT_SQUARES)])
    history = []
    if start is not None:
        record = starts.load(model, start, config.loss)
        history = [*record.pop("history", []), record]
    trained = {"joint": ("",), "scales": ("log_gain", "log_inverse"), "detail": ("detail.",)}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(trained[config.train.stage])
    return model, history


def _check_same_run(was: dict[str, Any], now: dict[str, Any], run: Path) -> None:
    if was["data"] != now["data"]:
        raise ConfigError(f"data is not what run {run} was started with; resume needs the same pack")
    for section, settings in now["config"].items():
        for name, value in settings.items():
            before = was["config"][section].get(name)
            if before != (list(value) if isinstance(value, tuple) else value):
                raise ConfigError(f"{section}.{name} is {value}; run {run} was started with {before}")


def _ema(decay: float) -> Any:
    """Exponential moving average whose decay ramps up, so that early averages forget the start."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        ramped = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averaged, current, 1 - ramped)

    return update


@torch.no_grad()
def _validate(
    model: torch.nn.Module, crops: Tensor, config: Config, fabric: Fabric
) -> tuple[float, list[RungFigures], Tensor]:
    """Rounded latents, every rung: the weighted loss, figures per rung, and pictures of the middle one."""
    model.eval()
    ladder: list[RungFigures] = []
    losses: list[float] = []
    pictures: list[Tensor] = []
    for number, beta in enumerate(config.loss.betas):
        bpp, psnr = [], []
        for sample in crops:
            pixels = planar(sample[None].to(fabric.device))
            with fabric.autocast():
                output = model(pixels, torch.tensor([float(number)], device=fabric.device))
            rate = output.bits / (pixels.shape[2] * pixels.shape[3])
            distortion = loss.distortion(pixels, output.pixels, config.loss.distortion)
            losses.append(float(beta**-0.5 * (rate + beta * distortion)))
            bpp.append(float(rate))
            error = float(((pixels - torch.round(output.pixels * 255) / 255) ** 2).mean())
            psnr.append(-10 * math.log10(max(1e-10, error)))
            if number == len(config.loss.betas) // 2 and len(pictures) < 4:
                pictures.append(torch.cat([pixels, output.pixels], 2).cpu())
        ladder.append(RungFigures(beta, sum(bpp) / len(bpp), sum(psnr) / len(psnr)))
    model.train()
    weights = sum(beta**-0.5 for beta in config.loss.betas)
    return sum(losses) / len(crops) / weights, ladder, torch.cat(pictures)
