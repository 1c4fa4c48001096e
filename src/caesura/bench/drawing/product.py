"""Objects on pure white, with soft shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from caesura.bench.drawing import tools


def product(random: np.random.Generator) -> Image.Image:
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
    cover = np.broadcast_to(np.array(tools.colour(random, 40, 240), np.float64), (side, side, 3)).copy()
    stripes = np.sin(v * random.uniform(4, 12) + u * random.uniform(0, 4)) > random.uniform(0.2, 0.8)
    cover[stripes] = tools.colour(random, 40, 240)
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
