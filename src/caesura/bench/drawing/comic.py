"""A comic: outlines, flat colours, speech bubbles, halftone."""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from caesura.bench.drawing import tools
from caesura.bench.drawing.tools import BLACK, WHITE, Colour


def comic(random: np.random.Generator) -> Image.Image:
    """Four panels with black outlines: figures in flat colours, speech bubbles, and halftone dots."""
    picture = Image.new("RGB", (960, 1200), WHITE)
    draw = ImageDraw.Draw(picture)
    for number in range(4):
        left, top = 30 + 460 * (number % 2), 30 + 580 * (number // 2)
        picture.paste(_panel(random, (440, 560), fading=number % 2 == 1), (left, top))
        draw.rectangle((left, top, left + 440, top + 560), outline=BLACK, width=4)
        width = int(random.integers(250, 360))
        for colour, more in ((BLACK, 3), (WHITE, 0)):
            mask = tools.smooth(picture.size, partial(_bubble, left + 30, top + 20, width, more))
            picture.paste(colour, mask=mask)
        for row in range(3):
            place = (left + 30 + width // 2, top + 46 + 24 * row)
            words = tools.line(random, int(0.62 * width), 18).upper()
            draw.text(place, words, fill=BLACK, font=tools.font(18), anchor="mm")
    return picture


def _panel(random: np.random.Generator, size: tuple[int, int], *, fading: bool) -> Image.Image:
    """Two figures before halftone dots, which become smaller downwards if `fading`."""
    wide, high = 2 * size[0], 2 * size[1]
    skins = [(245, 208, 170), (150, 100, 70), (225, 180, 140)]

    def shapes(pen: ImageDraw.ImageDraw) -> None:
        dots, pitch = tools.colour(random, 60, 220), int(random.integers(10, 20))
        for row, y in enumerate(range(0, high, pitch)):
            radius = pitch * (0.55 * (1 - y / high) if fading else 0.3)
            for x in range(pitch // 2 * (row % 2), wide, pitch):
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dots)
        pen.rectangle((0, high * 0.8, wide, high), fill=tools.colour(random, 60, 220), outline=BLACK, width=6)
        for middle in (wide * random.uniform(0.2, 0.35), wide * random.uniform(0.6, 0.8)):
            _figure(random, pen, middle, high * random.uniform(0.4, 0.5), high, skins[random.integers(3)])

    return tools.supersampled(size, tools.colour(random, 120, 250), shapes)


def _bubble(left: int, top: int, width: int, more: int, pen: ImageDraw.ImageDraw) -> None:
    """A speech bubble at twice the size, `more` pixels larger on all sides."""
    box = (left - more, top - more, left + width + more, top + 100 + more)
    pen.rounded_rectangle(tools.twice(box), 70, fill=255)
    tail = [(2 * left + x, 2 * top + y) for x, y in ((180, 184), (260, 184), (160, 290))]
    pen.polygon(tail, fill=255)
    if more:
        pen.line([*tail, tail[0]], fill=255, width=4 * more, joint="curve")


def _figure(
    random: np.random.Generator, pen: ImageDraw.ImageDraw, x: float, y: float, high: int, skin: Colour
) -> None:
    """A person from head to belt, in flat colours with black outlines."""
    head, line = high * random.uniform(0.07, 0.1), 7
    shirt, hair = tools.colour(random, 30, 240), tools.colour(random, 0, 160)
    body = (x - 1.5 * head, y + 1.1 * head, x + 1.5 * head, y + 5 * head)
    pen.rounded_rectangle(body, head * 0.8, fill=shirt, outline=BLACK, width=line)
    for side in (-1, 1):
        arm = (
            (x + side * 1.3 * head, y + 1.8 * head),
            (x + side * head * random.uniform(1.8, 2.6), y + 3 * head),
        )
        pen.line(arm, fill=BLACK, width=int(head * 0.7) + 2 * line)
        pen.line(arm, fill=shirt, width=int(head * 0.7))
    pen.ellipse(
        (x - 1.1 * head, y - 1.4 * head, x + 1.1 * head, y + 0.8 * head),
        fill=hair,
        outline=BLACK,
        width=line,
    )
    pen.ellipse((x - head, y - head, x + head, y + 1.2 * head), fill=skin, outline=BLACK, width=line)
    for middle in (x - 0.4 * head, x + 0.4 * head):
        eye = (middle - 10, y - 10, middle + 10, y + 18)
        pen.ellipse(eye, fill=BLACK)
    mouth = (x - 0.4 * head, y + 0.3 * head, x + 0.4 * head, y + 0.8 * head)
    pen.arc(mouth, 10, 170, fill=BLACK, width=line)
