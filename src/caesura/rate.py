"""The quality scale: quality 1..100, a place on the model's rate ladder, scale vectors, a row of tables.

The ladder has a pair of scale vectors per rung. Quality runs evenly along it, 1 on the first rung and 100 on
the last, and the vectors between two rungs are interpolated in the log domain. Floats decide only how finely
latents are rounded; the row of tables is an integer function of the quality as stored.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from caesura.container import QUALITY_MAX, QUALITY_MIN
from caesura.errors import ConfigError

if TYPE_CHECKING:  # the command line takes its default from here and must start without NumPy
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_QUALITY = 60.0


def quality_code(quality: float) -> int:
    """The quality as a file stores it: hundredths, 100 to 10000.

    Raises:
        ConfigError: `quality` is not between 1 and 100.
    """
    if not (isinstance(quality, Real) and 1 <= quality <= 100):
        raise ConfigError(f"quality is {quality!r}; 1 to 100 is allowed")
    return round(float(quality) * 100)


def table_row(code: int, rows: int) -> int:
    """The row of tables for a stored quality, of `rows` that run evenly from quality 1 to 100."""
    span = QUALITY_MAX - QUALITY_MIN
    return (2 * (code - QUALITY_MIN) * (rows - 1) + span) // (2 * span)


def scale_vector(log_scales: NDArray[np.float32], code: int) -> NDArray[np.float32]:
    """Interpolate along the ladder.

    Args:
        log_scales: float32 (rungs, channels), natural logarithms of the scale vectors.
        code: a stored quality.

    Returns:
        float32 (channels,).
    """
    import numpy as np

    place = (code - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN) * (len(log_scales) - 1)
    below = min(int(place), max(len(log_scales) - 2, 0))
    above = min(below + 1, len(log_scales) - 1)
    share = place - below
    scales: NDArray[np.float32] = np.exp((1 - share) * log_scales[below] + share * log_scales[above])
    return scales.astype(np.float32)
