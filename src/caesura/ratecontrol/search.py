"""The search for the ladder position that meets a target: a maximum file size, or a minimum quality.

As a trial codes the whole picture, the search needs few of them. It interpolates measurements linearly, on a
scale where they are nearly linear (the logarithm of bytes, decibels), and bisects if that does not converge.
The result has been measured and meets the target.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Generic, NamedTuple, TypeVar

from caesura import arguments
from caesura.errors import ConfigError
from caesura.format.container import POSITION_MAX, POSITION_MIN
from caesura.models.ladder import interpolate

T = TypeVar("T")

INTERPOLATED = 8  # trials by linear interpolation; further ones bisect
# Lossless results are one file: the search need not find the first position, in hundredths, that gives it.
_LOSSLESS_GAP = 200

# The tolerances of targets, each about 1% of the bytes. Below a size: as a share of it or in bytes, whichever
# is larger. Above a PSNR: in dB. Above an MS-SSIM: as a share of 1 - MS-SSIM or in its own unit, whichever is
# larger.
SIZE_SHARE, SIZE_BYTES = 0.01, 40
PSNR_ABOVE = 0.04
LACK_SHARE, MS_SSIM_ABOVE = 0.01, 5e-5

_ALLOWED = {
    "bytes": "an integer of 1 or more",
    "bpp": "a number above 0",
    "psnr": "1 to 100 (dB)",
    "ms_ssim": "a number between 0 and 1, both left out,",
}

# Pairs of measurement and quality of photographs on average (Kodak, `photo-psnr`, docs/RESULTS.md).
USUAL = {
    "bpp": [(0.018, 1), (0.04, 12), (0.1, 24), (0.25, 36), (0.6, 48), (1.17, 60), (1.98, 72), (4.53, 100)],
    "psnr": [(22.9, 1), (24.7, 12), (27.1, 24), (29.9, 36), (33.3, 48), (37.1, 60), (40.6, 72), (47.3, 100)],
    "ms_ssim": [
        (0.75, 1),
        (0.83, 12),
        (0.9, 24),
        (0.947, 36),
        (0.9755, 48),
        (0.989, 60),
        (0.995, 72),
        (0.9988, 100),
    ],
}


@dataclass(frozen=True)
class Target:
    """A target of rate control; exactly one attribute is given.

    Attributes:
        bytes: maximum file size, 1 or more.
        bpp: maximum file size in bits per pixel, above 0.
        psnr: minimum PSNR, 1 to 100 dB.
        ms_ssim: minimum MS-SSIM, between 0 and 1.

    Raises:
        TypeError: one is not a number, or `bytes` is not an integer.
        ConfigError: none or several are given, or one is out of range.
    """

    bytes: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    ms_ssim: float | None = None

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self)]
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ConfigError(
                f"target has {' and '.join(given) or 'nothing'}; exactly one of {', '.join(names)} is allowed"
            )
        value = getattr(self, self.name)
        highest = {"psnr": 100, "ms_ssim": math.nextafter(1, 0)}.get(self.name, sys.float_info.max)
        lowest = 1 if self.name in {"bytes", "psnr"} else math.nextafter(0, 1)
        allowed = f"{_ALLOWED[self.name]} is allowed"
        if self.name == "bytes":
            value = arguments.integer(self.name, value, allowed, 1, highest)
        else:
            value = arguments.number(self.name, value, allowed, lowest, highest)
        object.__setattr__(self, self.name, value)

    @property
    def name(self) -> str:
        """The name of the attribute that is given."""
        return next(field.name for field in fields(self) if getattr(self, field.name) is not None)

    @property
    def is_size(self) -> bool:
        """Whether it is a maximum file size: bytes or bits per pixel."""
        return self.name in {"bytes", "bpp"}

    def bound(self, pixels: int) -> float:
        """The bound of measurements: maximum bytes, minimum dB, minimum MS-SSIM.

        Args:
            pixels: of the picture, width times height.
        """
        value: float = getattr(self, self.name)
        return math.floor(value * pixels / 8) if self.name == "bpp" else value

    def height(self, value: float) -> float:
        """A measurement on a scale that is nearly linear in the ladder position.

        It is the natural logarithm of bytes, or dB, or minus the natural logarithm of 1 - MS-SSIM.
        """
        if self.is_size:
            return math.log(max(value, 1))
        if self.name == "psnr":
            return min(value, 120.0)  # infinite for equal pictures
        return -math.log(max(1 - value, 1e-7))

    def guess(self, pixels: int) -> float:
        """The quality, 1 to 100, at which photographs meet the target on average."""
        bound = self.bound(pixels)
        if self.is_size:
            return interpolate(8 * bound / pixels, USUAL["bpp"])
        return interpolate(bound, USUAL[self.name])


class Found(NamedTuple, Generic[T]):
    """The result of the search.

    Attributes:
        ladder_position: in hundredths, 100 to 10000.
        value: measured there, in the target's unit (bytes for bits per pixel).
        result: of the trial there.
        trials: their number.
    """

    ladder_position: int
    value: float
    result: T
    trials: int


class _Trial(NamedTuple, Generic[T]):
    position: int
    value: float
    height: float
    result: T


def search(
    target: Target,
    attempt: Callable[[int], tuple[float, T]],
    *,
    pixels: int,
    start: int,
    slope: float | None = None,
    jump: int = POSITION_MAX,
    explain: Callable[[T], str] = lambda result: "",
    is_lossless: Callable[[float, T], bool] = lambda value, result: False,
) -> Found[T]:
    """The largest ladder position within a maximum size, or the smallest that reaches a minimum quality.

    The search ends at a position that meets the target and is close to it: within 1% or 40 bytes below a
    size, whichever is larger, within 0.04 dB above a PSNR, within 1% of 1 - MS-SSIM (or 0.00005) above an
    MS-SSIM; or whose neighbour does not meet it; or that is lossless, within a size or at most 200 hundredths
    above one that does not meet it. No position is tried twice. Mostly 3 are tried, and never more than
    INTERPOLATED + 14.

    Args:
        target: the target.
        attempt: codes the picture at a ladder position in hundredths, 100 to 10000, and returns the target's
            measurement (bytes for bits per pixel, dB, MS-SSIM) and a result for the caller. Measurements rise
            with the position, but for small dips, which do not harm the result.
        pixels: of the picture, width times height.
        start: the position that is tried first.
        slope: by how much `target.height` grows there per hundredth; an average unless given.
        jump: measurements may jump between this position and the next; a bundle's `ladder_top`.
        explain: gives an addition to the error's message where no position meets the target, from the last
            trial's result.
        is_lossless: whether a measurement and a result are those of a file without loss.

    Raises:
        ConfigError: no position meets the target; the message says what is possible.
    """
    bound = target.bound(pixels)
    near, average = _tolerance(target, bound)
    slope = average if slope is None else slope
    aim = target.height((bound + near) / 2)
    trials: list[_Trial[T]] = []
    low: _Trial[T] | None = None  # the highest position below the bound (a size may equal it) ...
    high: _Trial[T] | None = None  # ... and the lowest that is not
    position = min(max(int(start), POSITION_MIN), POSITION_MAX)
    while True:
        value, result = attempt(position)
        trial = _Trial(position, value, target.height(value), result)
        trials.append(trial)
        if value <= bound if target.is_size else value < bound:
            low = trial
        else:
            high = trial
        best = low if target.is_size else high
        lossless = best is not None and is_lossless(best.value, best.result)
        close = abs(value - bound) <= abs(near - bound) or (lossless and target.is_size)
        if best is trial and close:
            break
        bottom = low.position if low else POSITION_MIN - 1
        top = high.position if high else POSITION_MAX + 1
        if top - bottom <= (_LOSSLESS_GAP if lossless else 1):
            break
        if len(trials) < INTERPOLATED:
            position = _interpolated(trials, bottom, top, aim, slope, jump)
        else:
            position = (bottom + top) // 2
    if best is None:
        last = trials[-1]
        raise ConfigError(_impossible(target, last.value, pixels) + explain(last.result))
    return Found(best.position, best.value, best.result, len(trials))


def _tolerance(target: Target, bound: float) -> tuple[float, float]:
    """The measurement that is just close enough to the bound, and the average slope of heights."""
    if target.is_size:
        return bound - max(SIZE_SHARE * bound, SIZE_BYTES), 6e-4
    if target.name == "psnr":
        return bound + PSNR_ABOVE, 2.3e-3
    return bound + max(MS_SSIM_ABOVE, LACK_SHARE * (1 - bound)), 5e-4


def _interpolated(
    trials: list[_Trial[T]], bottom: int, top: int, aim: float, average: float, jump: int
) -> int:
    """The position strictly between `bottom` and `top` where a line through the nearest trials meets the aim.

    Args:
        trials: all so far, at least one.
        bottom, top: nearest positions known to be too low and too high; beyond the scale while there is none.
        aim: a height.
        average: slope of the line where only one trial is known.
        jump: no line crosses it.
    """
    bracketed = bottom >= POSITION_MIN and top <= POSITION_MAX
    split = bracketed and bottom <= jump < top

    def distance(trial: _Trial[T]) -> float:
        return abs(trial.height - aim)

    usable = [t for t in trials if not split or (bottom < jump if t.position <= jump else jump + 1 < top)]
    near = min(usable, key=distance)
    same_side = [t for t in trials if t is not near and (t.position <= jump) == (near.position <= jump)]
    slope = average
    if same_side:
        other = min(same_side, key=distance)
        slope = (near.height - other.height) / (near.position - other.position)
        slope = min(max(slope, average / 16), average * 4)  # plateaus and noise
    step = (aim - near.height) / slope
    last = trials[-3:]
    if bracketed and len(last) == 3 and len({t.height < aim for t in last}) == 1:
        # Three trials on one side of the aim: a longer step passes it, which leaves little between.
        step = math.copysign(max(2 * abs(step), 4 * abs(last[2].position - last[1].position)), step)
    position = round(near.position + step)
    if split:
        edge, inward = (jump, min) if near.position <= jump else (jump + 1, max)
        position = edge if len(trials) > 3 else inward(position, edge)  # perhaps the aim is within the jump
    if bracketed and not bottom < position < top:
        return (bottom + top) // 2
    return min(max(position, bottom + 1), top - 1)


def _impossible(target: Target, value: float, pixels: int) -> str:
    """The message where no position meets the target; `value` was measured at the end of the scale."""
    given = f"{target.name} is {getattr(target, target.name)!r}"
    if target.name == "bytes":
        return f"{given}; {value:.0f} or more is possible for this picture"
    if target.name == "bpp":  # rounded up, so that it is possible
        possible = math.ceil(8 * value / pixels * 1e4) / 1e4
        return f"{given}; {possible:.4f} or more ({value:.0f} bytes) is possible for this picture"
    digits = 2 if target.name == "psnr" else 5
    possible = math.floor(value * 10**digits) / 10**digits
    return f"{given}; {possible:.{digits}f} or less is possible for this picture"
