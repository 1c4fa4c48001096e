"""Refine the latents of one picture by gradient descent through decoder and rate: the encoder's last effort.

Stochastic Gumbel annealing (Yang, Bamler, Mandt 2020, section 3.2): each value is quantized to the integer
below or above at random, with probabilities that sharpen as a temperature falls, and the gradient passes
through the draw.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.model import Bundle
from caesura.train import models, start
from caesura.train.cae2026.control import clip_index
from caesura.train.cae2026.model import FlagshipModel
from caesura.train.config import from_dict
from caesura.train.output import bits

STEPS = 100
_LEARNING_RATE = 0.005
_EPSILON = 0.01
_HOTTEST, _COLDEST = 0.05, 0.02  # warmer, draws are so noisy that short runs end worse than they began

Float = NDArray[np.float32]


def refine(
    rgb: NDArray[np.uint8],
    target: Float,
    hyperlatent: Float,
    mix: Float,
    beta: float,
    bundle: Bundle,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Float, Float]:
    """Latents that decode to the picture for less rate + beta * distortion.

    Args:
        rgb: uint8 (16h, 16w, 3).
        target: float32 (C, h, w), scaled latents to start from; h and w multiples of 4.
        hyperlatent: float32 (D, h / 4, w / 4).
        mix: float32 (anchors,), the rate.
        beta: of the loss, see `train.loss`.
        bundle: the model, with the weights as exported.
        progress: called with the steps done and their number.

    Returns:
        Both refined, not rounded.
    """
    model = _model(bundle)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    weights = torch.from_numpy(mix)[None]
    leaves = [torch.from_numpy(start_)[None].clone().requires_grad_() for start_ in (target, hyperlatent)]
    # In bits of the whole picture; the epsilon keeps latents that hardly matter where they are.
    optimizer = torch.optim.Adam(leaves, lr=_LEARNING_RATE, eps=_EPSILON)
    random = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        temperature = _HOTTEST * (_COLDEST / _HOTTEST) ** (step / (STEPS - 1))

        def draw(value: Tensor, temperature: float = temperature) -> Tensor:
            return _gumbel_round(value, temperature, random)

        coded = model.code(leaves[0], leaves[1], weights, draw)
        mass = model.shape.log_mass(coded.symbols, clip_index(coded.indices))
        error = ((model.synthesis(coded.latent, weights) - pixels) ** 2).mean()
        rate = (bits(mass) + bits(coded.hyper_mass)).sum()
        optimizer.zero_grad()
        (rate + beta * error * pixels[0, 0].numel()).backward()
        optimizer.step()
        progress(step + 1, STEPS)
    refined, hyper = (leaf.detach()[0].numpy() for leaf in leaves)
    return refined, hyper


def _gumbel_round(value: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    """Between floor and ceiling: a relaxed draw whose odds grow with nearness as the temperature falls."""
    low = torch.floor(value.detach())
    share = (value - low).clamp(1e-4, 1 - 1e-4)
    logits = torch.stack([-torch.atanh(share), -torch.atanh(1 - share)], -1) / temperature
    uniform = torch.rand(logits.shape, generator=random).clamp(1e-9, 1 - 1e-7)
    weights = torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, -1)
    return low + weights[..., 1]


@lru_cache(maxsize=2)
def _model(bundle: Bundle) -> FlagshipModel:
    weights, training = start.read_bundle(bundle)
    model = models.make(from_dict(training["config"]))
    assert isinstance(model, FlagshipModel)  # the caller's architecture
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)
