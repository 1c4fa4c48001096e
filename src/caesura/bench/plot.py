"""Plots for the page of a benchmark: where axes, curves and marks lie; page/plot.svg draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 600, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 52
MINUS = "\N{MINUS SIGN}"
_CHARACTER = 6.4  # the mean width of one in a label, at the font size of page.css
_LINE = 14

# Paths around a point. Each codec of a family has another, so that colour never says it alone.
SHAPES = (
    "m-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z",  # a circle
    "m-3.2-3.2h6.4v6.4h-6.4z",
    "m0-4.2l4.2 7h-8.4z",
    "m0-4.6l4.6 4.6l-4.6 4.6l-4.6-4.6z",
    "m0 4.2l4.2-7h-8.4z",
    "m-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",  # a plus
)


@dataclass(frozen=True)
class Style:
    """How a codec is drawn everywhere.

    Attributes:
        key: its number on the page, for the legend.
        name: of the codec.
        colour: a colour of the palette in page.css, 0 is ours; -1 is grey.
        shape: of its marks, one of `SHAPES`.
        weight: "first" of our models, "ours", "other" or "published", a class in page.css.
    """

    key: int
    name: str
    colour: int
    shape: str
    weight: str


@dataclass(frozen=True)
class Mark:
    """A point of a plot, in user units of the SVG, and what is read out for it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Label:
    """A name beside a mark; `anchor` is SVG's text-anchor."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Series:
    """Marks of one codec; `path` joins them, or is "" where nothing does."""

    style: Style
    marks: tuple[Mark, ...]
    path: str
    label: Label | None = None


@dataclass(frozen=True)
class Axis:
    """One axis: its label, (place, text) of its ticks, and its range."""

    label: str
    low: float
    high: float
    log: bool
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies, in user units."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(place, text)."""
        values = _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high)
        return [(round(self.place(value), 1), f"{value:g}".replace("-", MINUS)) for value in values]


@dataclass(frozen=True)
class Plot:
    """A plot as page/plot.svg takes it; `name` is unique on the page."""

    name: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    zero: float | None = None


def curves(
    name: str,
    title: str,
    labels: tuple[str, str],
    data: Sequence[tuple[Style, Sequence[tuple[float, float, str]]]],
) -> Plot | None:
    """Rate-distortion curves over a logarithmic rate, the first codec drawn last, on top.

    Args:
        name: unique on the page.
        title: what the plot shows, for those who cannot see it.
        labels: of the axes.
        data: per codec its (bits per pixel, quality, what is read out). Published curves do not widen
            the axes.

    Returns:
        None where nothing has been measured.

    Raises:
        ValueError: a point is not finite.
    """
    if not all(math.isfinite(value) for _, points in data for point in points for value in point[:2]):
        raise ValueError("a curve has a point that is not finite")
    measured = [point for style, points in data if style.weight != "published" for point in points]
    if not measured:
        return None
    x = _axis(labels[0], [point[0] for point in measured], log=True, ends=(LEFT, WIDTH - RIGHT))
    y = _axis(labels[1], [point[1] for point in measured], log=False, ends=(HEIGHT - BOTTOM, TOP))
    series = []
    for style, points in data:
        marks = tuple(_mark(x, y, point) for point in sorted(points) if point[0] > 0)
        if marks:
            series.append(Series(style, marks, "M" + "L".join(f"{mark.x:g} {mark.y:g}" for mark in marks)))
    order = {"published": 0, "other": 1, "ours": 2, "first": 3}
    series.sort(key=lambda one: order[one.style.weight])
    return Plot(name, title, x, y, tuple(series))


def scatter(
    name: str,
    title: str,
    labels: tuple[str, str],
    data: Sequence[tuple[Style, float, float, str]],
) -> Plot | None:
    """One labelled mark a codec, over a logarithmic x.

    Args:
        name, title, labels: as for `curves`.
        data: (codec, x, y, what is read out).

    Returns:
        None where there is nothing to show.
    """
    data = [entry for entry in data if entry[1] > 0]
    if not data:
        return None
    x = _axis(labels[0], [entry[1] for entry in data], log=True, ends=(LEFT, WIDTH - RIGHT), margin=0.08)
    y = _axis(
        labels[1], [0, *(entry[2] for entry in data)], log=False, ends=(HEIGHT - BOTTOM, TOP), margin=0.1
    )
    series = [Series(style, (_mark(x, y, (across, up, text)),), "") for style, across, up, text in data]
    return Plot(name, title, x, y, tuple(_labelled(series)), zero=round(y.place(0), 1))


def _labelled(series: Sequence[Series]) -> Iterator[Series]:
    """Names beside marks, where there is room; ours first."""
    taken = [(one.marks[0].x - 6, one.marks[0].y - 6, 12.0, 12.0) for one in series]
    labels: dict[int, Label] = {}
    for one in sorted(series, key=lambda one: one.style.colour != 0):
        mark, width = one.marks[0], _CHARACTER * len(one.style.name)
        for anchor, left, down in (
            ("start", 9, 4),
            ("end", -9, 4),
            ("middle", 0, -10),
            ("middle", 0, 18),
            ("start", 7, -8),
            ("end", -7, -8),
            ("start", 7, 15),
            ("end", -7, 15),
        ):
            x = mark.x + left
            edge = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = (edge, mark.y + down - 11, width, float(_LINE))
            inside = edge >= LEFT and edge + width <= WIDTH and 0 <= box[1] < HEIGHT - BOTTOM - _LINE
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                labels[one.style.key] = Label(round(x, 1), round(mark.y + down, 1), anchor, one.style.name)
                break
    for one in series:
        yield replace(one, label=labels.get(one.style.key))


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _mark(x: Axis, y: Axis, point: tuple[float, float, str]) -> Mark:
    return Mark(round(x.place(point[0]), 1), round(y.place(point[1]), 1), point[2])


def _axis(
    label: str, values: Sequence[float], *, log: bool, ends: tuple[float, float], margin: float = 0.04
) -> Axis:
    """An axis around values, with some room; never empty."""
    if log:
        values = [math.log(value) for value in values if value > 0]
    low, high = min(values), max(values)
    room = margin * (high - low) or 0.5
    low, high = low - room, high + room
    if log:
        low, high = math.exp(low), math.exp(high)
    return Axis(label, low, high, log, *ends)


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= 9:
            step *= factor
            break
    return [round(step * n, 10) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ..., or only powers of ten where there are many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 4 else (1,)
    ticks = [round(factor * 10.0**decade, 10) for decade in decades for factor in factors]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) > 1 else _ticks(low, high)
