"""Colours, words and smooth shapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
_VOCABULARY = (
    "the of and to in a is that for it as was with be by on not he this are or his from at which but have an "
    "had they you were their one all we can her has there been if more when will would who so no picture "
    "window harbour measure bridge green winter engine letter paper light river table signal morning quality "
    "station garden number question window silver level market street forest between example distance however"
)
_WORDS = _VOCABULARY.split()


def supersampled(
    size: tuple[int, int], paper: Colour, shapes: Callable[[ImageDraw.ImageDraw], None]
) -> Image.Image:
    """A picture of this width and height whose shapes, drawn at twice the size, have smooth edges."""
    large = Image.new("RGB", (2 * size[0], 2 * size[1]), paper)
    shapes(ImageDraw.Draw(large))
    return large.reduce(2)


def smooth(size: tuple[int, int], shapes: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    """A mask of this width and height, of shapes that are drawn at twice the size."""
    large = Image.new("L", (2 * size[0], 2 * size[1]))
    shapes(ImageDraw.Draw(large))
    return large.reduce(2)


def twice(box: Box) -> Box:
    """A box at twice the size."""
    left, top, right, bottom = box
    return 2 * left, 2 * top, 2 * right, 2 * bottom


def colour(random: np.random.Generator, least: int, most: int) -> Colour:
    """A colour whose channels lie between `least` and `most`."""
    red, green, blue = random.integers(least, most + 1, 3).tolist()
    return red, green, blue


def word(random: np.random.Generator) -> str:
    """A word."""
    return _WORDS[random.integers(len(_WORDS))]


def sentence(random: np.random.Generator, count: int) -> str:
    """So many words, the first with a capital letter."""
    return " ".join(word(random) for _ in range(count)).capitalize()


def line(random: np.random.Generator, width: int, size: int) -> str:
    """Words that fill a line of `width` pixels in a font of `size`."""
    text = word(random).capitalize() if random.random() < 0.3 else word(random)
    while True:
        mark = ("", "", "", "", "", "", ",", ".")[random.integers(8)]
        longer = f"{text}{mark} {word(random)}"
        if font(size).getlength(longer) > width:
            return text
        text = longer


@lru_cache(64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font at a size in pixels."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # given a size, it is scalable
    return font
