"""What a picture will cost along a model's ladder, by its latents alone: where a search for a target begins.

Bits grow with how many scaled latents leave zero and how far; the error of the pixels with what rounding
takes from them; what is lost in similarity with that error where there is little contrast to hide it. That
is nearer than the average of all photographs. Nothing is promised: the search measures (`target.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.container import QUALITY_MAX, QUALITY_MIN
from caesura.model import Bundle
from caesura.rate import interpolate
from caesura.target import Target

# Fitted to crops of 69 training photographs coded with `fast`: the log of bits and of the mean squared error
# a pixel are a slope times the log of what is counted below, and an offset by place on the model's scale.
_BITS_SLOPE = 1.3
_BITS = [(1.0, 0.74), (15.0, 0.74), (30.0, 0.68), (45.0, 0.54), (60.0, 0.37), (72.0, 0.26)]
_ERROR_SLOPE = 0.88
_ERROR = [(1.0, 7.93), (15.0, 7.6), (30.0, 7.26), (45.0, 7.0), (60.0, 6.93), (72.0, 7.12)]
# The same of 48 photographs, for the log of 1 - MS-SSIM: the error's size in pixels, slope, offsets.
_LOST = 16.0
_LOSS_SLOPE = 0.869
_LOSS = [(1.0, -0.241), (15.0, -0.712), (30.0, -1.233), (45.0, -1.725), (60.0, -2.025), (72.0, -2.222)]
_CONTRAST_FLOOR = (0.03 * 255) ** 2  # of structural similarity
# The detail layer's end, of photographs on average: bits a pixel more than the ladder's top takes, dB, minus
# the log of 1 - MS-SSIM. It is above the ladder's top, whatever that is.
_DETAIL_BITS, _DETAIL_PSNR, _DETAIL_SIMILARITY = 2.3, 47.3, 6.7
_DETAIL_LEAST = 0.5
_ROUND_UP = np.float32(0.65)
_SAMPLE = 1 << 17  # latents that are enough to count

Float = NDArray[np.float32]


class Forecast(NamedTuple):
    """Where a search may begin.

    Attributes:
        code: the place on the model's scale.
        slope: how much `Target.height` grows there from one place to the next.
    """

    code: int
    slope: float


class _Sample(NamedTuple):
    """Some of the latents, float32 (channels, positions), contrasts there, and how many each stands for."""

    latents: Float
    contrasts: Float
    weight: float


def forecast(
    latents: Sequence[Float], contrasts: Sequence[Float], bundle: Bundle, target: Target, pixels: int
) -> Forecast | None:
    """Where on the ladder a picture will meet a target.

    Args:
        latents: of the picture's segments, float32 (channels, h, w) each, at a rate nearby.
        contrasts: variances of the pixels that they stand for, float32 (h, w) each; for an MS-SSIM alone.
        bundle: the model.
        target: what is wanted.
        pixels: of the picture, width times height.

    Returns:
        None where it is beyond what the model reaches, or the ladder seems not to rise.
    """
    height = _log_bytes if target.is_size else _psnr if target.name == "psnr" else _similarity
    aim = target.height(target.bound(pixels))
    sampled = _sampled(latents, contrasts)
    anchors = len(bundle.log_gain)
    places: list[float] = [
        QUALITY_MIN + (bundle.ladder_top - QUALITY_MIN) * anchor / (anchors - 1) for anchor in range(anchors)
    ]
    gains = np.exp(bundle.log_gain)[:, :, None]
    heights = [height(sampled, gain, place, pixels) for gain, place in zip(gains, places, strict=True)]
    if bundle.ladder_top < QUALITY_MAX:
        places.append(QUALITY_MAX)
        if target.is_size:
            heights.append(math.log(math.exp(heights[-1]) + _DETAIL_BITS * pixels / 8))
        else:
            usual = _DETAIL_PSNR if target.name == "psnr" else _DETAIL_SIMILARITY
            heights.append(max(usual, heights[-1] + _DETAIL_LEAST))
    if heights[-1] < aim or any(a >= b for a, b in itertools.pairwise(heights)):
        return None
    place = interpolate(aim, list(zip(heights, places, strict=True)))
    after = next(n for n in range(1, len(places)) if n == len(places) - 1 or places[n] > place)
    slope = (heights[after] - heights[after - 1]) / (places[after] - places[after - 1])
    return Forecast(round(place), slope)


def _sampled(latents: Sequence[Float], contrasts: Sequence[Float]) -> _Sample:
    flat = [one.reshape(len(one), -1) for one in latents]
    step = max(1, sum(one.size for one in flat) // _SAMPLE)
    sampled = np.concatenate([one[:, ::step] for one in flat], axis=1)
    contrast = np.concatenate([one.ravel()[::step] for one in contrasts] or [np.zeros(0, np.float32)])
    return _Sample(sampled, contrast, sum(one.size for one in flat) / sampled.size)


def _log_bytes(sample: _Sample, gain: Float, place: float, pixels: int) -> float:
    """The natural logarithm of the file's size: log2 of twice each symbol, where it is not zero."""
    symbols = np.floor(np.abs(sample.latents * gain) + _ROUND_UP)
    counted = sample.weight * float(np.log2(2 + 2 * symbols[symbols > 0]).sum(dtype=np.float64)) + 1
    bits = _BITS_SLOPE * math.log(counted / pixels) + interpolate(place / 100, _BITS)
    return bits + math.log(pixels / 8)


def _psnr(sample: _Sample, gain: Float, place: float, pixels: int) -> float:
    """PSNR in dB: the squared error of rounding latents."""
    error = sample.weight * float(_lost(sample, gain).sum(dtype=np.float64)) + 1e-9
    log_mse = _ERROR_SLOPE * math.log(error / pixels) + interpolate(place / 100, _ERROR)
    return (math.log(255**2) - log_mse) * 10 / math.log(10)


def _similarity(sample: _Sample, gain: Float, place: float, pixels: int) -> float:
    """Minus the logarithm of 1 - MS-SSIM: that error, no larger than the contrast, as structural similarity
    weighs it against the contrast."""
    del pixels  # a mean
    error = np.minimum(_LOST * _lost(sample, gain), sample.contrasts)
    loss = float((error / (2 * sample.contrasts + _CONTRAST_FLOOR)).mean(dtype=np.float64)) + 1e-9
    return -_LOSS_SLOPE * math.log(loss) - interpolate(place / 100, _LOSS)


def _lost(sample: _Sample, gain: Float) -> Float:
    """The squared error of rounding the latents, float32 (positions,), the sum over channels."""
    lost = sample.latents - np.rint(sample.latents * gain) / gain
    error: Float = np.square(lost, out=lost).sum(axis=0)
    return error
