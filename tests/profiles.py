"""A colour profile for CMYK, small enough to be made by the tests: Pillow makes none."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from PIL import Image, ImageCms

WHITE = (0.9642, 1.0, 0.8249)  # D50


INKS = np.array([[0, 158, 224], [226, 0, 122], [255, 236, 0], [40, 38, 36]]) / 255  # what each lets through


def ink(*inks: int) -> list[int]:
    """The sRGB colour that full inks (1) and none (0), in the order of CMYK, make by the profile."""
    colour = 255 * np.prod(np.where(np.array(inks)[:, None], INKS, 1), axis=0)
    return [round(float(value)) for value in colour]


def cmyk_profile() -> bytes:
    """An ICC profile, version 2, of a printer: 16 combinations of full inks, and straight between."""
    corners = [ink(*inks) for inks in itertools.product((0, 1), repeat=4)]
    colours = Image.fromarray(np.array([corners], np.uint8))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    coded = ImageCms.profileToProfile(
        colours, srgb, lab, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="LAB"
    )
    assert coded is not None
    grid = np.stack([np.asarray(channel) for channel in coded.split()], axis=-1)
    straight = bytes(range(256))
    unit = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + 4 * straight + grid.tobytes() + 3 * straight
    return _profile(
        {
            b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks\0" + bytes(78),
            b"cprt": b"text\0\0\0\0CC0\0",
            b"wtpt": b"XYZ \0\0\0\0" + _xyz(),
            b"A2B0": table,
        }
    )


def _profile(tags: dict[bytes, bytes]) -> bytes:
    index, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        index += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI", start + len(body), b"test", 0x02400000) + b"prtrCMYKLab "
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp"
    return header.ljust(68, b"\0") + _xyz() + bytes(48) + index + body


def _xyz() -> bytes:
    return struct.pack(">3i", *(round(65536 * value) for value in WHITE))
