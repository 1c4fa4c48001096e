"""Numbers as the pages of a benchmark say them."""

from __future__ import annotations

import math

from caesura.bench import plot

NONE = "\N{EN DASH}"


def signed(value: float | None, digits: int = 1) -> str:
    """A number with its sign, a true minus; a dash for none."""
    if value is None:
        return NONE
    text = f"{value:+.{digits}f}".replace("-", plot.MINUS)
    return text if any(figure in "123456789" for figure in text) else text[1:]


def figure(value: float | None, digits: int | None = None) -> str:
    """A number, three figures of it unless `digits` says how many decimals; a dash for none."""
    if value is None:
        return NONE
    if digits is None:
        digits = max(0, 2 - math.floor(math.log10(max(value, 0.1)))) if value > 0 else 0
    return f"{value:,.{digits}f}".replace("-", plot.MINUS)


def span(low: float | None, high: float | None, digits: int = 1) -> str:
    """An interval; nothing for none."""
    if low is None or high is None:
        return ""
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", plot.MINUS)


def setting(value: float | str) -> str:
    """A codec's setting: most are numbers, an external command's may be a word."""
    return value if isinstance(value, str) else f"{value:g}"


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
