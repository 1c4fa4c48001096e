"""The place on a model's scale that meets a target: so many bytes at most, so good at least.

A trial codes the whole picture, so the search is for as few of them as will do: along a straight line through
what was measured, on a scale where that nearly is one (the logarithm of bytes, decibels), and by halves where
lines do not end it. It trusts measurements only as far as they go: what it returns was tried and meets the
target.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Generic, NamedTuple, TypeVar

from caesura import arguments
from caesura.errors import ConfigError
from caesura.format.container import QUALITY_MAX, QUALITY_MIN
from caesura.models.ladder import interpolate

T = TypeVar("T")

STRAIGHT = 8  # trials along straight lines; further ones halve what is left

# How close is close enough: about 1% of the bytes, whatever the target is. Below a size, as a share of it or
# in bytes, whichever is larger; above a PSNR, in dB; above an MS-SSIM, as a share of what it lacks or in its
# own unit, whichever is larger; between places.
SIZE_SHARE, SIZE_BYTES = 0.01, 40
PSNR_ABOVE = 0.04
LACK_SHARE, MS_SSIM_ABOVE = 0.01, 5e-5

_ALLOWED = {
    "bytes": "an integer of 1 or more",
    "bpp": "a number above 0",
    "psnr": "1 to 100 (dB)",
    "ms_ssim": "a number between 0 and 1, both left out,",
}

# Where photographs are on average (Kodak's, `photo-psnr`, docs/RESULTS.md): the measurement, and the quality.
_USUAL = {
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
    """What a coded picture is to have; exactly one is given.

    Attributes:
        bytes: its file's size at most, 1 or more.
        bpp: the same in bits per pixel, above 0.
        psnr: its PSNR at least, 1 to 100 dB.
        ms_ssim: its MS-SSIM at least, between 0 and 1.

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
        """Which of the four is given."""
        return next(field.name for field in fields(self) if getattr(self, field.name) is not None)

    @property
    def is_size(self) -> bool:
        """Whether it is reached from below: bytes or bits per pixel."""
        return self.name in {"bytes", "bpp"}

    def bound(self, pixels: int) -> float:
        """What a measurement is compared with: bytes at most, dB at least, MS-SSIM at least.

        Args:
            pixels: of the picture, width times height.
        """
        value: float = getattr(self, self.name)
        return math.floor(value * pixels / 8) if self.name == "bpp" else value

    def height(self, value: float) -> float:
        """A measurement on a scale on which those along a ladder are nearly straight.

        The natural logarithm of bytes, dB, minus that of 1 - MS-SSIM.
        """
        if self.is_size:
            return math.log(max(value, 1))
        if self.name == "psnr":
            return min(value, 120.0)  # equal pictures have no limit
        return -math.log(max(1 - value, 1e-7))

    def guess(self, pixels: int) -> float:
        """A quality to begin with, 1 to 100: where photographs meet the target on average."""
        bound = self.bound(pixels)
        if self.is_size:
            return interpolate(8 * bound / pixels, _USUAL["bpp"])
        return interpolate(bound, _USUAL[self.name])


class Found(NamedTuple, Generic[T]):
    """Where the search ended.

    Attributes:
        code: the place on the model's scale, 100 to 10000.
        value: what was measured there, in the target's unit (bytes for bits per pixel).
        result: what the trial there gave.
        trials: how many there were.
    """

    code: int
    value: float
    result: T
    trials: int


class _Trial(NamedTuple, Generic[T]):
    code: int
    value: float
    height: float
    result: T


def search(
    target: Target,
    attempt: Callable[[int], tuple[float, T]],
    *,
    pixels: int,
    guess: int,
    slope: float | None = None,
    jump: int = QUALITY_MAX,
    explain: Callable[[T], str] = lambda result: "",
) -> Found[T]:
    """The largest place whose bytes are at most the target, or the smallest whose quality reaches it.

    It ends at a place that meets the target and is close to it: within 1% or 40 bytes below a size,
    whichever is larger, within 0.04 dB above a PSNR, within 1% of what lacks to 1 (or 0.00005) above
    an MS-SSIM; or where its neighbour does not do. No place is tried twice; mostly 3 are tried, and never
    more than STRAIGHT + 14.

    Args:
        target: what is wanted.
        attempt: codes the picture at a place on the model's scale, 100 to 10000, and returns what the target
            is about (bytes for bits per pixel, dB, MS-SSIM) and whatever else the caller needs of it. Values
            rise with the place; where they do not quite, the target is met all the same.
        pixels: of the picture, width times height.
        guess: the place that is tried first.
        slope: how much `target.height` grows there from one place to the next; the usual unless given.
        jump: values may jump between this place and the next; a bundle's `ladder_top`.
        explain: where no place meets the target, what the error says besides, given the last trial's result.

    Raises:
        ConfigError: no place meets the target; the message says what is possible.
    """
    bound = target.bound(pixels)
    near, usual = _rule(target, bound)
    usual = usual if slope is None else slope
    aim = target.height((bound + near) / 2)
    trials: list[_Trial[T]] = []
    low: _Trial[T] | None = None  # the last that is below the bound (a size may be equal to it) ...
    high: _Trial[T] | None = None  # ... and the first that is not
    code = min(max(int(guess), QUALITY_MIN), QUALITY_MAX)
    while True:
        value, result = attempt(code)
        trial = _Trial(code, value, target.height(value), result)
        trials.append(trial)
        if value <= bound if target.is_size else value < bound:
            low = trial
        else:
            high = trial
        best = low if target.is_size else high
        if best is trial and abs(value - bound) <= abs(near - bound):
            break
        bottom, top = low.code if low else QUALITY_MIN - 1, high.code if high else QUALITY_MAX + 1
        if top - bottom <= 1:
            break
        if len(trials) < STRAIGHT:
            code = _straight(trials, bottom, top, aim, usual, jump)
        else:
            code = (bottom + top) // 2
    if best is None:
        last = trials[-1]
        raise ConfigError(_impossible(target, last.value, pixels) + explain(last.result))
    return Found(best.code, best.value, best.result, len(trials))


def _rule(target: Target, bound: float) -> tuple[float, float]:
    """The value that is just close enough, and the usual slope of heights."""
    if target.is_size:
        return bound - max(SIZE_SHARE * bound, SIZE_BYTES), 6e-4
    if target.name == "psnr":
        return bound + PSNR_ABOVE, 2.3e-3
    return bound + max(MS_SSIM_ABOVE, LACK_SHARE * (1 - bound)), 5e-4


def _straight(trials: list[_Trial[T]], bottom: int, top: int, aim: float, usual: float, jump: int) -> int:
    """The place strictly between `bottom` and `top` where a line through the nearest trials meets the aim.

    Args:
        trials: all so far, at least one.
        bottom, top: nearest places known to be too low and too high; beyond the scale while there is none.
        aim: a height.
        usual: slope of a line where only one trial is known.
        jump: no line crosses it.
    """
    bracketed = bottom >= QUALITY_MIN and top <= QUALITY_MAX
    split = bracketed and bottom <= jump < top

    def distance(trial: _Trial[T]) -> float:
        return abs(trial.height - aim)

    open_sides = [t for t in trials if not split or (bottom < jump if t.code <= jump else jump + 1 < top)]
    near = min(open_sides, key=distance)
    beside = [t for t in trials if t is not near and (t.code <= jump) == (near.code <= jump)]
    slope = usual
    if beside:
        other = min(beside, key=distance)
        slope = (near.height - other.height) / (near.code - other.code)
        slope = min(max(slope, usual / 16), usual * 4)  # plateaus and noise
    step = (aim - near.height) / slope
    last = trials[-3:]
    if bracketed and len(last) == 3 and len({t.height < aim for t in last}) == 1:
        # Always from one side: a long step that passes the aim leaves little between, and ends the search.
        step = math.copysign(max(2 * abs(step), 4 * abs(last[2].code - last[1].code)), step)
    code = round(near.code + step)
    if split:
        edge, inward = (jump, min) if near.code <= jump else (jump + 1, max)
        code = edge if len(trials) > 3 else inward(code, edge)  # perhaps the aim is within the jump
    if bracketed and not bottom < code < top:
        return (bottom + top) // 2
    return min(max(code, bottom + 1), top - 1)


def _impossible(target: Target, value: float, pixels: int) -> str:
    """Why there is no place; `value` was measured at the end of the scale."""
    given = f"{target.name} is {getattr(target, target.name)!r}"
    if target.name == "bytes":
        return f"{given}; {value:.0f} or more is possible for this picture"
    if target.name == "bpp":  # rounded such that what is named is possible
        possible = math.ceil(8 * value / pixels * 1e4) / 1e4
        return f"{given}; {possible:.4f} or more ({value:.0f} bytes) is possible for this picture"
    digits = 2 if target.name == "psnr" else 5
    possible = math.floor(value * 10**digits) / 10**digits
    return f"{given}; {possible:.{digits}f} or less is possible for this picture"
