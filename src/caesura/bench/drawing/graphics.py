"""A chart and a map."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from caesura.bench.drawing import tools
from caesura.bench.drawing.tools import BLACK, WHITE


def chart(random: np.random.Generator) -> Image.Image:
    """Bars above and lines below on white, with grids, axes, labels and legends."""
    width, height = 1200, 800
    colours = [tools.colour(random, 20, 210) for _ in range(4)]
    panels = ((90, 70, 1140, 370), (90, 450, 1140, 740))
    count, groups = int(random.integers(2, 5)), int(random.integers(6, 12))
    bars = random.uniform(0.1, 1, (groups, count))
    lines = np.cumsum(random.normal(0, 1, (count, 60)), axis=1)
    lines = 0.05 + 0.9 * (lines - lines.min()) / (lines.max() - lines.min())

    def shapes(pen: ImageDraw.ImageDraw) -> None:
        for panel in panels:
            left, top, right, bottom = tools.twice(panel)
            for y in np.linspace(bottom, top, 6):
                pen.line((left, y, right, y), fill=(222, 222, 222), width=2)
            pen.line([(left, top), (left, bottom), (right, bottom)], fill=(60, 60, 60), width=3)
        left, top, right, bottom = tools.twice(panels[0])
        step = (right - left) / groups
        for group in range(groups):
            for number in range(count):
                start = left + step * (group + 0.15 + 0.7 * number / count)
                high = bottom - (bottom - top) * bars[group, number]
                pen.rectangle((start, high, start + 0.66 * step / count, bottom), fill=colours[number])
        left, top, right, bottom = tools.twice(panels[1])
        for number in range(count):
            xs, ys = np.linspace(left, right, 60), bottom - (bottom - top) * lines[number]
            corners = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
            pen.line(corners, fill=colours[number], width=5, joint="curve")
            for x, y in corners[::6]:
                pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=colours[number])

    picture = tools.supersampled((width, height), WHITE, shapes)
    draw = ImageDraw.Draw(picture)
    draw.text((width // 2, 30), tools.sentence(random, 6), fill=BLACK, font=tools.font(24), anchor="mm")
    for left, top, right, bottom in panels:
        unit = int(random.choice([1, 5, 20, 250]))
        for number, y in enumerate(np.linspace(bottom, top, 6)):
            draw.text((left - 10, y), f"{unit * number}", fill=(50, 50, 50), font=tools.font(13), anchor="rm")
        for number, x in enumerate(np.linspace(left, right, groups + 1)[:-1]):
            place = (x + (right - left) / groups / 2, bottom + 8)
            draw.text(place, f"{2010 + number}", fill=(50, 50, 50), font=tools.font(13), anchor="ma")
        for number in range(count):
            draw.rectangle(
                (right - 110, top + 22 * number, right - 98, top + 22 * number + 12), colours[number]
            )
            draw.text(
                (right - 90, top + 22 * number - 1),
                tools.word(random),
                fill=(50, 50, 50),
                font=tools.font(13),
            )
    return picture


def street_map(random: np.random.Generator) -> Image.Image:
    """Land, water, parks and blocks of houses in flat colours, roads with borders, and names."""
    side = 1024
    paper, water, park = (242, 239, 233), (170, 211, 223), (200, 226, 178)
    angle = random.uniform(0, math.pi)
    roads = [_curve(random, angle + math.pi / 2 * (number % 2), 2 * side) for number in range(14)]
    widths = random.choice([10, 14, 22], 14)
    fills = [((255, 255, 255), (252, 214, 164), (232, 146, 162))[int(width) // 8] for width in widths]

    def shapes(pen: ImageDraw.ImageDraw) -> None:
        for colour, count, large in ((park, 7, 260), ((217, 208, 201), 160, 32), (water, 2, 380)):
            for _ in range(count):
                x, y = random.uniform(0, 2 * side, 2)
                pen.polygon(_blob(random, x, y, large, 4 if large < 100 else 24), fill=colour)
        pen.line(_curve(random, angle + 0.6, 2 * side), fill=water, width=70, joint="curve")
        for road, width in zip(roads, widths, strict=True):
            pen.line(road, fill=(190, 180, 170), width=int(width) + 6, joint="curve")
        for road, width, fill in zip(roads, widths, fills, strict=True):
            pen.line(road, fill=fill, width=int(width), joint="curve")
        for _ in range(2):
            track = _curve(random, random.uniform(0, math.pi), 2 * side)
            pen.line(track, fill=(110, 110, 110), width=4)

    picture = tools.supersampled((side, side), paper, shapes)
    draw = ImageDraw.Draw(picture)
    for number in range(46):
        place, size = random.uniform(20, side - 120, 2), (11, 11, 12, 14, 20)[number % 5]
        name, ink = tools.word(random).capitalize(), ((70, 70, 70), (40, 90, 130), (50, 100, 40))[number % 3]
        draw.text(
            (place[0], place[1]),
            name,
            fill=ink,
            font=tools.font(size),
            stroke_width=2,
            stroke_fill=WHITE,
        )
    return picture


def _curve(random: np.random.Generator, angle: float, side: int) -> list[tuple[float, float]]:
    """A winding line across a square at about this angle in radians."""
    along, off = np.linspace(-0.8, 0.8, 40) * side, random.uniform(-0.5, 0.5) * side
    bend = off + random.normal(0, 0.03) * side * np.sin(np.linspace(0, random.uniform(2, 8), 40))
    xs = side / 2 + along * math.cos(angle) - bend * math.sin(angle)
    ys = side / 2 + along * math.sin(angle) + bend * math.cos(angle)
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _blob(
    random: np.random.Generator, x: float, y: float, radius: float, corners: int
) -> list[tuple[float, float]]:
    """A closed outline around a point, its radius half to all of `radius`."""
    angles = np.linspace(0, 2 * math.pi, corners, endpoint=False) + random.uniform(0, math.pi)
    radii = radius * random.uniform(0.5, 1) * (1 + random.uniform(-0.2, 0.2, corners))
    return [
        (x + float(r * math.cos(a)), y + float(r * math.sin(a))) for a, r in zip(angles, radii, strict=True)
    ]
