"""Plots for the pages of a benchmark, drawn and written as SVG by matplotlib.

Colours, fonts and widths of lines come from page/page.css by class, so that plots follow light and dark mode.
"""

from __future__ import annotations

import functools
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.transforms import Affine2D, Bbox

MINUS = "\N{MINUS SIGN}"
MARKERS = "os^DvP"  # codecs of one family have different ones, so that they differ by more than colour
WIDTH, HEIGHT = 600, 420
_MARKER_SIZE = 7
_WEIGHTS = ("published", "other", "ours", "first")  # from the lowest to the topmost
# Where a label may stand beside its mark, to the right and up, from best to worst
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_settings = mpl.rc_context(
    {"font.size": 12, "text.parse_math": False, "svg.fonttype": "none", "savefig.bbox": None}
)


@dataclass(frozen=True)
class Style:
    """How a codec is drawn in all plots.

    Attributes:
        key: number of the codec in the legend.
        name: of the codec.
        colour: index into the palette of page.css; 0 is ours, -1 is grey.
        marker: one of `MARKERS`.
        weight: "first" (our first model), "ours", "other" or "published"; a class of page.css.
    """

    key: int
    name: str
    colour: int
    marker: str
    weight: str

    @property
    def classes(self) -> str:
        """Classes of the codec's curve, marks and label."""
        return f"series s{self.key} c{self.colour} {self.weight}"

    @property
    def outline(self) -> str:
        """The marker as an SVG path around 0, 0, for legends."""
        marker = MarkerStyle(self.marker, transform=Affine2D().scale(_MARKER_SIZE, -_MARKER_SIZE))
        outline = np.asarray(marker.get_path().transformed(marker.get_transform()).to_polygons()[0])
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in outline) + "Z"


Points = Sequence[tuple[float, float, str]]  # x, y, tooltip


@_settings
def curves(name: str, title: str, label: str, data: Sequence[tuple[Style, Points]]) -> str | None:
    """Rate-distortion curves over a logarithmic rate as SVG; our first model is drawn on top.

    Args:
        name: unique on the page.
        title: description for screen readers.
        label: of the x axis.
        data: for each codec its points (bits per pixel, quality, tooltip). Published curves do not widen
            the axes.

    Returns:
        None if nothing was measured.

    Raises:
        ValueError: a point is not finite.
    """
    if not all(math.isfinite(value) for _, points in data for point in points for value in point[:2]):
        raise ValueError("a curve has a point that is not finite")
    data = [(style, sorted(point for point in points if point[0] > 0)) for style, points in data]
    measured = [point[:2] for style, points in data if style.weight != "published" for point in points]
    return _svg(_axes(name, label, measured, (0.04, 0.04)), title, data) if measured else None


@_settings
def scatter(name: str, title: str, label: str, data: Sequence[tuple[Style, float, float, str]]) -> str | None:
    """A labelled mark for each codec, over a logarithmic x axis, as SVG.

    Args:
        name, title, label: as for `curves`.
        data: (style, x, y, tooltip) of each codec.

    Returns:
        None if no codec has x above zero.
    """
    data = [entry for entry in data if entry[1] > 0]
    if not data:
        return None
    axes = _axes(name, label, [(x, level) for _, x, y, _ in data for level in (0, y)], (0.08, 0.1))
    axes.axhline(0, gid="base")
    marks = axes.transData.transform([entry[1:3] for entry in data])
    room = Bbox.from_extents(*axes.bbox.min, *axes.figure.bbox.max)
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in marks]
    for style, x, y, _ in sorted(data, key=lambda entry: entry[0].colour != 0):  # ours first
        text = "".join(filter(str.isprintable, style.name))  # XML has no control characters
        gid = f"{style.classes} name"
        note = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", gid=gid)
        note.set_annotation_clip(False)
        for right, up in _SIDES:
            note.set(ha=("center", "left", "right")[right], va=("center", "bottom", "top")[up])
            note.set_position((9 * right, 6 * up))
            box = note.get_window_extent()
            if all(map(room.contains, box.intervalx, box.intervaly)) and not box.count_overlaps(taken):
                taken.append(box)
                break
        else:
            note.remove()
    return _svg(axes, title, [(style, [(x, y, text)]) for style, x, y, text in data])


def _axes(name: str, label: str, points: Sequence[tuple[float, float]], margins: tuple[float, float]) -> Axes:
    """Axes around points, with margins as shares of their range; `name` makes ids of the SVG unique."""
    mpl.rcParams["svg.hashsalt"] = name
    axes = _shared_axes()
    for artist in (*axes.lines, *axes.texts):
        artist.remove()
    axes.set_xlabel(label)
    axes.margins(*margins)
    axes.relim()
    axes.update_datalim(points)
    axes.autoscale()
    low, high = axes.get_xlim()
    axes.autoscale(enable=False)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1e4 else (1,), numticks=99))
    return axes


@functools.cache
def _shared_axes() -> Axes:
    """The axes of one plot after another: with new ones for each, plots take half as long again."""
    figure = Figure((WIDTH / 72, HEIGHT / 72), dpi=72, frameon=False)  # SVG has 72 user units per inch
    FigureCanvasAgg(figure)  # measures labels
    axes = figure.add_axes((56 / WIDTH, 52 / HEIGHT, 530 / WIDTH, 354 / HEIGHT), xscale="log")
    axes.patch.set_visible(False)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines.bottom.set_gid("base")
    axes.minorticks_off()
    axes.tick_params(bottom=False, left=False, pad=7)
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_label_coords(0.5, -0.095)  # fixed, or matplotlib measures all ticks to place a label
    return axes


def _svg(axes: Axes, title: str, data: Sequence[tuple[Style, Points]]) -> str:
    """The plot as SVG, with a curve for each codec and a mark with tooltip at each point inside the axes.

    For page.css and page.js, classes replace styles and ids of groups: the id without its number, or the gid.
    """
    tooltips = {}
    for style, points in data:
        if points:
            x, y, texts = zip(*points, strict=True)
            inside = [number for number in range(len(points)) if axes.viewLim.contains(x[number], y[number])]
            (line,) = axes.plot(x, y, "k", marker=style.marker, markersize=_MARKER_SIZE, markevery=inside)
            line.set(gid=style.classes, zorder=2 + _WEIGHTS.index(style.weight))
            tooltips[style.classes] = [f"{style.name}\n{texts[number]}" for number in inside]
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    axes.figure.canvas.print_figure(file, format="svg", metadata=nothing)
    root = ElementTree.fromstring(re.sub(r">\s+<", "><", file.getvalue()))
    root.attrib = {"class": "plot", "viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    root.remove(root[0])  # styles for all elements of a page
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        style_text = element.attrib.pop("style", "")
        if element.tag == "g" and "id" in element.attrib:
            element.set("class", re.sub(r"_\d+$", "", element.attrib.pop("id")))
        elif element.tag == "use":
            element.set("class", "mark")
            element.set("href", element.attrib.pop("{http://www.w3.org/1999/xlink}href"))
        elif element.tag == "text":
            del element.attrib["transform"]  # a rotation by 0 degrees
            element.set("text-anchor", re.findall(r"text-anchor: (\w+)", style_text)[0])
    for classes, tips in tooltips.items():
        for path in root.iterfind(f".//g[@class='{classes}']/path"):
            path.set("class", "line")
        for mark, tip in zip(root.iterfind(f".//g[@class='{classes}']//use"), tips, strict=True):
            ElementTree.SubElement(mark, "title").text = tip
    return ElementTree.tostring(root, encoding="unicode")
