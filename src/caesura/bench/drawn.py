"""Pictures drawn by code, of kinds that photographs lack: text, interfaces, charts, maps, comics, flat areas.

They depend on the kind and a seed alone: a seed gives the same pixels with the same versions of NumPy and
Pillow, another seed another picture of the same kind. The font is the one inside Pillow; the photographs of
`mixed` are those of scikit-image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from caesura.bench.photos import skimage_data
from caesura.errors import ConfigError

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
Content = Callable[[np.random.Generator, ImageDraw.ImageDraw, Box, Colour], None]
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_VOCABULARY = (
    "the of and to in a is that for it as was with be by on not he this are or his from at which but have an "
    "had they you were their one all we can her has there been if more when will would who so no picture "
    "window harbour measure bridge green winter engine letter paper light river table signal morning quality "
    "station garden number question window silver level market street forest between example distance however"
)
_WORDS = _VOCABULARY.split()
_PHOTOGRAPHS = ("astronaut.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


def drawn(kind: str, seed: int) -> NDArray[np.uint8]:
    """A picture of one of `KINDS`: uint8 (H, W, 3), of about a megapixel.

    Args:
        kind: one of `KINDS`.
        seed: 0 or more; what is drawn, and where. `white` is the same with every seed.

    Raises:
        ConfigError: there is no such kind.
        DependencyError: scikit-image, whose photographs are in `mixed`, is not installed.
    """
    if kind not in _DRAW:
        raise ConfigError(f"kind is {kind!r}; one of these is allowed: {', '.join(KINDS)}")
    return np.array(_DRAW[kind](np.random.default_rng(seed)))


def _text(random: np.random.Generator) -> Image.Image:
    """A page of black text on white in two columns, with headings."""
    picture = Image.new("RGB", (1280, 800), _WHITE)
    draw, body = ImageDraw.Draw(picture), int(random.integers(12, 17))
    draw.text((60, 36), _sentence(random, 5), fill=_BLACK, font=_font(int(random.integers(34, 45))))
    for left in (60, 660):
        _column(random, draw, (left, 110, left + 560, 770), body)
    return picture


def _column(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, size: int) -> None:
    """Paragraphs of text in a box, each after a heading or smaller than the last."""
    left, top, right, bottom = box
    y = top
    while y < bottom - 3 * size:
        heading, own = random.random() < 0.4, size if random.random() < 0.75 else size - 3
        if heading:
            draw.text((left, y), _sentence(random, 4), fill=_BLACK, font=_font(size + 8))
            y += round(1.8 * (size + 8))
        for _ in range(random.integers(3, 8)):
            if y > bottom - 1.4 * own:
                return
            draw.text((left, y), _line(random, right - left, own), fill=_BLACK, font=_font(own))
            y += round(1.4 * own)
        y += size


def _interface(random: np.random.Generator) -> Image.Image:
    """A desktop with overlapping windows and a task bar; edges are sharp, and text is small."""
    width, height = 1280, 800
    top, bottom = _colour(random, 30, 150), _colour(random, 90, 220)
    ramp = np.linspace(0, 1, height, dtype=np.float64)[:, None, None]
    wall = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    picture = Image.fromarray(np.broadcast_to(np.rint(wall).astype(np.uint8), (height, width, 3)).copy())
    draw = ImageDraw.Draw(picture)
    for row in range(5):
        _icon(random, draw, 24, 20 + 92 * row, 44)
        draw.text((46, 70 + 92 * row), _word(random), fill=_WHITE, font=_font(11), anchor="ma")
    contents = [_code, _table, _form]
    for content in (contents[number] for number in random.permutation(len(contents))):
        wide, high = int(random.integers(520, 760)), int(random.integers(380, 520))
        left, upper = (
            int(random.integers(110, width - wide - 10)),
            int(random.integers(10, height - high - 60)),
        )
        _window(random, picture, (left, upper, left + wide, upper + high), content)
    draw.rectangle((0, height - 40, width, height), fill=(32, 34, 40))
    for number in range(9):
        _icon(random, draw, 12 + 42 * number, height - 34, 28)
    clock = f"{random.integers(24):02}:{random.integers(60):02}"
    draw.text((width - 14, height - 20), clock, fill=_WHITE, font=_font(14), anchor="rm")
    return picture


def _window(random: np.random.Generator, picture: Image.Image, box: Box, content: Content) -> None:
    """A window with shadow, rounded corners, title bar, tool bar and what `content` draws inside."""
    left, top, right, bottom = box
    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).rounded_rectangle((left, top + 6, right, bottom + 8), 10, fill=90)
    picture.paste(_BLACK, mask=shadow.filter(ImageFilter.GaussianBlur(9)))
    accent, inside = _colour(random, 40, 200), Image.new("RGB", picture.size, (246, 246, 248))
    draw = ImageDraw.Draw(inside)
    draw.rectangle((left, top, right, top + 30), fill=(225, 226, 230))
    for number, light in enumerate(((236, 95, 86), (245, 190, 60), (98, 196, 84))):
        draw.ellipse((left + 12 + 20 * number, top + 9, left + 24 + 20 * number, top + 21), fill=light)
    middle = (left + right) // 2
    draw.text((middle, top + 15), _sentence(random, 3), fill=(60, 60, 66), font=_font(13), anchor="mm")
    for number in range(7):
        _icon(random, draw, left + 12 + 34 * number, top + 36, 22)
    draw.line((left, top + 63, right, top + 63), fill=(200, 200, 206))
    content(random, draw, (left, top + 64, right, bottom), accent)
    mask = _smooth(picture.size, lambda pen: pen.rounded_rectangle(_twice(box), 20, fill=255))
    picture.paste(inside, mask=mask)


def _code(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, accent: Colour) -> None:
    """An editor: coloured words on a dark ground, with line numbers."""
    left, top, right, bottom = box
    draw.rectangle(box, fill=(30, 31, 38))
    colours = (accent, (214, 214, 220), (130, 190, 250), (240, 170, 110), (150, 210, 140))
    for number, y in enumerate(range(top + 6, bottom - 14, 18)):
        draw.text((left + 30, y), f"{number + 1}", fill=(96, 98, 110), font=_font(12), anchor="ra")
        x = left + 44 + 24 * int(random.integers(4))
        for _ in range(random.integers(0, 7)):
            word = _word(random) + ("", "()", " =", ":", ",")[random.integers(5)]
            if x + _font(13).getlength(word) > right - 12:
                break
            draw.text((x, y), word, fill=colours[random.integers(len(colours))], font=_font(13))
            x += round(_font(13).getlength(word)) + 7


def _table(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, accent: Colour) -> None:
    """A list of files beside a side bar, with one row selected."""
    left, top, right, bottom = box
    draw.rectangle((left, top, left + 130, bottom), fill=(234, 235, 240))
    for y in range(top + 10, bottom - 20, 28):
        draw.ellipse((left + 12, y + 2, left + 24, y + 14), fill=_colour(random, 60, 220))
        draw.text((left + 32, y), _word(random), fill=(50, 50, 56), font=_font(13))
    draw.rectangle((left + 131, top, right, bottom), fill=_WHITE)
    chosen = int(random.integers(8))
    for row, y in enumerate(range(top + 2, bottom - 22, 24)):
        if row == chosen:
            draw.rectangle((left + 131, y, right, y + 23), fill=accent)
        elif row % 2:
            draw.rectangle((left + 131, y, right, y + 23), fill=(244, 245, 248))
        ink = _WHITE if row == chosen else (40, 40, 44)
        draw.text((left + 142, y + 4), f"{_word(random)}-{_word(random)}.png", fill=ink, font=_font(13))
        size = f"{random.integers(1, 999)} kB"
        draw.text((right - 16, y + 4), size, fill=ink, font=_font(13), anchor="ra")


def _form(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, accent: Colour) -> None:
    """Labels with fields, check boxes, a slider or a progress bar, and two buttons."""
    left, top, right, bottom = box
    for y in range(top + 20, bottom - 80, 44):
        draw.text((left + 24, y + 4), f"{_word(random).capitalize()}:", fill=(40, 40, 46), font=_font(14))
        start, kind = left + 150, random.integers(3)
        if kind == 0:
            draw.rounded_rectangle((start, y, right - 30, y + 26), 5, fill=_WHITE, outline=(180, 180, 188))
            draw.text((start + 8, y + 5), _sentence(random, 4), fill=(70, 70, 76), font=_font(13))
        elif kind == 1:
            draw.rounded_rectangle((start, y + 4, start + 16, y + 20), 3, fill=accent)
            draw.line([(start + 4, y + 12), (start + 7, y + 15), (start + 12, y + 8)], fill=_WHITE, width=2)
            draw.text((start + 26, y + 5), _sentence(random, 5), fill=(40, 40, 46), font=_font(13))
        else:
            value = int(random.integers(start + 20, right - 40))
            draw.rounded_rectangle((start, y + 8, right - 30, y + 16), 4, fill=(210, 211, 216))
            draw.rounded_rectangle((start, y + 8, value, y + 16), 4, fill=accent)
    for number, (name, fill, ink) in enumerate(
        (("OK", accent, _WHITE), ("Cancel", (228, 229, 233), (50, 50, 56)))
    ):
        start = right - 230 + 108 * number
        draw.rounded_rectangle((start, bottom - 50, start + 96, bottom - 20), 6, fill=fill)
        draw.text((start + 48, bottom - 35), name, fill=ink, font=_font(14), anchor="mm")


def _icon(random: np.random.Generator, draw: ImageDraw.ImageDraw, left: int, top: int, side: int) -> None:
    """A small sign in one or two flat colours."""
    colour, inset = _colour(random, 40, 230), side // 4
    box = (left, top, left + side, top + side)
    inner = (left + inset, top + inset, left + side - inset, top + side - inset)
    if random.random() < 0.5:
        draw.rounded_rectangle(box, side // 5, fill=colour)
    else:
        draw.ellipse(box, fill=colour)
    if random.random() < 0.5:
        draw.rectangle(inner, outline=_WHITE, width=max(1, side // 12))
    else:
        draw.polygon([(inner[0], inner[3]), (left + side // 2, inner[1]), (inner[2], inner[3])], fill=_WHITE)


def _chart(random: np.random.Generator) -> Image.Image:
    """Bars above and lines below on white, with grids, axes, labels and legends."""
    width, height = 1200, 800
    colours = [_colour(random, 20, 210) for _ in range(4)]
    panels = ((90, 70, 1140, 370), (90, 450, 1140, 740))
    count, groups = int(random.integers(2, 5)), int(random.integers(6, 12))
    bars = random.uniform(0.1, 1, (groups, count))
    lines = np.cumsum(random.normal(0, 1, (count, 60)), axis=1)
    lines = 0.05 + 0.9 * (lines - lines.min()) / (lines.max() - lines.min())

    def shapes(pen: ImageDraw.ImageDraw) -> None:
        for panel in panels:
            left, top, right, bottom = _twice(panel)
            for y in np.linspace(bottom, top, 6):
                pen.line((left, y, right, y), fill=(222, 222, 222), width=2)
            pen.line([(left, top), (left, bottom), (right, bottom)], fill=(60, 60, 60), width=3)
        left, top, right, bottom = _twice(panels[0])
        step = (right - left) / groups
        for group in range(groups):
            for number in range(count):
                start = left + step * (group + 0.15 + 0.7 * number / count)
                high = bottom - (bottom - top) * bars[group, number]
                pen.rectangle((start, high, start + 0.66 * step / count, bottom), fill=colours[number])
        left, top, right, bottom = _twice(panels[1])
        for number in range(count):
            xs, ys = np.linspace(left, right, 60), bottom - (bottom - top) * lines[number]
            corners = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
            pen.line(corners, fill=colours[number], width=5, joint="curve")
            for x, y in corners[::6]:
                pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=colours[number])

    picture = _supersampled((width, height), _WHITE, shapes)
    draw = ImageDraw.Draw(picture)
    draw.text((width // 2, 30), _sentence(random, 6), fill=_BLACK, font=_font(24), anchor="mm")
    for left, top, right, bottom in panels:
        unit = int(random.choice([1, 5, 20, 250]))
        for number, y in enumerate(np.linspace(bottom, top, 6)):
            draw.text((left - 10, y), f"{unit * number}", fill=(50, 50, 50), font=_font(13), anchor="rm")
        for number, x in enumerate(np.linspace(left, right, groups + 1)[:-1]):
            place = (x + (right - left) / groups / 2, bottom + 8)
            draw.text(place, f"{2010 + number}", fill=(50, 50, 50), font=_font(13), anchor="ma")
        for number in range(count):
            draw.rectangle(
                (right - 110, top + 22 * number, right - 98, top + 22 * number + 12), colours[number]
            )
            draw.text((right - 90, top + 22 * number - 1), _word(random), fill=(50, 50, 50), font=_font(13))
    return picture


def _map(random: np.random.Generator) -> Image.Image:
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

    picture = _supersampled((side, side), paper, shapes)
    draw = ImageDraw.Draw(picture)
    for number in range(46):
        place, size = random.uniform(20, side - 120, 2), (11, 11, 12, 14, 20)[number % 5]
        name, ink = _word(random).capitalize(), ((70, 70, 70), (40, 90, 130), (50, 100, 40))[number % 3]
        draw.text((place[0], place[1]), name, fill=ink, font=_font(size), stroke_width=2, stroke_fill=_WHITE)
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


def _comic(random: np.random.Generator) -> Image.Image:
    """Four panels with black outlines: figures in flat colours, speech bubbles, and halftone dots."""
    picture = Image.new("RGB", (960, 1200), _WHITE)
    draw = ImageDraw.Draw(picture)
    for number in range(4):
        left, top = 30 + 460 * (number % 2), 30 + 580 * (number // 2)
        picture.paste(_panel(random, (440, 560), fading=number % 2 == 1), (left, top))
        draw.rectangle((left, top, left + 440, top + 560), outline=_BLACK, width=4)
        width = int(random.integers(250, 360))
        for colour, more in ((_BLACK, 3), (_WHITE, 0)):
            mask = _smooth(picture.size, partial(_bubble, left + 30, top + 20, width, more))
            picture.paste(colour, mask=mask)
        for row in range(3):
            place = (left + 30 + width // 2, top + 46 + 24 * row)
            words = _line(random, int(0.62 * width), 18).upper()
            draw.text(place, words, fill=_BLACK, font=_font(18), anchor="mm")
    return picture


def _panel(random: np.random.Generator, size: tuple[int, int], *, fading: bool) -> Image.Image:
    """Two figures before halftone dots, which become smaller downwards if `fading`."""
    wide, high = 2 * size[0], 2 * size[1]
    skins = [(245, 208, 170), (150, 100, 70), (225, 180, 140)]

    def shapes(pen: ImageDraw.ImageDraw) -> None:
        dots, pitch = _colour(random, 60, 220), int(random.integers(10, 20))
        for row, y in enumerate(range(0, high, pitch)):
            radius = pitch * (0.55 * (1 - y / high) if fading else 0.3)
            for x in range(pitch // 2 * (row % 2), wide, pitch):
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dots)
        pen.rectangle((0, high * 0.8, wide, high), fill=_colour(random, 60, 220), outline=_BLACK, width=6)
        for middle in (wide * random.uniform(0.2, 0.35), wide * random.uniform(0.6, 0.8)):
            _figure(random, pen, middle, high * random.uniform(0.4, 0.5), high, skins[random.integers(3)])

    return _supersampled(size, _colour(random, 120, 250), shapes)


def _bubble(left: int, top: int, width: int, more: int, pen: ImageDraw.ImageDraw) -> None:
    """A speech bubble at twice the size, `more` pixels larger on all sides."""
    box = (left - more, top - more, left + width + more, top + 100 + more)
    pen.rounded_rectangle(_twice(box), 70, fill=255)
    tail = [(2 * left + x, 2 * top + y) for x, y in ((180, 184), (260, 184), (160, 290))]
    pen.polygon(tail, fill=255)
    if more:
        pen.line([*tail, tail[0]], fill=255, width=4 * more, joint="curve")


def _figure(
    random: np.random.Generator, pen: ImageDraw.ImageDraw, x: float, y: float, high: int, skin: Colour
) -> None:
    """A person from head to belt, in flat colours with black outlines."""
    head, line = high * random.uniform(0.07, 0.1), 7
    shirt, hair = _colour(random, 30, 240), _colour(random, 0, 160)
    body = (x - 1.5 * head, y + 1.1 * head, x + 1.5 * head, y + 5 * head)
    pen.rounded_rectangle(body, head * 0.8, fill=shirt, outline=_BLACK, width=line)
    for side in (-1, 1):
        arm = (
            (x + side * 1.3 * head, y + 1.8 * head),
            (x + side * head * random.uniform(1.8, 2.6), y + 3 * head),
        )
        pen.line(arm, fill=_BLACK, width=int(head * 0.7) + 2 * line)
        pen.line(arm, fill=shirt, width=int(head * 0.7))
    pen.ellipse(
        (x - 1.1 * head, y - 1.4 * head, x + 1.1 * head, y + 0.8 * head),
        fill=hair,
        outline=_BLACK,
        width=line,
    )
    pen.ellipse((x - head, y - head, x + head, y + 1.2 * head), fill=skin, outline=_BLACK, width=line)
    for middle in (x - 0.4 * head, x + 0.4 * head):
        eye = (middle - 10, y - 10, middle + 10, y + 18)
        pen.ellipse(eye, fill=_BLACK)
    mouth = (x - 0.4 * head, y + 0.3 * head, x + 0.4 * head, y + 0.8 * head)
    pen.arc(mouth, 10, 170, fill=_BLACK, width=line)


def _product(random: np.random.Generator) -> Image.Image:
    """Two balls or cans, shaded and textured, that stand on pure white and cast soft shadows."""
    side = 1000
    pixels = np.full((side, side, 3), 255.0)
    for middle in (310, 690):
        x, foot = middle + random.uniform(-40, 40), 720 + random.uniform(-40, 40)
        radius = random.uniform(120, 180)
        shadow = Image.new("L", (side, side))
        ellipse = (x - radius, foot - 0.18 * radius, x + 1.5 * radius, foot + 0.22 * radius)
        ImageDraw.Draw(shadow).ellipse(ellipse, fill=105)
        soft = np.asarray(shadow.filter(ImageFilter.GaussianBlur(18)), np.float64)[:, :, None]
        pixels *= 1 - soft / 255
        surface, inside = _object(random, side, x, foot, radius)
        pixels += inside[:, :, None] * (surface - pixels)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _object(
    random: np.random.Generator, side: int, x: float, foot: float, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A ball or a can: its colours, float64 (side, side, 3), and where it is, float64 (side, side) to 1."""
    down, across = np.mgrid[0:side, 0:side].astype(np.float64)
    u = (across - x) / radius
    if random.random() < 0.5:
        v = (down - (foot - radius)) / radius
        inside = np.clip((1 - np.hypot(u, v)) * radius, 0, 1)
        normal = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    else:
        half = random.uniform(1, 2.4) * radius
        v = (down - (foot - half)) / half
        normal = np.sqrt(np.clip(1 - u**2, 0, 1))
        ends = np.minimum(1 + v, 1 - v + 0.12 * normal * radius / half) * half
        inside = np.clip(np.minimum((1 - np.abs(u)) * radius, ends), 0, 1)
    light = np.clip(0.25 + 0.6 * normal - 0.34 * u - 0.075 * v, 0.05, 1.2)
    cover = np.broadcast_to(np.array(_colour(random, 40, 240), np.float64), (side, side, 3)).copy()
    stripes = np.sin(v * random.uniform(4, 12) + u * random.uniform(0, 4)) > random.uniform(0.2, 0.8)
    cover[stripes] = _colour(random, 40, 240)
    grain = 1 + random.uniform(0.02, 0.12) * _grain(random, side)
    shine = 200 * random.uniform(0, 0.6) * normal**40
    return np.clip(cover * (light * grain)[:, :, None] + shine[:, :, None], 0, 255), inside


def _grain(random: np.random.Generator, side: int) -> NDArray[np.float64]:
    """A texture, float64 (side, side), of mean 0 and deviation about 1: noise of four sizes."""
    total: NDArray[np.float64] = np.zeros((side, side))
    for cells in (side, side // 2, side // 6, side // 20):
        octave = Image.fromarray(random.standard_normal((cells, cells)).astype(np.float32))
        total += np.asarray(octave.resize((side, side), Image.Resampling.BICUBIC), np.float64)
    total /= total.std()
    return total


def _noise(random: np.random.Generator) -> Image.Image:
    """Every sample independent and uniform, which no codec can compress."""
    return Image.fromarray(random.integers(0, 256, (512, 512, 3), np.uint8))


def _gradient(random: np.random.Generator) -> Image.Image:
    """Smooth colours without noise, so that levels form bands: four corners and two glows."""
    width, height = 1024, 768
    v, u = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j][:, :, :, None]
    corners = random.uniform(0, 255, (4, 3))
    pixels = (corners[0] * (1 - u) + corners[1] * u) * (1 - v) + (corners[2] * (1 - u) + corners[3] * u) * v
    for _ in range(2):
        x, y = random.uniform(0, 1, 2)
        glow = np.exp(-((u - x) ** 2 + (v - y) ** 2) / random.uniform(0.05, 0.2))
        pixels = pixels * (1 - 0.7 * glow) + random.uniform(0, 255, 3) * 0.7 * glow
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _mixed(random: np.random.Generator) -> Image.Image:
    """Two photographs, one above the other and not resized, beside a column of black text on white."""
    width, height = 500, 400
    picture = Image.new("RGB", (2 * width, 2 * height), _WHITE)
    folder = Path(skimage_data().__file__).parent
    for row, number in enumerate(random.permutation(len(_PHOTOGRAPHS))[:2]):
        with Image.open(folder / _PHOTOGRAPHS[number]) as photograph:
            left = int(random.integers(photograph.width - width + 1))
            top = int(random.integers(photograph.height - height + 1))
            part = photograph.convert("RGB").crop((left, top, left + width, top + height))
        picture.paste(part, (0, row * height))
    draw = ImageDraw.Draw(picture)
    _column(random, draw, (width + 30, 30, 2 * width - 30, 2 * height - 30), int(random.integers(14, 18)))
    return picture


def _white(random: np.random.Generator) -> Image.Image:
    """Nothing but white."""
    return Image.new("RGB", (1000, 1000), _WHITE)


def _supersampled(
    size: tuple[int, int], paper: Colour, shapes: Callable[[ImageDraw.ImageDraw], None]
) -> Image.Image:
    """A picture of this width and height whose shapes, drawn at twice the size, have smooth edges."""
    large = Image.new("RGB", (2 * size[0], 2 * size[1]), paper)
    shapes(ImageDraw.Draw(large))
    return large.reduce(2)


def _smooth(size: tuple[int, int], shapes: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    """A mask of this width and height, of shapes that are drawn at twice the size."""
    large = Image.new("L", (2 * size[0], 2 * size[1]))
    shapes(ImageDraw.Draw(large))
    return large.reduce(2)


def _twice(box: Box) -> Box:
    left, top, right, bottom = box
    return 2 * left, 2 * top, 2 * right, 2 * bottom


def _colour(random: np.random.Generator, least: int, most: int) -> Colour:
    """A colour whose channels lie between `least` and `most`."""
    red, green, blue = random.integers(least, most + 1, 3).tolist()
    return red, green, blue


def _word(random: np.random.Generator) -> str:
    return _WORDS[random.integers(len(_WORDS))]


def _sentence(random: np.random.Generator, count: int) -> str:
    return " ".join(_word(random) for _ in range(count)).capitalize()


def _line(random: np.random.Generator, width: int, size: int) -> str:
    """Words that fill a line of `width` pixels in a font of `size`."""
    text = _word(random).capitalize() if random.random() < 0.3 else _word(random)
    while True:
        mark = ("", "", "", "", "", "", ",", ".")[random.integers(8)]
        longer = f"{text}{mark} {_word(random)}"
        if _font(size).getlength(longer) > width:
            return text
        text = longer


@lru_cache(64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font at a size in pixels."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # given a size, it is scalable
    return font


_DRAW: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "text": _text,
    "interface": _interface,
    "chart": _chart,
    "map": _map,
    "comic": _comic,
    "product": _product,
    "noise": _noise,
    "gradient": _gradient,
    "mixed": _mixed,
    "white": _white,
}
KINDS = tuple(_DRAW)
