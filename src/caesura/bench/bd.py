"""Bjontegaard's mean rate difference between two rate-distortion curves, through the library bjontegaard."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bjontegaard

Curve = Sequence[tuple[float, float]]


def bd_rate(anchor: Curve, test: Curve) -> float | None:
    """Mean rate difference in percent at equal quality; below zero, `test` needs fewer bits.

    Akima interpolation over the overlap of the two quality ranges.

    Args:
        anchor, test: points (bits per pixel, dB), in any order.

    Returns:
        Percent, or None where the qualities do not overlap.
    """
    anchor, test = _rising(anchor), _rising(test)
    if not anchor or not test or min(anchor[-1][1], test[-1][1]) <= max(anchor[0][1], test[0][1]):
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


def _rising(curve: Curve) -> list[tuple[float, float]]:
    """Points by rising quality, the cheapest of each: a codec whom more bits help no further saturates."""
    cheapest = {quality: rate for rate, quality in sorted(curve, reverse=True) if math.isfinite(quality)}
    return [(cheapest[quality], quality) for quality in sorted(cheapest)]
