"""Display of a run: a progress bar, one line per validation, TensorBoard logs where it is installed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rich.console import Console
from torch import Tensor

from caesura.progress import bar
from caesura.train.pace import Pace


class Figures(NamedTuple):
    """Means over a step's batch."""

    loss: Tensor
    bpp: Tensor
    error: Tensor  # squared, of pixels in [0, 1]


class AnchorFigures(NamedTuple):
    """Validation result at one anchor of the ladder."""

    beta: float
    bpp: float
    psnr: float


class Monitor:
    """Context manager around the steps of a run; `step` is called after each step."""

    def __init__(self, run: Path, first_step: int, pace: Pace, console: Console | None = None) -> None:
        self._pace = pace
        after = "step {task.fields[step]}", "{task.fields[figures]}"
        self._progress = bar("[bold]train", *after, console=console or Console(), transient=False)
        done, total = pace.progress(first_step)
        self._task = self._progress.add_task(
            "train", total=total, completed=done, step=first_step, figures=""
        )
        self._writer = self._curves(run / "tensorboard", first_step)
        self._clock = time.perf_counter()
        self._pixels = 0

    def __enter__(self) -> Monitor:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._writer is not None:
            self._writer.close()

    def step(self, step: int, pixels: int, figures: Figures, learning_rate: float) -> None:
        """Count one step; every 20th is shown and logged (reading the figures waits for the device)."""
        self._pixels += pixels
        self._progress.update(self._task, completed=self._pace.progress(step + 1)[0], step=step + 1)
        if (step + 1) % 20:
            return
        values = {"loss": float(figures.loss), "bpp": float(figures.bpp)}
        values["psnr"] = -10 * math.log10(max(1e-10, float(figures.error)))
        now = time.perf_counter()
        values["megapixels per second"] = self._pixels / 1e6 / (now - self._clock)
        self._clock, self._pixels = now, 0
        text = (
            f"loss {values['loss']:.3f}  {values['bpp']:.3f} bpp  {values['psnr']:.2f} dB  "
            f"{values['megapixels per second']:.2f} MP/s"
        )
        self._progress.update(self._task, figures=text)
        for name, value in (values | {"learning rate": learning_rate}).items():
            self._scalar(f"train/{name}", value, step + 1)

    def validation(self, step: int, loss: float, ladder: Sequence[AnchorFigures], pictures: Tensor) -> None:
        """Show and log a validation; `pictures` is float (N, 3, H, W), originals above reconstructions."""
        points = "  ".join(f"{anchor.bpp:.3f}/{anchor.psnr:.2f}" for anchor in ladder)
        self._progress.console.print(f"step {step}: validation loss {loss:.4f}  bpp/dB {points}")
        self._scalar("validation/loss", loss, step)
        for number, anchor in enumerate(ladder):
            self._scalar(f"validation/bpp/{number}", anchor.bpp, step)
            self._scalar(f"validation/psnr/{number}", anchor.psnr, step)
        if self._writer is not None:
            self._writer.add_images("validation/pictures", pictures, step)
        self._clock, self._pixels = time.perf_counter(), 0

    def _scalar(self, name: str, value: float, step: int) -> None:
        if self._writer is not None:
            self._writer.add_scalar(name, value, step)

    def _curves(self, folder: Path, first_step: int) -> Any:
        """A TensorBoard writer, or None where TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._progress.console.print("TensorBoard is not installed; the run has no curves")
            return None
        return SummaryWriter(folder, purge_step=first_step or None)


class Silence:
    """In place of `Monitor` on all ranks but the first; does nothing."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def step(self, step: int, pixels: int, figures: Figures, learning_rate: float) -> None:
        """As `Monitor.step`."""

    def validation(self, step: int, loss: float, ladder: Sequence[AnchorFigures], pictures: Tensor) -> None:
        """As `Monitor.validation`."""
