"""Refine the symbols of one segment by gradient: effort 9.

Newton's method on rate + distortion over the symbols themselves, a random share of them at a time. The
synthesis' gradient and each channel's curvature give a parabola of the distortion along every latent; its
minimum is rounded with the rate in mind, as any latent is. A step that does not lower the cost, measured on
decoded pixels, is tried again with only those of its changes that lowered the distortion, and undone if that
does not lower it either: the result is never worse than the start. Stochastic Gumbel annealing (Yang, Bamler,
Mandt 2020) gained a fifth as much in as many steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from caesura.coding.rounding import SLOPE

STEPS = 40
_FIRST_SHARE, _LAST_SHARE = 0.2, 0.02  # of the latents; more at once undo each other's changes
_PROBES = 2
_PROBE_STEP = 0.5  # quantization steps
# As a share of high-rate theory's: flatter parabolas are unreliable, and their channels hardly matter.
_LEAST_CURVATURE = 0.5
# In quantization steps. Squared error asks for no more; other distortions do, and then get worse.
_LONGEST_MOVE = 1.0

Float = NDArray[np.float32]


class Quantized(Protocol):
    """The symbols of latents."""

    @property
    def bits(self) -> float:
        """What the symbols cost."""

    @property
    def steps(self) -> Float:
        """Decoded latents in quantization steps, float32 (C, h, w)."""


Q = TypeVar("Q", bound=Quantized)


def refine(
    start: Q,
    quantize: Callable[[Float, Float], Q],
    distortion: Callable[[Float], tuple[float, Float]],
    progress: Callable[[int, int], None],
) -> Q:
    """Symbols that cost less than `start`, rate and distortion together.

    Args:
        start: the symbols to begin with.
        quantize: gives the symbols of latents in quantization steps, with the weight of the rate in rounding
            each; both float32 (C, h, w).
        distortion: gives the distortion of latents in quantization steps, float32 (C, h, w), in bits, and its
            gradient.
        progress: called with the steps done and their number.
    """
    best = start
    spread, gradient = distortion(best.steps)
    cost = best.bits + spread
    curvature = _curvature(best.steps, gradient, distortion)
    strength = 2 * SLOPE / curvature
    random = np.random.default_rng(0)
    for step in range(STEPS):
        share = _FIRST_SHARE * (_LAST_SHARE / _FIRST_SHARE) ** (step / (STEPS - 1))
        chosen = random.random(gradient.shape, np.float32) < share
        move = (gradient / curvature).clip(-_LONGEST_MOVE, _LONGEST_MOVE)
        target, weight = best.steps - chosen * move, chosen * strength
        tried = quantize(target, weight)
        spread, slope = distortion(tried.steps)
        if tried.bits + spread >= cost:
            # What each change did to the distortion, by the mean of the gradients before it and after it.
            gained = (tried.steps - best.steps) * (gradient + slope) < 0
            tried = quantize(np.where(gained, target, best.steps), gained * weight)
            spread, slope = distortion(tried.steps)
        if tried.bits + spread < cost:
            best, gradient, cost = tried, slope, tried.bits + spread
        progress(step + 1, STEPS)
    return best


def _curvature(steps: Float, gradient: Float, distortion: Callable[[Float], tuple[float, Float]]) -> Float:
    """The second derivative along each channel, float32 (C, 1, 1), from random signs (Hutchinson)."""
    random = np.random.default_rng(1)
    total = np.zeros((len(steps), 1, 1), np.float32)
    for _ in range(_PROBES):
        signs = (2 * random.integers(0, 2, steps.shape) - 1).astype(np.float32)
        probe: Float = steps + np.float32(_PROBE_STEP) * signs
        _, moved = distortion(probe)
        total += (signs * (moved - gradient)).mean((1, 2), keepdims=True) / (_PROBE_STEP * _PROBES)
    return np.maximum(total, np.float32(_LEAST_CURVATURE * 2 * SLOPE))
