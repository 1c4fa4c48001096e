"""Pages of text, and text beside a photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from caesura.bench.drawing import tools
from caesura.bench.drawing.tools import BLACK, WHITE, Box
from caesura.bench.photos import skimage_data

_PHOTOGRAPHS = ("astronaut.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


def text(random: np.random.Generator) -> Image.Image:
    """A page of black text on white in two columns, with headings."""
    picture = Image.new("RGB", (1280, 800), WHITE)
    draw, body = ImageDraw.Draw(picture), int(random.integers(12, 17))
    draw.text((60, 36), tools.sentence(random, 5), fill=BLACK, font=tools.font(int(random.integers(34, 45))))
    for left in (60, 660):
        _column(random, draw, (left, 110, left + 560, 770), body)
    return picture


def mixed(random: np.random.Generator) -> Image.Image:
    """Two photographs, one above the other and not resized, beside a column of black text on white."""
    width, height = 500, 400
    picture = Image.new("RGB", (2 * width, 2 * height), WHITE)
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


def _column(random: np.random.Generator, draw: ImageDraw.ImageDraw, box: Box, size: int) -> None:
    """Paragraphs of text in a box, each after a heading or smaller than the last."""
    left, top, right, bottom = box
    y = top
    while y < bottom - 3 * size:
        heading, own = random.random() < 0.4, size if random.random() < 0.75 else size - 3
        if heading:
            draw.text((left, y), tools.sentence(random, 4), fill=BLACK, font=tools.font(size + 8))
            y += round(1.8 * (size + 8))
        for _ in range(random.integers(3, 8)):
            if y > bottom - 1.4 * own:
                return
            draw.text((left, y), tools.line(random, right - left, own), fill=BLACK, font=tools.font(own))
            y += round(1.4 * own)
        y += size
