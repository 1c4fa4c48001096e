"""Photographs coded at qualities or ladder positions: what a bundle's measured fields are fitted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import caesura
from caesura.errors import ConfigError
from caesura.format import container
from caesura.format.container import Header
from caesura.models.bundle import Bundle
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_pixels, to_rgb
from caesura.tiles.decoder import Decoder
from caesura.train.prepare import SUFFIXES, is_validation

_SIDES = 768, 512  # of the cut, in pixels, the longer along the picture's longer

Pixels = NDArray[np.uint8]


class Coded(NamedTuple):
    """A photograph coded.

    Attributes:
        header: of the file.
        bits: per pixel, of the whole file.
        pixels: uint8 (H, W, 3), what it decodes to.
    """

    header: Header
    bits: float
    pixels: Pixels


def cuts(folder: Path, *, held_out: bool, most: int) -> list[Pixels]:
    """The middles of photographs, uint8 (H, W, 3) each, at most 768 x 512 pixels or 512 x 768.

    Args:
        folder: a tree of photographs.
        held_out: those that `caesura data prepare` holds out of training, or else the others.
        most: so many of them, drawn alike each time.

    Raises:
        ConfigError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = [path for path in found if is_validation(path.name) == held_out]
    if not paths or most < 1:
        which = "held out" if held_out else "trained on"
        raise ConfigError(
            f"{folder} holds {len(paths)} photographs that are {which} and pictures is {most}; "
            "1 or more are allowed"
        )
    chosen = np.random.default_rng(0).permutation(len(paths))[:most]
    return [_middle(to_rgb(to_pixels(open_image(paths[number])))) for number in chosen]


def on_own_scale(bundle: Bundle) -> Bundle:
    """The bundle with the place on its own scale as the quality, 1 to 100."""
    return dataclasses.replace(bundle, quality_scale=[(1.0, 1.0), (100.0, 100.0)])


def code(rgbs: list[Pixels], bundle: Bundle, quality: float) -> Iterator[Coded]:
    """Each picture coded at one quality and decoded; the bundle need not be one that is found."""
    for rgb in rgbs:
        data = caesura.encode(rgb, quality=quality, model=bundle)
        header, payload = container.read(data)
        pixels = np.empty(rgb.shape, np.uint8)
        for area, part in Decoder(header, bundle).parts(payload.segments):
            pixels[area] = part
        yield Coded(header, 8 * len(data) / (header.width * header.height), pixels)


def _middle(rgb: Pixels) -> Pixels:
    high, wide, _ = rgb.shape
    sides = _SIDES if wide >= high else _SIDES[::-1]
    left, top = (max(0, side - kept) // 2 for side, kept in zip((wide, high), sides, strict=True))
    return np.ascontiguousarray(rgb[top : top + sides[1], left : left + sides[0]])
