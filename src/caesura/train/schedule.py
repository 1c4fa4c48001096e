"""What changes along a run: learning rate, enabled latent channels, and the rates drawn."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from caesura.train.config import TrainConfig


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, constant, half a cosine down to zero."""
    warm = min(1.0, (step + 1) / (config.warmup + 1))
    falling = round(config.steps * config.decay)
    into = step - (config.steps - falling)
    cool = 0.5 * (1 + math.cos(math.pi * into / falling)) if falling and into > 0 else 1.0
    return warm * cool


def channel_mask(step: int, config: TrainConfig, channels: int) -> Tensor | None:
    """Latent channels enabled at `step`: float (channels,) of 0 and 1, or None once all are.

    The paper's incremental training (section 2.2): one channel after another over `mask_steps` steps.
    """
    if step >= config.mask_steps:
        return None
    enabled = 1 + step * channels // config.mask_steps
    return (torch.arange(channels) < enabled).float()


def rungs(step: int, config: TrainConfig, ladder: int) -> Tensor:
    """Each sample's rung: int64 (batch,), every rung as often as any other within a batch, where they fit."""
    random = np.random.default_rng((config.seed, step, 1))
    return torch.from_numpy((np.arange(config.batch) + random.integers(ladder)) % ladder)
