"""Pictures drawn by code, of kinds that photographs lack, so that pure white and black are coded exactly.

Objects on white, text, user interfaces, flat colours, gradients, and textures with a hard border. Most have a
large area of pure white, some of pure black. No file is read; the font is the one inside Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_LETTERS = (
    "eeeeeeetttttaaaaaooooiiiinnnnsssrrrhhhlldduuccmmwfgypbvkxjqzETAOINSRHLD0123456789.,:;-()/%&!?" + 16 * " "
)


def drawn(random: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """One picture of a random kind: uint8 (side, side, 3).

    Three quarters of the pictures are pure white on a fifth of their pixels or more, a sixth pure black.

    Args:
        random: source of all choices.
        side: of the picture, in pixels, 8 or more.
    """
    kinds, shares = zip(*_KINDS, strict=True)
    return np.array(kinds[random.choice(len(kinds), p=shares)](random, side))


def _objects(random: np.random.Generator, side: int) -> Image.Image:
    """Shaded shapes on pure white or black, most with a soft shadow, like product photographs."""
    paper = _WHITE if random.random() < 0.8 else _BLACK
    picture = Image.new("RGB", (side, side), paper)
    for _ in range(random.integers(1, 4)):
        radius = side * random.uniform(0.1, 0.35)
        x, y = random.uniform(0.2, 0.8, 2) * side
        if random.random() < 0.7:
            shadow = _shadow(random, side, x, y + radius * random.uniform(0.6, 1), radius)
            tone = _BLACK if paper == _WHITE else _colour(random)
            picture.paste(tone, mask=shadow)
        ramp = _ramp(random, side)
        if random.random() < 0.3:
            ramp = ramp + _texture(random, side) * np.float32(random.uniform(0.05, 0.3))
        surface = _blend(_colour(random), _colour(random), ramp)
        picture.paste(surface, mask=_outline(random, side, x, y, radius))
    return picture


def _outline(random: np.random.Generator, side: int, x: float, y: float, radius: float) -> Image.Image:
    """A mask with smooth edges: a disc, a box or a polygon, one or two, drawn at twice the size."""
    mask = Image.new("L", (2 * side, 2 * side))
    draw = ImageDraw.Draw(mask)
    for _ in range(random.integers(1, 3)):
        width, height = 2 * radius * random.uniform(0.4, 1, 2)
        box = (2 * x - width, 2 * y - height, 2 * x + width, 2 * y + height)
        shape = random.integers(3)
        if shape == 0:
            draw.ellipse(box, fill=255)
        elif shape == 1:
            draw.rounded_rectangle(box, min(width, height) * random.uniform(0, 1), fill=255)
        else:
            angles = np.sort(random.uniform(0, 2 * math.pi, random.integers(3, 9)))
            corners = zip(2 * x + width * np.cos(angles), 2 * y + height * np.sin(angles), strict=True)
            draw.polygon([(float(u), float(v)) for u, v in corners], fill=255)
    return mask.reduce(2)


def _shadow(random: np.random.Generator, side: int, x: float, y: float, radius: float) -> Image.Image:
    """A mask with soft edges: a flat ellipse, blurred at a quarter of the size."""
    mask = Image.new("L", (max(1, side // 4),) * 2)
    width, height = radius / 4, radius / 4 * random.uniform(0.1, 0.4)
    box = (x / 4 - width, y / 4 - height, x / 4 + width, y / 4 + height)
    ImageDraw.Draw(mask).ellipse(box, fill=int(random.integers(30, 140)))
    blurred = mask.filter(ImageFilter.GaussianBlur(radius / 4 * random.uniform(0.05, 0.3)))
    return blurred.resize((side, side), Image.Resampling.BILINEAR)


def _text(random: np.random.Generator, side: int) -> Image.Image:
    """Lines of letters of one size, in one colour."""
    paper = _paper(random)
    picture = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(picture)
    draw.fontmode = "1" if random.random() < 0.1 else "L"
    size = round(9 * (max(side, 32) / 4 / 9) ** random.random())
    margin, ink = random.uniform(-0.1, 0.2) * side, _ink(random, paper)
    bottom = side * random.uniform(0.3, 1.1)
    y = random.uniform(-0.1, 0.3) * side
    spacing = size * random.uniform(1.1, 1.8)
    while y < bottom:
        width = (side - margin) * (1 if random.random() < 0.6 else random.uniform(0.2, 1))
        draw.text((margin, y), _letters(random, 1 + int(width / size * 2)), fill=ink, font=_font(size))
        y += spacing
    return picture


def _interface(random: np.random.Generator, side: int) -> Image.Image:
    """Windows with bars, buttons, icons and tables; edges are sharp and lines one pixel wide."""
    paper = _paper(random)
    picture = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(picture)
    ink, accent, font = _ink(random, paper), _colour(random), _font(int(random.integers(9, 15)))
    bar = int(side * random.uniform(0.05, 0.15))
    draw.rectangle((0, 0, side, bar), fill=accent)
    draw.text((4, 1), _letters(random, 12), fill=_ink(random, accent), font=font)
    for _ in range(random.integers(1, 6)):
        left, top, right, bottom = _box(random, side, 0.05, 0.4)
        fill = [None, accent, _colour(random)][random.integers(3)]
        shape = (left, top + bar, right, bottom + bar)
        if random.random() < 0.3:
            draw.ellipse((left, top + bar, left + bar, top + 2 * bar), fill=accent, outline=ink)
        elif random.random() < 0.5:
            draw.rounded_rectangle(shape, 4, fill=fill, outline=ink)
        else:
            draw.rectangle(shape, fill=fill, outline=ink)
        draw.text((left + 4, top + bar + 2), _letters(random, 8), fill=_ink(random, fill or paper), font=font)
    if random.random() < 0.5:
        step, (left, top, right, bottom) = int(random.integers(10, 30)), _box(random, side, 0.3, 0.8)
        for y in range(top, bottom, step):
            draw.line((left, y, right, y), fill=ink)
        for x in range(left, right, 3 * step):
            draw.line((x, top, x, bottom), fill=ink)
    return picture


def _flat(random: np.random.Generator, side: int) -> Image.Image:
    """One colour all over, or a few large rectangles."""
    picture = Image.new("RGB", (side, side), _paper(random))
    if random.random() < 0.5:
        for _ in range(random.integers(1, 4)):
            picture.paste(_colour(random), _box(random, side, 0.2, 0.7))
    return picture


def _gradient(random: np.random.Generator, side: int) -> Image.Image:
    """From one colour to another, often to white or black and then flat; some with a trace of noise."""
    over = random.uniform(1, 2) if random.random() < 0.7 else 1
    ramp = _ramp(random, side) * np.float32(over)
    if random.random() < 0.25:
        ramp += random.standard_normal((side, side), dtype=np.float32) * np.float32(
            random.uniform(0.002, 0.02)
        )
    end = _paper(random)
    return _framed(random, side, _blend(_colour(random), end, ramp), end)


def _texture_beside(random: np.random.Generator, side: int) -> Image.Image:
    """Grain like that of photographs, with a hard border to pure white or black."""
    ramp = 0.5 + _texture(random, side) * np.float32(random.uniform(0.1, 0.6))
    return _framed(random, side, _blend(_colour(random), _colour(random), ramp), _paper(random))


def _framed(random: np.random.Generator, side: int, filling: Image.Image, paper: Colour) -> Image.Image:
    """A filling in a box, in one half, or all over."""
    layout = random.random()
    if layout < 0.2:
        return filling
    box = _box(random, side, 0.3, 0.7)
    if layout < 0.6:
        cut = int(side * random.uniform(0.3, 0.7))
        box = [(0, 0, cut, side), (cut, 0, side, side), (0, 0, side, cut), (0, cut, side, side)][
            random.integers(4)
        ]
    picture = Image.new("RGB", (side, side), paper)
    picture.paste(filling.crop(box), box)
    return picture


def _ramp(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """float32 (side, side) from 0 to 1: along a line, away from a point, or a vignette."""
    row, column = np.ogrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    kind = random.integers(3)
    if kind == 0:
        angle = random.uniform(0, 2 * math.pi)
        values = row * math.sin(angle) + column * math.cos(angle)
    else:
        y, x = random.uniform(0, 1, 2) if kind == 1 else (0.5, 0.5)
        values = (row - y) ** 2 + (column - x) ** 2
        values = values**2 if kind == 2 else np.sqrt(values)
    ramp: NDArray[np.float32] = values.astype(np.float32)
    ramp -= ramp.min()
    ramp /= ramp.max()
    return ramp if random.random() < 0.5 else np.float32(1) - ramp


def _texture(random: np.random.Generator, side: int) -> NDArray[np.float32]:
    """float32 (side, side), mean about 0, deviation about 1: noise, stronger where it is coarser."""
    total, energy, cells, fall = np.zeros((side, side), np.float32), 0.0, 2, random.uniform(0.5, 0.9)
    while cells < 2 * side:
        octave = Image.fromarray(random.standard_normal((min(cells, side),) * 2, dtype=np.float32))
        weight = fall ** math.log2(cells)
        total += np.asarray(octave.resize((side, side), Image.Resampling.BILINEAR)) * np.float32(weight)
        energy, cells = energy + weight**2 / 2, 2 * cells
    return total / np.float32(math.sqrt(energy))


def _blend(start: Colour, end: Colour, ramp: NDArray[np.float32]) -> Image.Image:
    """From `start` where the ramp is 0 or less to `end` where it is 1 or more."""
    mask = Image.fromarray(np.rint(np.clip(ramp, 0, 1) * np.float32(255)).astype(np.uint8))
    return Image.composite(Image.new("RGB", mask.size, end), Image.new("RGB", mask.size, start), mask)


def _box(random: np.random.Generator, side: int, least: float, most: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box inside, its sides `least` to `most` of the picture's."""
    width, height = (max(1, int(side * share)) for share in random.uniform(least, most, 2))
    left, top = int(random.integers(side - width + 1)), int(random.integers(side - height + 1))
    return left, top, left + width, top + height


def _paper(random: np.random.Generator) -> Colour:
    """Mostly pure white, sometimes pure black."""
    value = random.random()
    return _WHITE if value < 0.78 else _BLACK if value < 0.94 else _colour(random)


def _colour(random: np.random.Generator) -> Colour:
    """Any colour, or one with all channels at 0 or 255."""
    channels = random.integers(0, 256, 3) if random.random() < 0.75 else random.integers(0, 2, 3) * 255
    red, green, blue = channels.tolist()
    return red, green, blue


def _ink(random: np.random.Generator, paper: Colour) -> Colour:
    """A colour that contrasts with `paper`, most often black or white."""
    plain = _BLACK if sum(paper) > 382 else _WHITE
    colour = _colour(random) if random.random() < 0.4 else plain
    return colour if sum(abs(a - b) for a, b in zip(colour, paper, strict=True)) > 150 else plain


def _letters(random: np.random.Generator, count: int) -> str:
    return "".join(_LETTERS[number] for number in random.integers(len(_LETTERS), size=count))


@lru_cache(64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


_KINDS: tuple[tuple[Callable[[np.random.Generator, int], Image.Image], float], ...] = (
    (_objects, 0.25),
    (_text, 0.2),
    (_interface, 0.15),
    (_flat, 0.13),
    (_gradient, 0.12),
    (_texture_beside, 0.15),
)
