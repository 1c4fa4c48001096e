"""The training loop.

A step depends on the configuration, the data and its number alone, so that a run killed at any moment and
resumed ends with the weights of an uninterrupted one (same machine, same number of threads). With a time
limit (`pace.py`) the learning rate and the number of steps depend on time as well. Ranks share the batch of
each step, which is the same at any number of ranks up to the rounding of sums.

No step reads a value from the device, which then never waits for the host: figures are read every 20 steps.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import Tensor

from caesura.errors import ConfigError, TrainingError
from caesura.train import architectures, checkpoint, loss, ranks, schedule
from caesura.train import start as starts
from caesura.train.cae2026.networks import STRIDE
from caesura.train.config import Config, TrainConfig, from_dict, upgraded
from caesura.train.crops import crop_batches
from caesura.train.monitor import AnchorFigures, Figures, Monitor, Silence
from caesura.train.optim import MovingAverage, optimizers
from caesura.train.pace import Minutes, Pace, Steps
from caesura.train.pack import Pack, planar, spread
from caesura.train.precision import dtype, resolve
from caesura.train.transfer import to_device

_KLT_SQUARES = 256
_LARGEST_GRADIENT = 1.0  # norm, of the weights of one optimizer; larger ones are scaled down to it


def train(
    config: Config,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    accelerator: str = "auto",
    console: Console | None = None,
    began: float | None = None,
) -> Path:
    """Train a model and return its last checkpoint; under torchrun, as one of its ranks.

    Args:
        config: the run.
        data: a pack made by `caesura data prepare`.
        run: folder for checkpoints and logs.
        resume: continue from the run's last checkpoint if it has one.
        start: a run, checkpoint or bundle to take weights from (`start.read`), with fresh optimizers.
        accelerator: as Lightning Fabric names them: "auto", "cpu", "cuda".
        console: where progress goes; the terminal by default.
        began: start of `train.minutes`, a value of `time.monotonic`; now by default.

    Raises:
        ConfigError: the data or a checkpoint does not fit the configuration, or `run` already holds one and
            `resume` is not set, or the batch is no multiple of the number of ranks.
        TrainingError: another rank was lost or has different weights, or gradients were not finite.
    """
    began = time.monotonic() if began is None else began
    fabric = ranks.start(accelerator, config.train.precision)
    with ranks.together(fabric):
        return _train(config, data, run, fabric, resume=resume, start=start, console=console, began=began)


def _train(
    config: Config,
    data: Path,
    run: Path,
    fabric: Fabric,
    *,
    resume: bool,
    start: Path | None,
    console: Console | None,
    began: float,
) -> Path:
    """The part of a rank in `train`; rank 0 alone reads and writes the folder of the run."""
    settings, shard, first = config.train, ranks.shard(fabric), fabric.is_global_zero
    trims = config.network.name == "cae2026"  # its latents are coded in cells
    last = _last(run, resume=resume) if first else None
    pack = Pack(data)
    _check_shared(settings, pack, data, fabric)
    saved = fabric.broadcast(None if last is None else checkpoint.read_all(last))
    torch.manual_seed(settings.seed)
    model, history = _new_model(config, pack, start if saved is None else None)
    model.shard = shard
    model.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = MovingAverage(model, settings.ema)
    plain_optimizers = optimizers(
        model, settings.learning_rate, dtype(resolve(settings.precision, fabric.device.type))
    )
    _freeze_idle(model, settings)
    forward, *stepping = fabric.setup(model, *plain_optimizers)  # gives all ranks the weights of rank 0

    state: dict[str, Any] = {"step": 0, "pixels": 0, "config": config.as_dict()}
    state |= {"data": pack.sha256, "history": history}
    if saved is not None:
        was = saved["state"]
        _check_same_run(was, state, run)
        state |= {"step": was["step"], "pixels": was["pixels"], "history": was.get("history", [])}
        model.load_state_dict(saved["model"])
        ema.load_state_dict(saved["ema"])
        for number, optimizer in enumerate(plain_optimizers):
            optimizer.load_state_dict(saved[f"optimizer-{number}"])

    cell = architectures.cell(config)
    validation = pack.validation_crops(settings.validation_squares, pack.side // cell * cell)
    pace = _pace(settings, fabric, began, 0.0 if saved is None else saved["state"].get("seconds", 0.0))
    if not pace.begins(state["step"]):
        return _finished(fabric.broadcast(last), run)
    finite = torch.ones((), dtype=torch.bool, device=fabric.device)  # all gradients so far
    batches = crop_batches(pack, settings, first_step=state["step"], device=fabric.device, shard=shard)
    with closing(batches), Monitor(run, state["step"], pace, console) if first else Silence() as monitor:
        for step, crops in enumerate(batches, state["step"]):
            factor = schedule.learning_rate_factor(step, settings, pace.share(step))
            learning_rate = settings.learning_rate * factor
            for optimizer in plain_optimizers:
                optimizer.zero_grad()
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate
            torch.manual_seed(settings.seed << 32 | step)  # the noise of this step
            positions = schedule.positions(step, settings, len(config.loss.betas))
            betas = loss.betas_at(positions, config.loss.betas)
            rates = torch.stack([positions, betas, loss.sample_weights(betas)])[:, shard.rows]
            position, beta, weight = to_device(rates, fabric.device)
            masks = schedule.channel_masks(step, settings, config.network.latent_channels, fabric.device)
            pixels = planar(crops)
            pixels = schedule.trimmed(pixels, step, settings, STRIDE) if trims else pixels
            output = forward(pixels, position, *masks)
            bpp = output.bits / (pixels.shape[2] * pixels.shape[3])
            distortions = loss.distortion(pixels, output.pixels, config.loss.distortion, config.loss.mix)
            total = loss.rate_distortion(bpp, distortions, beta, weight)
            fabric.backward(total)
            for optimizer in stepping:
                norm = fabric.clip_gradients(
                    forward, optimizer, max_norm=_LARGEST_GRADIENT, error_if_nonfinite=False
                )
                assert norm is not None  # clipped by norm
                finite &= torch.isfinite(norm)
                optimizer.step()
            ema.update_parameters(model)
            seen = settings.batch * pixels.shape[2] * pixels.shape[3]
            state |= {"step": step + 1, "pixels": state["pixels"] + seen}
            error = ((pixels - output.pixels.detach()) ** 2).mean()
            figures = ranks.mean(fabric, torch.stack([total.detach(), bpp.detach().mean(), error]))
            monitor.step(step, seen, Figures(*figures), learning_rate)
            turn = pace.turn(step + 1)
            if (turn.validate or turn.save) and not finite:
                raise TrainingError(f"step {step + 1}: gradients were not finite; no checkpoint holds them")
            if turn.validate:
                with pace.timed("validation"):
                    value, ladder, pictures = _validate(ema.module, validation, config, fabric)
                    monitor.validation(step + 1, value, ladder, pictures)
                state["validation"] = [figures_of_anchor._asdict() for figures_of_anchor in ladder]
            if turn.save:
                with pace.timed("checkpoint"):
                    ranks.check_equal(fabric, model, step + 1)
                    if first:
                        state |= pace.state(turn)
                        last = checkpoint.save(run, model, ema, plain_optimizers, state)
            if pace.over(turn):
                break
    return _finished(fabric.broadcast(last), run)


def _pace(settings: TrainConfig, fabric: Fabric, began: float, before: float) -> Pace:
    """The pace of the run, of which `before` seconds were over when it was resumed."""
    if settings.minutes:
        return Minutes(settings, began, before, lambda answer: ranks.agreed(fabric, answer))
    return Steps(settings)


def _finished(last: Path | None, run: Path) -> Path:
    if last is None:
        raise ConfigError(f"run {run}: no step was taken")
    return last


def _new_model(
    config: Config, pack: Pack, start: Path | None
) -> tuple[architectures.RateModel, list[dict[str, Any]]]:
    """The model that a run begins with, and the records of the runs whose weights it continues."""
    model = architectures.make(config, pack.squares[spread(pack.train, _KLT_SQUARES)])
    history = []
    if start is not None:
        record = starts.load(model, start, config)
        history = [*record.pop("history", []), record]
    trained = {
        "joint": ("",),
        "synthesis": ("synthesis.",),
        "scales": ("log_gain", "log_inverse"),
        "detail": ("detail.",),
    }
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(trained[config.train.stage])
    return model, history


def _freeze_idle(model: architectures.RateModel, settings: TrainConfig) -> None:
    """Compute no gradient of the parameters that a joint run does not train; ranks would wait for it.

    Optimizers keep these parameters, which the checkpoints of older runs have as well.
    """
    if settings.stage == "joint":
        for name, parameter in model.named_parameters():
            parameter.requires_grad = not name.startswith("detail.")


def _last(run: Path, *, resume: bool) -> Path | None:
    """The checkpoint to continue from, or None.

    Raises:
        ConfigError: there is one and `resume` is not set.
    """
    last = checkpoint.latest(run)
    if last is not None and not resume:
        raise ConfigError(f"run {run} already holds {last.name}; resume it or name another folder")
    return last


def _check_shared(settings: TrainConfig, pack: Pack, data: Path, fabric: Fabric) -> None:
    """Check that all ranks have the same data and that the batch is a multiple of their number.

    Raises:
        ConfigError: they have not, or it is not.
    """
    count = fabric.world_size
    if settings.batch % count:
        raise ConfigError(f"train.batch is {settings.batch}; {count} ranks need a multiple of {count}")
    if pack.sha256 != fabric.broadcast(pack.sha256):
        raise ConfigError(f"data {data} differs from that of rank 0; all ranks need the same pack")


def _check_same_run(was: dict[str, Any], now: dict[str, Any], run: Path) -> None:
    if was["data"] != now["data"]:
        raise ConfigError(f"data is not what run {run} was started with; resume needs the same pack")
    started = from_dict(upgraded(was["config"])).as_dict()
    for section, settings in now["config"].items():
        for name, value in settings.items():
            before = started[section][name]
            if before != value:
                raise ConfigError(f"{section}.{name} is {value}; run {run} was started with {before}")


@torch.no_grad()
def _validate(
    model: torch.nn.Module, crops: Tensor, config: Config, fabric: Fabric
) -> tuple[float, list[AnchorFigures], Tensor]:
    """The weighted loss, figures per anchor, and pictures at the middle anchor, with rounded latents.

    Each rank computes its share of the crops; the pictures are those of its first four.
    """
    model.eval()
    betas, sums = config.loss.betas, []
    pictures: list[Tensor] = []
    for number, beta in enumerate(betas):
        losses, bpp, psnr = 0.0, 0.0, 0.0
        for sample in crops.tensor_split(fabric.world_size)[fabric.global_rank]:
            pixels = planar(sample[None].to(fabric.device))
            with fabric.autocast():
                output = model(pixels, torch.tensor([float(number)], device=fabric.device))
            rate = output.bits / (pixels.shape[2] * pixels.shape[3])
            distortion = loss.distortion(pixels, output.pixels, config.loss.distortion, config.loss.mix)
            losses += float(beta**-0.5 * (rate + beta * distortion))
            bpp += float(rate)
            error = float(((pixels - torch.round(output.pixels * 255) / 255) ** 2).mean())
            psnr -= 10 * math.log10(max(1e-10, error))
            if number == len(betas) // 2 and len(pictures) < 4:
                pictures.append(torch.cat([pixels, output.pixels], 2).cpu())
        sums.append([losses, bpp, psnr])
    model.train()
    share = len(crops) / fabric.world_size
    means = ranks.mean(fabric, torch.tensor(sums, dtype=torch.float64, device=fabric.device)) / share
    ladder = [AnchorFigures(beta, *row[1:]) for beta, row in zip(betas, means.tolist(), strict=True)]
    value = float(means[:, 0].sum()) / sum(beta**-0.5 for beta in betas)
    return value, ladder, torch.cat(pictures) if pictures else crops[:0]
