"""Plots for the pages of a benchmark: positions of axes, curves and marks, which page/plot.svg draws.

A report on 24 pictures and 20 codecs has about 400 plots, mostly of 20 marks. matplotlib chooses the ticks
only: to write an SVG file of such a plot takes it 0.1 s and 30 kB, of which the page needs a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from matplotlib.ticker import LogLocator, MaxNLocator

WIDTH, HEIGHT = 600, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 52
MINUS = "\N{MINUS SIGN}"
_CHARACTER = 6.4  # mean width of a character in a label, at the font size of page.css
_LINE = 14  # height of a label

# SVG paths of marks. Codecs of one family have different ones, so that they differ by more than colour.
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
    """How a codec is drawn in all plots.

    Attributes:
        key: number of the codec in the legend.
        name: of the codec.
        colour: index into the palette of page.css; 0 is ours, -1 is grey.
        shape: of the marks, one of `SHAPES`.
        weight: "first" (our first model), "ours", "other" or "published"; a class of page.css.
    """

    key: int
    name: str
    colour: int
    shape: str
    weight: str


@dataclass(frozen=True)
class Mark:
    """A point of a plot in user units of the SVG, and the text of its tooltip."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Label:
    """The name beside a mark; `anchor` is the text-anchor of SVG."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Series:
    """Marks of one codec; `path` is the line through them, or empty."""

    style: Style
    marks: tuple[Mark, ...]
    path: str
    label: Label | None = None


@dataclass(frozen=True)
class Axis:
    """An axis with its label: values from `low` to `high` are drawn from `start` to `end`, in user units."""

    label: str
    low: float
    high: float
    log: bool
    start: float
    end: float

    def position(self, value: float) -> float:
        """The position of a value, in user units."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(position, text) of each tick."""
        if self.log:
            subs = (1, 2, 5) if math.log10(self.high / self.low) < 4 else (1,)
            ticks = LogLocator(subs=subs, numticks=99).tick_values(self.low, self.high)
        else:
            ticks = MaxNLocator(nbins=9, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        inside = [float(tick) for tick in ticks if self.low <= tick <= self.high]
        return [(round(self.position(tick), 1), f"{tick:g}".replace("-", MINUS)) for tick in inside]


@dataclass(frozen=True)
class Plot:
    """A plot for page/plot.svg; `name` is unique on the page, `zero` the position of a line at y = 0."""

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
    """Rate-distortion curves over a logarithmic rate; our first model is drawn on top.

    Args:
        name: unique on the page.
        title: description for screen readers.
        labels: of the axes.
        data: for each codec its points (bits per pixel, quality, tooltip). Published curves do not widen
            the axes.

    Returns:
        None if nothing was measured.

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
    """A labelled mark for each codec, over a logarithmic x axis.

    Args:
        name, title, labels: as for `curves`.
        data: (style, x, y, tooltip) of each codec.

    Returns:
        None if no codec has x above zero.
    """
    data = [entry for entry in data if entry[1] > 0]
    if not data:
        return None
    x = _axis(labels[0], [entry[1] for entry in data], log=True, ends=(LEFT, WIDTH - RIGHT), margin=0.08)
    y = _axis(
        labels[1], [0, *(entry[2] for entry in data)], log=False, ends=(HEIGHT - BOTTOM, TOP), margin=0.1
    )
    series = [Series(style, (_mark(x, y, (across, up, text)),), "") for style, across, up, text in data]
    return Plot(name, title, x, y, tuple(_labelled(series)), zero=round(y.position(0), 1))


def _labelled(series: Sequence[Series]) -> Iterator[Series]:
    """Add the name to each mark that has room for it, ours first."""
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
    return Mark(round(x.position(point[0]), 1), round(y.position(point[1]), 1), point[2])


def _axis(
    label: str, values: Sequence[float], *, log: bool, ends: tuple[float, float], margin: float = 0.04
) -> Axis:
    """An axis around values with a margin on both sides."""
    if log:
        values = [math.log(value) for value in values if value > 0]
    low, high = min(values), max(values)
    room = margin * (high - low) or 0.5
    low, high = low - room, high + room
    if log:
        low, high = math.exp(low), math.exp(high)
    return Axis(label, low, high, log, *ends)
