"""A rank of a tiny run, which notes the loss of every step and may die on its way; also as a program."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from caesura.train import schedule
from caesura.train.config import Config, TrainConfig, from_dict
from caesura.train.monitor import Figures, Monitor
from train_helpers import run_tiny


def take_part(config: Config, data: Path, run: Path, losses: Path, *, dying: int = -1, muon: int = 1) -> None:
    """Train as the rank that the environment names, or alone, going on where the run was.

    Args:
        config, data, run, muon: as for `run_tiny`.
        losses: a file; each step appends its number, loss, rate and error.
        dying: the step at whose beginning rank 1 is killed, unless torchrun has started it again.
    """
    shown, factor = Monitor.step, schedule.learning_rate_factor

    def step(self: Monitor, number: int, pixels: int, figures: Figures, rate: float) -> None:
        with losses.open("a") as out:
            print(number, *(repr(float(value)) for value in figures), file=out)
        shown(self, number, pixels, figures, rate)

    def die(number: int, settings: TrainConfig, share: float) -> float:
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if first and os.environ.get("RANK") == "1" and number == dying:
            os.kill(os.getpid(), signal.SIGKILL)
        return factor(number, settings, share)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Monitor, "step", step)
        patch.setattr(schedule, "learning_rate_factor", die)
        run_tiny(config, data, run, resume=True, muon=muon)


if __name__ == "__main__":
    settings, *paths, step_of_death = sys.argv[1:]
    take_part(from_dict(json.loads(settings)), *map(Path, paths), dying=int(step_of_death))
