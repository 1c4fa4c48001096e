"""What changes along a run: learning rate, enabled latent channels, and the rates drawn."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from caesura.train.config import TrainConfig


def learning_rate_factor(step: int, config: TrainConfig, share: float) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, constant, half a cosine down to zero.

    Warm-up goes by steps, the fall by `share`, 0 to 1: how much of the run is over when the step begins.
    """
    warm = min(1.0, (step + 1) / (config.warmup + 1))
    into = share - (1 - config.decay)
    cool = 0.5 * (1 + math.cos(math.pi * into / config.decay)) if into > 0 else 1.0
    return warm * cool


def channel_masks(step: int, config: TrainConfig, channels: int, device: torch.device) -> tuple[Tensor, ...]:
    """Latent channels enabled at `step`: one float (channels,) of 0 and 1, or nothing once all are.

    The paper's incremental training (section 2.2): one channel after another over `mask_steps` steps.
    """
    if step >= config.mask_steps:
        return ()
    enabled = 1 + step * channels // config.mask_steps
    return ((torch.arange(channels, device=device) < enabled).float(),)


def places(step: int, config: TrainConfig, anchors: int) -> Tensor:
    """Each sample's place on the ladder: float32 (batch,), 0 to anchors - 1, evenly spread within a batch.

    A batch is a comb of places, moved at random; it reaches half an anchor beyond both ends and is clipped,
    so that the ends are trained as much as what lies between.
    """
    random = np.random.default_rng((config.seed, step, 1))
    comb = (np.arange(config.batch) + random.random(config.batch)) / config.batch
    spread = comb * anchors - 0.5
    return torch.from_numpy(spread.clip(0, anchors - 1).astype(np.float32))


def trimmed(pixels: Tensor, step: int, config: TrainConfig, stride: int) -> Tensor:
    """The crops of `step`, float (N, 3, H, W): every fourth time 1 to 3 latents of `stride` pixels smaller.

    Pictures have sides that no hyperlatent's 4 latents and no 2 latents of a pass divide. Networks that never
    met such sides in training predict the last row and column badly.
    """
    if step % 4:
        return pixels
    rows, columns = stride * np.random.default_rng((config.seed, step, 4)).integers(1, 4, 2)
    return pixels[..., : max(stride, pixels.shape[2] - rows), : max(stride, pixels.shape[3] - columns)]
