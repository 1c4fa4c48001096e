"""An estimate, from a picture's latents, of the ladder position that meets a target: the search begins there.

Bits grow with the number and the magnitude of the symbols that are not zero; the error of the pixels with the
rounding error of the latents; 1 - MS-SSIM with that error where there is little contrast to mask it. The
coefficients are fitted to photographs coded with each bundle (`models.fitted`). The search (`search`)
measures, so that a bad estimate costs trials and nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.format.container import POSITION_MAX, POSITION_MIN
from caesura.models.bundle import Bundle
from caesura.models.fitted import Fitted, Top
from caesura.models.ladder import interpolate, quality_of
from caesura.ratecontrol.search import USUAL, Target

_LOST = 16.0  # weight of the rounding error against the contrast
_CONTRAST_FLOOR = (0.03 * 255) ** 2  # of structural similarity
_DETAIL_LEAST = 0.5  # minimum gain of the detail layer, in units of `Target.height`
_ROUND_UP = np.float32(0.65)
_SAMPLE = 1 << 17  # latents that are enough to count

Float = NDArray[np.float32]


class Forecast(NamedTuple):
    """An estimate of where a target is met.

    Attributes:
        ladder_position: in hundredths.
        slope: by how much `Target.height` grows there per hundredth.
    """

    ladder_position: int
    slope: float


def usual(bundle: Bundle, target: Target, pixels: int) -> int | None:
    """The ladder position, in hundredths, where photographs meet a target on average.

    Args:
        bundle: the model.
        target: the target.
        pixels: of the picture, width times height.

    Returns:
        The nearest that the bundle reaches; None if it has no `forecast`.
    """
    if (known := bundle.forecast) is None:
        return None
    heights = _usual_heights(known, target, pixels)
    rising = list(itertools.accumulate(heights, max))
    return round(100 * interpolate(target.height(target.bound(pixels)), rising))


def usual_psnr(bundle: Bundle, ladder_position: int) -> float:
    """The PSNR, in dB, of photographs on average at a ladder position in hundredths."""
    target = Target(psnr=1)
    if (known := bundle.forecast) is None:
        return interpolate(
            quality_of(ladder_position, bundle.quality_scale),
            [(quality, psnr) for psnr, quality in USUAL["psnr"]],
        )
    heights = _usual_heights(known, target, 1)
    return interpolate(ladder_position / 100, [(position, height) for height, position in heights])


def _usual_heights(known: Fitted, target: Target, pixels: int) -> list[tuple[float, float]]:
    """Pairs of `Target.height` of photographs on average and ladder position, 1 to 100, which rises."""
    line = known.bits if target.is_size else known.error if target.name == "psnr" else known.loss
    heights = [(_height(target, mean, pixels), position) for position, mean in line.means]
    if known.top is not None:
        heights.append((_top_height(target, heights[-1][0], pixels, known.top), POSITION_MAX / 100))
    return heights


def _height(target: Target, logarithm: float, pixels: int) -> float:
    """`Target.height` of bits per pixel, a mean squared error or 1 - MS-SSIM, by its natural logarithm."""
    if target.is_size:
        return logarithm + math.log(pixels / 8)
    if target.name == "psnr":
        return (math.log(255**2) - logarithm) * 10 / math.log(10)
    return -logarithm


def _top_height(target: Target, below: float, pixels: int, top: Top) -> float:
    """The same at quality 100, above `below` at the ladder's top."""
    if target.is_size:
        return math.log(math.exp(below) + top.bits * pixels / 8)
    return max(top.psnr if target.name == "psnr" else top.similarity, below + _DETAIL_LEAST)


class Sample(NamedTuple):
    """Some of a picture's latents.

    Attributes:
        latents: float32 (channels, samples).
        contrasts: variances of the pixels behind them, float32 (samples,), or none.
        weight: number of latents of the picture per latent here.
    """

    latents: Float
    contrasts: Float
    weight: float


def forecast(
    latents: Sequence[Float], contrasts: Sequence[Float], bundle: Bundle, target: Target, pixels: int
) -> Forecast | None:
    """An estimate of the ladder position at which a picture meets a target.

    Args:
        latents: of the picture's segments, float32 (channels, h, w) each, at a ladder position nearby.
        contrasts: variances of the pixels behind each latent, float32 (h, w) each; for an MS-SSIM alone.
        bundle: the model.
        target: the target.
        pixels: of the picture, width times height.

    Returns:
        None if the target is beyond what the model reaches, the estimates do not rise along the ladder, or
        the bundle has no `forecast`.
    """
    if (known := bundle.forecast) is None:
        return None
    aim = target.height(target.bound(pixels))
    sampled = sample(latents, contrasts)
    anchors = len(bundle.log_gain)
    positions: list[float] = [
        POSITION_MIN + (bundle.ladder_top - POSITION_MIN) * anchor / (anchors - 1)
        for anchor in range(anchors)
    ]
    gains = np.exp(bundle.log_gain)[:, :, None]
    heights = [
        _height(target, _logarithm(target, sampled, gain, position, pixels, known), pixels)
        for gain, position in zip(gains, positions, strict=True)
    ]
    if known.top is not None:
        positions.append(POSITION_MAX)
        heights.append(_top_height(target, heights[-1], pixels, known.top))
    if heights[-1] < aim or any(a >= b for a, b in itertools.pairwise(heights)):
        return None
    position = interpolate(aim, list(zip(heights, positions, strict=True)))
    after = next(n for n in range(1, len(positions)) if n == len(positions) - 1 or positions[n] > position)
    slope = (heights[after] - heights[after - 1]) / (positions[after] - positions[after - 1])
    return Forecast(round(position), slope)


def pixel_variance(pixels: NDArray[np.uint8], stride: int) -> Float:
    """The variance within each square of `stride` pixels a side, the mean over colours.

    Args:
        pixels: uint8 (H, W, colours), H and W multiples of `stride`.
        stride: pixels per latent.

    Returns:
        float32 (H / stride, W / stride).
    """
    high, wide, colours = pixels.shape
    squares = pixels.reshape(high // stride, stride, wide // stride, stride, colours)
    # Copied such that each square's pixels are next to one another: three times as fast.
    flat = squares.transpose(0, 2, 4, 1, 3).reshape(high // stride, wide // stride, colours, -1)
    variance: Float = flat.astype(np.float32).var(axis=-1).mean(axis=-1)
    return variance


def sample(latents: Sequence[Float], contrasts: Sequence[Float]) -> Sample:
    """Evenly spaced latents, as many as are enough; arguments as for `forecast`."""
    flat = [one.reshape(len(one), -1) for one in latents]
    step = max(1, sum(one.size for one in flat) // _SAMPLE)
    sampled = np.concatenate([one[:, ::step] for one in flat], axis=1)
    contrast = np.concatenate([one.ravel()[::step] for one in contrasts] or [np.zeros(0, np.float32)])
    return Sample(sampled, contrast, sum(one.size for one in flat) / sampled.size)


def log_bits(some: Sample, gain: Float, pixels: int) -> float:
    """The natural logarithm of an estimate of the bits per pixel: log2 of twice each symbol that is not zero.

    Args:
        some: of the latents.
        gain: float32 (channels, 1), of the rate.
        pixels: of the picture, width times height.
    """
    symbols = np.floor(np.abs(some.latents * gain) + _ROUND_UP)
    counted = some.weight * float(np.log2(2 + 2 * symbols[symbols > 0]).sum(dtype=np.float64)) + 1
    return math.log(counted / pixels)


def log_error(some: Sample, gain: Float, pixels: int) -> float:
    """The natural logarithm of an estimate of the mean squared error, 8-bit: that of rounding the latents.

    Arguments are those of `log_bits`.
    """
    error = some.weight * float(_lost(some, gain).sum(dtype=np.float64)) + 1e-9
    return math.log(error / pixels)


def log_loss(some: Sample, gain: Float) -> float:
    """The natural logarithm of an estimate of 1 - MS-SSIM, by samples with contrasts.

    It is the error of rounding the latents, no larger than the contrast, as structural similarity weighs it
    against the contrast.
    """
    error = np.minimum(_LOST * _lost(some, gain), some.contrasts)
    loss = float((error / (2 * some.contrasts + _CONTRAST_FLOOR)).mean(dtype=np.float64)) + 1e-9
    return math.log(loss)


def _logarithm(
    target: Target, some: Sample, gain: Float, position: float, pixels: int, known: Fitted
) -> float:
    """The natural logarithm of the target's measurement, as `_height` takes it, estimated at a position."""
    if target.is_size:
        line, estimate = known.bits, log_bits(some, gain, pixels)
    elif target.name == "psnr":
        line, estimate = known.error, log_error(some, gain, pixels)
    else:
        line, estimate = known.loss, log_loss(some, gain)
    return line.slope * estimate + interpolate(position / 100, line.offsets)


def _lost(some: Sample, gain: Float) -> Float:
    """The squared error of rounding the latents, float32 (positions,), the sum over channels."""
    lost = some.latents - np.rint(some.latents * gain) / gain
    error: Float = np.square(lost, out=lost).sum(axis=0)
    return error
