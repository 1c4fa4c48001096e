"""Pictures drawn by code, of kinds that photographs lack: text, interfaces, charts, maps, comics, flat areas.

They depend on the kind and a seed alone: a seed gives the same pixels with the same versions of NumPy and
Pillow, another seed another picture of the same kind. The font is the one inside Pillow; the photographs of
`mixed` are those of scikit-image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.bench.drawing import comic, graphics, interface, pages, product, tools
from caesura.errors import ConfigError


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


def _white(random: np.random.Generator) -> Image.Image:
    """Nothing but white."""
    return Image.new("RGB", (1000, 1000), tools.WHITE)


_DRAW: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "text": pages.text,
    "interface": interface.interface,
    "chart": graphics.chart,
    "map": graphics.street_map,
    "comic": comic.comic,
    "product": product.product,
    "noise": _noise,
    "gradient": _gradient,
    "mixed": pages.mixed,
    "white": _white,
}
KINDS = tuple(_DRAW)
