"""A screenshot: windows with code, tables and forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from caesura.bench.drawing import tools
from caesura.bench.drawing.tools import BLACK, WHITE, Box, Colour

Content = Callable[[np.random.Generator, ImageDraw.ImageDraw, Box, Colour], None]


def interface(random: np.random.Generator) -> Image.Image:
    """A desktop with overlapping windows and a task bar; edges are sharp, and text is small."""
    width, height = 1280, 800
    top, bottom = tools.colour(random, 30, 150), tools.colour(random, 90, 220)
    ramp = np.linspace(0, 1, height, dtype=np.float64)[:, None, None]
    wall = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    picture = Image.fromarray(np.broadcast_to(np.rint(wall).astype(np.uint8), (height, width, 3)).copy())
    draw = ImageDraw.Draw(picture)
    for row in range(5):
        _icon(random, draw, 24, 20 + 92 * row, 44)
        draw.text((46, 70 + 92 * row), tools.word(random), fill=WHITE, font=tools.font(11), anchor="ma")
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
    draw.text((width - 14, height - 20), clock, fill=WHITE, font=tools.font(14), anchor="rm")
    return picture


def _window(random: np.random.Generator, picture: Image.Image, box: Box, content: Content) -> None:
    """A window with shadow, rounded corners, title bar, tool bar and what `content` draws inside."""
    left, top, right, bottom = box
    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).rounded_rectangle((left, top + 6, right, bottom + 8), 10, fill=90)
    picture.paste(BLACK, mask=shadow.filter(ImageFilter.GaussianBlur(9)))
    accent, inside = tools.colour(random, 40, 200), Image.new("RGB", picture.size, (246, 246, 248))
    draw = ImageDraw.Draw(inside)
    draw.rectangle((left, top, right, top + 30), fill=(225, 226, 230))
    for number, light in enumerate(((236, 95, 86), (245, 190, 60), (98, 196, 84))):
        draw.ellipse((left + 12 + 20 * number, top + 9, left + 24 + 20 * number, top + 21), fill=light)
    middle = (left + right) // 2
    draw.text(
        (middle, top + 15), tools.sentence(random, 3), fill=(60, 60, 66), font=tools.font(13), anchor="mm"
    )
    for number in range(7):
        _icon(random, draw, left + 12 + 34 * number, top + 36, 22)
    draw.line((left, top + 63, right, top + 63), fill=(200, 200, 206))
    content(random, draw, (left, top + 64, right, bottom), accent)
    mask = tools.smooth(picture.size, lambda pen: pen.rounded_rectangle(tools.twice(box), 20, fill=255))
    picture.paste(inside, mask=mask)


def _code(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, accent: Colour) -> None:
    """An editor: coloured words on a dark ground, with line numbers."""
    left, top, right, bottom = box
    draw.rectangle(box, fill=(30, 31, 38))
    colours = (accent, (214, 214, 220), (130, 190, 250), (240, 170, 110), (150, 210, 140))
    for number, y in enumerate(range(top + 6, bottom - 14, 18)):
        draw.text((left + 30, y), f"{number + 1}", fill=(96, 98, 110), font=tools.font(12), anchor="ra")
        x = left + 44 + 24 * int(random.integers(4))
        for _ in range(random.integers(0, 7)):
            word = tools.word(random) + ("", "()", " =", ":", ",")[random.integers(5)]
            if x + tools.font(13).getlength(word) > right - 12:
                break
            draw.text((x, y), word, fill=colours[random.integers(len(colours))], font=tools.font(13))
            x += round(tools.font(13).getlength(word)) + 7


def _table(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, accent: Colour) -> None:
    """A list of files beside a side bar, with one row selected."""
    left, top, right, bottom = box
    draw.rectangle((left, top, left + 130, bottom), fill=(234, 235, 240))
    for y in range(top + 10, bottom - 20, 28):
        draw.ellipse((left + 12, y + 2, left + 24, y + 14), fill=tools.colour(random, 60, 220))
        draw.text((left + 32, y), tools.word(random), fill=(50, 50, 56), font=tools.font(13))
    draw.rectangle((left + 131, top, right, bottom), fill=WHITE)
    chosen = int(random.integers(8))
    for row, y in enumerate(range(top + 2, bottom - 22, 24)):
        if row == chosen:
            draw.rectangle((left + 131, y, right, y + 23), fill=accent)
        elif row % 2:
            draw.rectangle((left + 131, y, right, y + 23), fill=(244, 245, 248))
        ink = WHITE if row == chosen else (40, 40, 44)
        draw.text(
            (left + 142, y + 4),
            f"{tools.word(random)}-{tools.word(random)}.png",
            fill=ink,
            font=tools.font(13),
        )
        size = f"{random.integers(1, 999)} kB"
        draw.text((right - 16, y + 4), size, fill=ink, font=tools.font(13), anchor="ra")


def _form(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, accent: Colour) -> None:
    """Labels with fields, check boxes, a slider or a progress bar, and two buttons."""
    left, top, right, bottom = box
    for y in range(top + 20, bottom - 80, 44):
        draw.text(
            (left + 24, y + 4), f"{tools.word(random).capitalize()}:", fill=(40, 40, 46), font=tools.font(14)
        )
        start, kind = left + 150, random.integers(3)
        if kind == 0:
            draw.rounded_rectangle((start, y, right - 30, y + 26), 5, fill=WHITE, outline=(180, 180, 188))
            draw.text((start + 8, y + 5), tools.sentence(random, 4), fill=(70, 70, 76), font=tools.font(13))
        elif kind == 1:
            draw.rounded_rectangle((start, y + 4, start + 16, y + 20), 3, fill=accent)
            draw.line([(start + 4, y + 12), (start + 7, y + 15), (start + 12, y + 8)], fill=WHITE, width=2)
            draw.text((start + 26, y + 5), tools.sentence(random, 5), fill=(40, 40, 46), font=tools.font(13))
        else:
            value = int(random.integers(start + 20, right - 40))
            draw.rounded_rectangle((start, y + 8, right - 30, y + 16), 4, fill=(210, 211, 216))
            draw.rounded_rectangle((start, y + 8, value, y + 16), 4, fill=accent)
    for number, (name, fill, ink) in enumerate(
        (("OK", accent, WHITE), ("Cancel", (228, 229, 233), (50, 50, 56)))
    ):
        start = right - 230 + 108 * number
        draw.rounded_rectangle((start, bottom - 50, start + 96, bottom - 20), 6, fill=fill)
        draw.text((start + 48, bottom - 35), name, fill=ink, font=tools.font(14), anchor="mm")


def _icon(random: np.random.Generator, draw: ImageDraw.ImageDraw, left: int, top: int, side: int) -> None:
    """A small sign in one or two flat colours."""
    colour, inset = tools.colour(random, 40, 230), side // 4
    box = (left, top, left + side, top + side)
    inner = (left + inset, top + inset, left + side - inset, top + side - inset)
    if random.random() < 0.5:
        draw.rounded_rectangle(box, side // 5, fill=colour)
    else:
        draw.ellipse(box, fill=colour)
    if random.random() < 0.5:
        draw.rectangle(inner, outline=WHITE, width=max(1, side // 12))
    else:
        draw.polygon([(inner[0], inner[3]), (left + side // 2, inner[1]), (inner[2], inner[3])], fill=WHITE)
