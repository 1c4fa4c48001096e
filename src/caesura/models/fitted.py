"""The coefficients of `ratecontrol.forecast`, fitted to photographs coded with a bundle (`train.forecast`).

They are the manifest's field `forecast`. No file depends on them, and the bundle's id does not either.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from caesura.errors import ConfigError

_MOST = 64  # pairs
_SLOPES = 0.0, 10.0
_OFFSETS = -100.0, 100.0
_TOPS = 0.0, 100.0


class Line(NamedTuple):
    """The natural logarithm of a measurement, by that of an estimate.

    Attributes:
        slope: what the estimate's logarithm is multiplied with, above 0 and at most 10.
        offsets: pairs of ladder position, 1 to 100 and rising, and the number added there, -100 to 100.
        means: pairs of ladder position and the mean of the logarithm over photographs.
    """

    slope: float
    offsets: list[tuple[float, float]]
    means: list[tuple[float, float]]


class Top(NamedTuple):
    """Means over photographs at quality 100, where the detail layer is finest; each 0 to 100.

    Attributes:
        bits: per pixel, more than at the ladder's top.
        psnr: in dB.
        similarity: minus the natural logarithm of 1 - MS-SSIM.
    """

    bits: float
    psnr: float
    similarity: float


class Fitted(NamedTuple):
    """Everything that is fitted.

    Attributes:
        bits: line of the bits per pixel.
        error: line of the mean squared error of 8-bit samples.
        loss: line of 1 - MS-SSIM.
        top: None for a bundle without a detail layer.
    """

    bits: Line
    error: Line
    loss: Line
    top: Top | None


def read(value: Any, *, detail: bool) -> Fitted:
    """The manifest's field `forecast` as it is used.

    Args:
        value: the field, as JSON gives it.
        detail: whether the bundle has a detail layer; exactly then the field has `top`.

    Raises:
        ConfigError: a part is missing, unknown, of another type or out of range.
    """
    parts = (*Fitted._fields[:3], *(("top",) if detail else ()))
    found = _object("forecast", value, parts)
    bits, error, loss = (_line(f"forecast.{name}", found[name]) for name in parts[:3])
    top = None
    if detail:
        means = _object("forecast.top", found["top"], Top._fields)
        top = Top(*(_number(f"forecast.top.{name}", means[name], *_TOPS) for name in Top._fields))
    return Fitted(bits, error, loss, top)


def write(fitted: Fitted) -> dict[str, Any]:
    """The mirror of `read`: the field's content, for JSON."""
    lines = {name: getattr(fitted, name)._asdict() for name in Fitted._fields[:3]}
    return lines | ({"top": fitted.top._asdict()} if fitted.top else {})


def _line(name: str, value: Any) -> Line:
    found = _object(name, value, Line._fields)
    slope = _number(f"{name}.slope", found["slope"], *_SLOPES)
    if slope == 0:
        raise ConfigError(f"{name}.slope is 0; a number above it is allowed")
    return Line(slope, *(_pairs(f"{name}.{part}", found[part]) for part in ("offsets", "means")))


def _pairs(name: str, value: Any) -> list[tuple[float, float]]:
    if not (isinstance(value, list) and 2 <= len(value) <= _MOST):
        raise ConfigError(f"{name} is {value!r}; 2 to {_MOST} pairs are allowed")
    pairs = []
    for pair in value:
        if not (isinstance(pair, list | tuple) and len(pair) == 2):
            raise ConfigError(f"{name} has {pair!r}; pairs of ladder position and number are allowed")
        pairs.append((_number(name, pair[0], 1, 100), _number(name, pair[1], *_OFFSETS)))
    if any(before[0] >= after[0] for before, after in itertools.pairwise(pairs)):
        raise ConfigError(f"{name} is {value!r}; rising ladder positions are allowed")
    return pairs


def _object(name: str, value: Any, parts: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(parts):
        got = sorted(value) if isinstance(value, dict) else repr(value)
        raise ConfigError(f"{name} has {got}; exactly {', '.join(parts)} are allowed")
    return value


def _number(name: str, value: Any, lowest: float, highest: float) -> float:
    if type(value) not in (int, float) or not (math.isfinite(value) and lowest <= value <= highest):
        raise ConfigError(f"{name} is {value!r}; {lowest:g} to {highest:g} is allowed")
    return float(value)
