"""What a picture will cost along a model's ladder, by its latents alone: where a search for a target begins.

Bits grow with how many scaled latents leave zero and how far; the error of the pixels with what rounding
takes from them. On photographs the first is right within 5 to 12% of the bytes and the second within about
0.7 dB over most of the ladder, where the average of all photographs is off by a factor of 2 and by 3 dB.
Nothing is promised: the search measures (`target.py`).
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
# The detail layer's end: bits a pixel more than the ladder's top takes, and dB, of photographs on average.
_DETAIL_BITS, _DETAIL_PSNR = 2.3, 47.3
_ROUND_UP = np.float32(0.65)
_SAMPLE = 1 << 17  # latents that are enough to count

Float = NDArray[np.float32]


class Forecast(NamedTuple):
    """Where a search may begin.

    Attributes:
        code: the place on the model's scale.
        slope: how much the logarithm of the bytes, or the PSNR, grows there with each hundredth.
    """

    code: int
    slope: float


def forecast(latents: Sequence[Float], bundle: Bundle, target: Target, pixels: int) -> Forecast | None:
    """Where on the ladder a picture will meet a size or a PSNR.

    Args:
        latents: of the picture's segments, float32 (channels, h, w) each, at a rate nearby.
        bundle: the model.
        target: what is wanted.
        pixels: of the picture, width times height.

    Returns:
        None where it is beyond what the model reaches, or the target is an MS-SSIM.
    """
    if target.name == "ms_ssim":
        return None
    height, aim = (
        (_log_bytes, math.log(target.bound(pixels))) if target.is_size else (_psnr, target.bound(pixels))
    )
    sampled = _sampled(latents)
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
            heights.append(_DETAIL_PSNR)
    if heights[-1] < aim or any(a >= b for a, b in itertools.pairwise(heights)):
        return None
    place = interpolate(aim, list(zip(heights, places, strict=True)))
    after = next(n for n in range(1, len(places)) if n == len(places) - 1 or places[n] > place)
    slope = (heights[after] - heights[after - 1]) / (places[after] - places[after - 1])
    return Forecast(round(place), slope)


def _sampled(latents: Sequence[Float]) -> tuple[Float, float]:
    """Some of the latents, float32 (channels, positions), and how many each stands for."""
    flat = [one.reshape(len(one), -1) for one in latents]
    step = max(1, sum(one.size for one in flat) // _SAMPLE)
    sampled = np.concatenate([one[:, ::step] for one in flat], axis=1)
    return sampled, sum(one.size for one in flat) / sampled.size


def _log_bytes(sampled: tuple[Float, float], gain: Float, place: float, pixels: int) -> float:
    """The natural logarithm of the file's size: log2 of twice each symbol, where it is not zero."""
    latents, weight = sampled
    symbols = np.floor(np.abs(latents * gain) + _ROUND_UP)
    counted = weight * float(np.log2(2 + 2 * symbols[symbols > 0]).sum(dtype=np.float64)) + 1
    bits = _BITS_SLOPE * math.log(counted / pixels) + interpolate(place / 100, _BITS)
    return bits + math.log(pixels / 8)


def _psnr(sampled: tuple[Float, float], gain: Float, place: float, pixels: int) -> float:
    """PSNR in dB: the squared error of rounding latents."""
    latents, weight = sampled
    lost = latents - np.rint(latents * gain) / gain
    error = weight * float(np.square(lost, out=lost).sum(dtype=np.float64)) + 1e-9
    log_mse = _ERROR_SLOPE * math.log(error / pixels) + interpolate(place / 100, _ERROR)
    return (math.log(255**2) - log_mse) * 10 / math.log(10)
