"""Photographs coded at qualities or ladder positions, to which the measured fields of a bundle are fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura import metrics
from caesura.coding.base import DEFAULT_EFFORT
from caesura.errors import ConfigError
from caesura.format import container
from caesura.format.container import Header, Payload
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_pixels, to_rgb
from caesura.tiles.build import build_encoder
from caesura.tiles.decoder import Decoder
from caesura.tiles.grid import choose_cells
from caesura.tiles.source import Rows
from caesura.train.prepare import SUFFIXES, is_validation

_SIDES = 768, 512  # of the cut, in pixels, the longer along the picture's longer

Pixels = NDArray[np.uint8]


class Coded(NamedTuple):
    """A coded photograph.

    Attributes:
        header: of the file.
        bits: per pixel, of the whole file.
        pixels: uint8 (H, W, 3), decoded.
    """

    header: Header
    bits: float
    pixels: Pixels


def cuts(folder: Path, *, held_out: bool, most: int) -> list[Pixels]:
    """The middles of photographs, uint8 (H, W, 3) each, at most 768 x 512 pixels or 512 x 768.

    Args:
        folder: a tree of photographs.
        held_out: whether to take those that `caesura data prepare` holds out of training, or the others.
        most: the number to take, or fewer if there are fewer; the choice is the same each time.

    Raises:
        ConfigError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = [path for path in found if is_validation(path.name) == held_out]
    if not paths or most < 1:
        which = "held out of training" if held_out else "used in training"
        raise ConfigError(
            f"{folder} holds {len(paths)} photographs that are {which} and pictures is {most}; "
            "1 or more are allowed"
        )
    chosen = np.random.default_rng(0).permutation(len(paths))[:most]
    return [_middle(to_rgb(to_pixels(open_image(paths[number])))) for number in chosen]


def by_ladder_position(bundle: Bundle) -> Bundle:
    """The bundle with a quality scale on which quality is the ladder position, 1 to 100."""
    return dataclasses.replace(bundle, quality_scale=[(1.0, 1.0), (100.0, 100.0)])


def code(rgbs: list[Pixels], bundle: Bundle, quality: float) -> Iterator[Coded]:
    """The pictures coded at one quality and decoded; the bundle need not be installed."""
    position = ladder.position_of(quality, bundle.quality_scale)
    for rgb in rgbs:
        header = Header(bundle.id, 3, position, choose_cells(*rgb.shape[:2]), rgb.shape[1], rgb.shape[0])
        encoder = build_encoder(header, bundle, DEFAULT_EFFORT)
        segments = list(encoder.segments(rows_of(rgb)))
        pixels = np.empty(rgb.shape, np.uint8)
        for area, part in Decoder(header, bundle).parts(segments):
            pixels[area] = part
        size = len(container.write(header, Payload(segments)))
        yield Coded(header, metrics.bits_per_pixel(size, header.width, header.height), pixels)


def rows_of(rgb: Pixels) -> Rows:
    """The rows of a picture, uint8 (H, W, 3), as the encoder reads them."""
    return lambda first, last: (rgb[first:last], None)


def _middle(rgb: Pixels) -> Pixels:
    high, wide, _ = rgb.shape
    sides = _SIDES if wide >= high else _SIDES[::-1]
    left, top = (max(0, side - kept) // 2 for side, kept in zip((wide, high), sides, strict=True))
    return np.ascontiguousarray(rgb[top : top + sides[1], left : left + sides[0]])
