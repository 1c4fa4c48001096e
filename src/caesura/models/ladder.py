"""The rate ladder: quality 1 to 100, a model's ladder positions, its anchors, rows of tables.

A quality gives about the same picture with every model: a bundle maps it to its own ladder position, which a
file stores in hundredths, 1.00 to 100.00. The anchors, each with a pair of scale vectors, lie evenly from
1.00 to the ladder's top; between two anchors, vectors are interpolated in the log domain. Above the top, the
detail layer's step falls. Floats decide only how finely latents are rounded; rows of tables are an integer
function of the stored position.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caesura import arguments
from caesura.format.container import POSITION_MAX, POSITION_MIN

if TYPE_CHECKING:  # the command line takes its default from here and must start without NumPy
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_QUALITY = 50.0
# Quality is defined by the loss R + beta * D (`train.loss`): evenly in log beta up to where the flagship's
# ladder ends; the detail layer goes on from there.
FIRST_BETA, LAST_BETA = 6.0, 12000.0
LADDER_QUALITY = 72.0

Scale = Sequence[tuple[float, float]]  # pairs of quality and ladder position, both rising


def check(quality: float) -> None:
    """Check a quality.

    Raises:
        TypeError: it is not a number.
        ConfigError: it is not from 1 to 100.
    """
    arguments.number("quality", quality, "1 to 100 is allowed", 1, 100)


def beta(quality: float) -> float:
    """The weight of distortion against rate that a quality stands for, see `train.loss`."""
    share: float = (min(quality, LADDER_QUALITY) - 1) / (LADDER_QUALITY - 1)
    return FIRST_BETA * math.exp(share * math.log(LAST_BETA / FIRST_BETA))


def position_of(quality: float, scale: Scale) -> int:
    """The ladder position of a quality, in hundredths, 100 to 10000; the nearest that the model reaches.

    Raises:
        ConfigError: `quality` is not between 1 and 100.
    """
    check(quality)
    return round(interpolate(float(quality), scale) * 100)


def quality_of(ladder_position: int, scale: Scale) -> float:
    """The quality of a ladder position in hundredths."""
    return round(interpolate(ladder_position / 100, [(own, quality) for quality, own in scale]), 2)


def table_row(ladder_position: int, rows: int, top: int = POSITION_MAX, bottom: int = POSITION_MIN) -> int:
    """The row of tables for a ladder position: of `rows`, evenly from `bottom` to `top` and no further."""
    span = top - bottom
    return (2 * (min(ladder_position, top) - bottom) * (rows - 1) + span) // (2 * span)


def anchor_weights(ladder_position: int, anchors: int, top: int = POSITION_MAX) -> NDArray[np.float32]:
    """Interpolation weights of the ladder's anchors: float32 (anchors,), at most two not zero, sum 1."""
    import numpy as np

    anchor = (min(ladder_position, top) - POSITION_MIN) / (top - POSITION_MIN) * (anchors - 1)
    weights: NDArray[np.float32] = np.maximum(0, 1 - np.abs(anchor - np.arange(anchors))).astype(np.float32)
    return weights


def scale_vector(log_scales: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate along the ladder.

    Args:
        log_scales: float32 (anchors, channels), natural logarithms of the scale vectors.
        weights: float32 (anchors,), from `anchor_weights`.

    Returns:
        float32 (channels,).
    """
    import numpy as np

    scales: NDArray[np.float32] = np.exp(weights @ log_scales)
    return scales.astype(np.float32)


def interpolate(x: float, pairs: Scale) -> float:
    """Linear between pairs, constant beyond them."""
    before = pairs[0]
    if x <= before[0]:
        return before[1]
    for after in pairs[1:]:
        if x <= after[0]:
            share = (x - before[0]) / (after[0] - before[0])
            return before[1] + share * (after[1] - before[1])
        before = after
    return before[1]
