"""Functions of the step: learning rate, enabled latent channels, ladder positions, size of the crops."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from caesura.train.config import TrainConfig


def learning_rate_factor(step: int, config: TrainConfig, share: float) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, constant, half a cosine down to zero.

    The warm-up depends on the step, the fall on `share`, 0 to 1, the part of the run that is over when the
    step begins.
    """
    warm = min(1.0, (step + 1) / (config.warmup + 1))
    into = share - (1 - config.decay)
    cool = 0.5 * (1 + math.cos(math.pi * into / config.decay)) if into > 0 else 1.0
    return warm * cool


def channel_masks(step: int, config: TrainConfig, channels: int, device: torch.device) -> tuple[Tensor, ...]:
    """Mask of the latent channels enabled at `step`: one float (channels,) of 0 and 1, or () when all are.

    Incremental training (Theis et al. 2017, section 2.2): one channel after another over `mask_steps` steps.
    """
    if step >= config.mask_steps:
        return ()
    enabled = 1 + step * channels // config.mask_steps
    return ((torch.arange(channels, device=device) < enabled).float(),)


def positions(step: int, config: TrainConfig, anchors: int) -> Tensor:
    """The ladder position of each sample: float32 (batch,), 0 to anchors - 1.

    The range from half an anchor below the ladder to half an anchor above it is divided into as many equal
    parts as there are samples, and each sample gets a random position in its part. Positions beyond the ends
    are clipped, so that the ends are trained as much as the rest.
    """
    random = np.random.default_rng((config.seed, step, 1))
    comb = (np.arange(config.batch) + random.random(config.batch)) / config.batch
    spread = comb * anchors - 0.5
    return torch.from_numpy(spread.clip(0, anchors - 1).astype(np.float32))


def trimmed(pixels: Tensor, step: int, config: TrainConfig, stride: int) -> Tensor:
    """The crops of `step`, float (N, 3, H, W): every fourth step they are 1 to 3 latents smaller.

    Sides of pictures are seldom multiples of a hyperlatent (4 latents) or of a cell of a pass (2 latents).
    Networks trained only on multiples predict the last row and column of other pictures badly.

    Args:
        pixels: the crops.
        step: number of the step.
        config: of the run.
        stride: pixels a latent.
    """
    if step % 4:
        return pixels
    rows, columns = stride * np.random.default_rng((config.seed, step, 4)).integers(1, 4, 2)
    return pixels[..., : max(stride, pixels.shape[2] - rows), : max(stride, pixels.shape[3] - columns)]
