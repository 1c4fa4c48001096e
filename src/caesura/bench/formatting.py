"""Numbers as text for the pages of a benchmark."""

from __future__ import annotations

import math

from caesura.bench import plot

NONE = "\N{EN DASH}"


def signed(value: float | None, digits: int = 1) -> str:
    """A number with its sign, with a minus sign instead of a hyphen; a dash for None."""
    if value is None:
        return NONE
    text = f"{value:+.{digits}f}".replace("-", plot.MINUS)
    return text if any(figure in "123456789" for figure in text) else text[1:]


def figure(value: float | None, digits: int | None = None) -> str:
    """A number with `digits` decimals, or with three significant digits; a dash for None."""
    if value is None:
        return NONE
    if digits is None:
        digits = max(0, 2 - math.floor(math.log10(max(value, 0.1)))) if value > 0 else 0
    return f"{value:,.{digits}f}".replace("-", plot.MINUS)


def span(low: float | None, high: float | None, digits: int = 1) -> str:
    """An interval; empty for None."""
    if low is None or high is None:
        return ""
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", plot.MINUS)


def setting(value: float | str) -> str:
    """A codec's setting: a number, or as it is if it is text."""
    return value if isinstance(value, str) else f"{value:g}"


def count(number: int, noun: str) -> str:
    """A number and a noun, in the plural unless the number is 1."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
