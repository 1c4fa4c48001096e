"""BD-rate, the mean rate difference of two rate-distortion curves, by the library bjontegaard."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bjontegaard
import numpy as np
from numpy.typing import NDArray

Curve = Sequence[tuple[float, float]]
Float = NDArray[np.float64]

RESAMPLES = 300  # bootstrap draws of the pictures, for an interval
_SEED = 20170228


def bd_rate(anchor: Curve, test: Curve) -> float | None:
    """Mean rate difference in percent at equal quality; below zero, `test` needs fewer bits.

    Akima interpolation over the overlap of the two quality ranges.

    Args:
        anchor, test: points (bits per pixel, dB), in any order.

    Returns:
        Percent, or None where the qualities do not overlap.
    """
    anchor, test = _rising(anchor), _rising(test)
    if overlap(anchor, test) is None:
        return None
    (anchor_rate, anchor_quality), (test_rate, test_quality) = (
        zip(*curve, strict=True) for curve in (anchor, test)
    )
    return float(
        bjontegaard.bd_rate(
            list(anchor_rate),
            list(anchor_quality),
            list(test_rate),
            list(test_quality),
            method="akima",
            require_matching_points=False,
            min_overlap=0,
        )
    )


def overlap(anchor: Curve, test: Curve) -> tuple[float, float] | None:
    """The lowest and the highest quality that both curves reach, or None where there is no range."""
    ranges = [[quality for _, quality in curve if math.isfinite(quality)] for curve in (anchor, test)]
    if not all(ranges):
        return None
    low, high = max(map(min, ranges)), min(map(max, ranges))
    return (low, high) if low < high else None


def interval(anchor: tuple[Float, Float], test: tuple[Float, Float]) -> tuple[float, float] | None:
    """95% bootstrap interval, over pictures, of the BD-rate of the mean curves.

    The pictures are resampled with replacement, the same ones for both codecs, from a fixed seed; the
    interval lies between the 2.5th and the 97.5th percentile.

    Args:
        anchor, test: rates and qualities, float64 (pictures, settings) each, of the same pictures.

    Returns:
        Low and high in percent; None for fewer than two pictures, or where a draw has no overlap.
    """
    pictures = len(anchor[0])
    if pictures < 2:
        return None
    draws = np.random.default_rng(_SEED).multinomial(pictures, [1 / pictures] * pictures, RESAMPLES)
    draws, times = np.unique(draws, axis=0, return_counts=True)  # few pictures give few different ones
    (anchor_rate, anchor_quality), (test_rate, test_quality) = (
        (draws / pictures @ rate, draws / pictures @ quality) for rate, quality in (anchor, test)
    )
    found = []
    for number in range(len(draws)):
        difference = bd_rate(
            list(zip(anchor_rate[number], anchor_quality[number], strict=True)),
            list(zip(test_rate[number], test_quality[number], strict=True)),
        )
        if difference is None:
            return None
        found.append(difference)
    low, high = np.percentile(np.repeat(found, times), (2.5, 97.5))
    return float(low), float(high)


def _rising(curve: Curve) -> list[tuple[float, float]]:
    """Points by rising quality, the lowest rate of each: at high rates a codec may saturate."""
    lowest = {quality: rate for rate, quality in sorted(curve, reverse=True) if math.isfinite(quality)}
    return [(lowest[quality], quality) for quality in sorted(lowest)]
