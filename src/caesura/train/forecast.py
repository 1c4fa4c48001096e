"""Fit the forecast of a bundle, from which searches for a target start, to photographs.

    python -m caesura.train.forecast BUNDLE PHOTOS [--pictures 60]

The middles, 768 x 512, of photographs used in training are coded along the ladder. At each ladder position
the logarithm of the bits per pixel is modelled as a slope times the logarithm of their estimate from the
latents plus an offset, by least squares with one slope for all positions; likewise the squared error and 1 -
MS-SSIM. The result is written to the bundle's manifest; the id does not change.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from caesura import metrics
from caesura.coding.base import MIN_EFFORT
from caesura.models import fitted
from caesura.models.bundle import Bundle, load
from caesura.models.conditioning import Conditioning
from caesura.models.fitted import Fitted, Line, Top
from caesura.ratecontrol import forecast
from caesura.tiles.build import build_encoder
from caesura.tiles.target import contrasts
from caesura.train import coded
from caesura.train.bundle_files import amend
from caesura.train.coded import Coded, Pixels, rows_of

_PICTURES = 60
_POSITIONS = 6
_SMALLEST = 161  # pixels a side, for MS-SSIM

Float = NDArray[np.float64]
Plane = NDArray[np.float32]


def main() -> None:
    """Read arguments, fit, write, print the errors of the estimates."""
    parser = argparse.ArgumentParser(prog="python -m caesura.train.forecast", description=__doc__)
    parser.add_argument("bundle", type=Path, help="its folder")
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--pictures", type=int, default=_PICTURES)
    arguments = parser.parse_args()
    pictures = coded.cuts(arguments.photos, held_out=False, most=arguments.pictures)
    large = [one for one in pictures if min(one.shape[:2]) >= _SMALLEST]
    found, left = fit(load(arguments.bundle), large)
    amend(arguments.bundle, forecast=fitted.write(found))
    named = zip(("bits", "error", "loss"), left, strict=True)
    print(
        "forecast: standard deviations of the errors:",
        ", ".join(f"{name} {value:.0%}" for name, value in named),
    )


def fit(bundle: Bundle, pictures: list[Pixels]) -> tuple[Fitted, list[float]]:
    """The fitted forecast of a bundle, and the standard deviations of the errors of its three logarithms.

    Args:
        bundle: the model.
        pictures: uint8 (H, W, 3) each, sides of 161 pixels or more.
    """
    ladder = coded.by_ladder_position(bundle)
    positions = np.linspace(1, bundle.ladder_top / 100, _POSITIONS).round(2).tolist()
    # (positions, pictures, 3, 2): the logarithms of bits, error and loss, estimated and measured
    rows = np.array(
        [
            [_both(*pair, ladder) for pair in _coded(pictures, ladder, position)]
            for position in track(positions, "fitting", transient=True)
        ]
    )
    (bits, bits_left), (error, error_left), (loss, loss_left) = (
        _line(rows[:, :, n, 0], rows[:, :, n, 1], positions) for n in range(3)
    )
    top = None
    if bundle.ladder_top < 10000:
        finest = np.array([_measured(*pair) for pair in _coded(pictures, ladder, 100)])  # (pictures, 3)
        more = np.exp(finest[:, 0]) - np.exp(rows[-1, :, 0, 1])
        decibels = (math.log(255**2) - finest[:, 1]) * 10 / math.log(10)
        top = Top(*(round(float(mean), 3) for mean in (more.mean(), decibels.mean(), -finest[:, 2].mean())))
    return Fitted(bits, error, loss, top), [bits_left, error_left, loss_left]


def _coded(pictures: list[Pixels], ladder: Bundle, position: float) -> Iterator[tuple[Pixels, Coded]]:
    return zip(pictures, coded.code(pictures, ladder, position), strict=True)


def _line(estimated: Float, measured: Float, positions: list[float]) -> tuple[Line, float]:
    """The line fitted to logarithms, float64 (positions, pictures), and the standard deviation from it."""
    means = estimated.mean(1), measured.mean(1)
    across, up = estimated - means[0][:, None], measured - means[1][:, None]
    slope = float((across * up).sum() / (across * across).sum())
    offsets = (means[1] - slope * means[0]).tolist()
    pairs = (
        [(position, round(value, 3)) for position, value in zip(positions, values, strict=True)]
        for values in (offsets, means[1].tolist())
    )
    return Line(round(slope, 3), *pairs), float((up - slope * across).std())


def analysed(picture: Pixels, one: Coded, bundle: Bundle) -> tuple[list[Plane], list[Plane]]:
    """Latents and contrasts, as for `forecast.forecast`, of a coded picture, uint8 (H, W, 3)."""
    encoder = build_encoder(one.header, bundle, MIN_EFFORT)
    rows = rows_of(picture)
    return encoder.analyse(rows), contrasts(encoder, rows, bundle.stride)


def _both(picture: Pixels, one: Coded, ladder: Bundle) -> Float:
    """The logarithms estimated and measured, float64 (3, 2)."""
    some = forecast.sample(*analysed(picture, one, ladder))
    gain = Conditioning(ladder, one.header.ladder_position).gain[:, 0]
    pixels = picture.shape[0] * picture.shape[1]
    estimated = (
        forecast.log_bits(some, gain, pixels),
        forecast.log_error(some, gain, pixels),
        forecast.log_loss(some, gain),
    )
    return np.array([estimated, _measured(picture, one)]).T


def _measured(picture: Pixels, one: Coded) -> tuple[float, float, float]:
    """The logarithms of bits per pixel, mean squared error and 1 - MS-SSIM."""
    error = math.log(255**2) - metrics.psnr(picture, one.pixels) * math.log(10) / 10
    return math.log(one.bits), error, math.log(1 - metrics.ms_ssim(picture, one.pixels))


if __name__ == "__main__":
    main()
