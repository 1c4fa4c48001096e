"""Lossless codecs, which `caesura bench --drawn` measures beside lossy ones; each has one setting.

They are measured on size alone, not timed, so the PNG optimiser may use more threads than `codecs.threads()`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from PIL import Image

from caesura.bench.codecs import Codec, PillowCodec, Pixels, needed, threads


@dataclass(frozen=True)
class JpegXlLossless:
    """Lossless JPEG XL (modular mode) through imagecodecs; settings are efforts."""

    name: str = "JPEG XL lossless effort 9"
    settings: tuple[float, ...] = (9,)

    @property
    def version(self) -> str:
        """See `Codec`."""
        return f"{needed('imagecodecs').jpegxl_version()} (imagecodecs {version('imagecodecs')}), lossless"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        encode = needed("imagecodecs").jpegxl_encode
        return bytes(encode(pixels, lossless=True, effort=round(setting), numthreads=threads()))

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        return np.asarray(needed("imagecodecs").jpegxl_decode(data, numthreads=threads()), np.uint8)


@dataclass(frozen=True)
class Png:
    """PNG by oxipng, which turns it into grey or a palette where that is exact; settings are its levels.

    Level 6 takes twice the time of level 4, and gives the same size on drawn text, maps and interfaces.
    """

    name: str = "PNG oxipng"
    settings: tuple[float, ...] = (4,)

    @property
    def version(self) -> str:
        """See `Codec`."""
        needed("oxipng")
        return f"pyoxipng {version('pyoxipng')}"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        return bytes(needed("oxipng").optimize_from_memory(out.getvalue(), level=round(setting)))

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))


WEBP_LOSSLESS = PillowCodec("WebP lossless", (100,), "WEBP", "webp", (("lossless", True), ("method", 6)))
LOSSLESS: tuple[Codec, ...] = (Png(), WEBP_LOSSLESS, JpegXlLossless())
