"""The codecs that caesura is compared with, behind one interface, `Codec`; `OTHERS` lists them.

AVIF, JPEG XL and HEIC use at most `threads()` threads; JPEG, JPEG 2000 and WebP use one. Codecs are pickled
and sent to other processes, so libraries are imported where they are used.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from caesura.bench.schema import Missing
from caesura.errors import ConfigError, DependencyError
from caesura.runtime import parallel

Pixels = NDArray[np.uint8]


class Codec(Protocol):
    """A codec of RGB pictures.

    Attributes:
        name: as reports show it.
        settings: a ladder from small to large files; one setting if it is lossless.
        version: of everything that the files depend on. Cached measurements are used while it is the same.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def version(self) -> str:
        """Raises DependencyError where the codec is not installed."""
        ...

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """The file of a picture, uint8 (H, W, 3)."""
        ...

    def decode(self, data: bytes) -> Pixels:
        """The picture of a file, uint8 (H, W, 3)."""
        ...


def threads() -> int:
    """Maximum number of threads of a codec: CAESURA_THREADS, or the number of processors."""
    return parallel.threads()


@dataclass(frozen=True)
class PillowCodec:
    """A codec that comes with Pillow.

    Attributes:
        kind: Pillow's name of the file format.
        feature: Pillow's name of the library.
        options: passed to `Image.save`.
        argument: the option of `Image.save` that takes the setting.
    """

    name: str
    settings: tuple[float, ...]
    kind: str
    feature: str
    options: tuple[tuple[str, Any], ...]
    argument: str = "quality"

    @property
    def version(self) -> str:
        """See `Codec`."""
        number = features.version(self.feature)
        if number is None:
            raise DependencyError(f"this Pillow is built without {self.feature}")
        return f"{self.feature} {number} (Pillow {version('pillow')}), {_listed(self.options)}"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        out = io.BytesIO()
        value: Any = [setting] if self.argument == "quality_layers" else round(setting)
        Image.fromarray(pixels).save(out, self.kind, **dict(self.options), **{self.argument: value})
        return out.getvalue()

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))


@dataclass(frozen=True)
class Avif:
    """AVIF by libaom through Pillow.

    Attributes:
        speed: 0 (slowest) to 10.
        tune: what libaom optimises: "psnr" squared error, "iq" (image quality) perceived quality, and
            "ssimulacra2" that metric. libavif uses "iq" by default since 1.3.
        chroma: subsampling. 4:2:0 saves bits by metrics that weigh luma most, such as PSNR-HVS-M and CVVDP.
        screen: turn on libaom's tools for drawn pictures (tune-content). Otherwise libaom decides by the
            pixels, and leaves them off for shaded objects on white, where they save bytes.
    """

    speed: int
    tune: str
    settings: tuple[float, ...] = (4, 14, 26, 38, 50, 62, 76, 91)
    chroma: str = "4:4:4"
    screen: bool = False

    @property
    def name(self) -> str:
        """See `Codec`."""
        chroma = "" if self.chroma == "4:4:4" else f" {self.chroma}"
        screen = " screen" if self.screen else ""
        return f"AVIF speed {self.speed} tune={self.tune}{chroma}{screen}"

    @property
    def version(self) -> str:
        """See `Codec`."""
        number, aom = features.version("avif"), None
        if number is not None:
            from PIL import AvifImagePlugin

            aom = AvifImagePlugin.get_codec_version("aom")
        if aom is None:
            raise DependencyError("this Pillow is built without libaom")
        try:
            self.encode(np.zeros((8, 8, 3), np.uint8), self.settings[0])
        except ValueError as error:
            raise DependencyError(f"this Pillow's libaom, {aom}, has no tune={self.tune}") from error
        return f"libaom {aom}, libavif {number} (Pillow {version('pillow')}), {self.chroma}"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        out = io.BytesIO()
        Image.fromarray(pixels).save(
            out,
            "AVIF",
            codec="aom",
            speed=self.speed,
            subsampling=self.chroma,
            quality=round(setting),
            max_threads=threads(),
            advanced={"tune": self.tune} | ({"tune-content": "screen"} if self.screen else {}),
        )
        return out.getvalue()

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = threads()
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))


@dataclass(frozen=True)
class SharpWebp:
    """WebP through libvips, with chroma for sharp edges (sharp YUV), for which Pillow has no option."""

    name: str = "WebP method 6 sharp YUV"
    settings: tuple[float, ...] = (1, 8, 22, 40, 60, 78, 90, 100)

    @property
    def version(self) -> str:
        """See `Codec`."""
        vips = needed("pyvips")
        number = ".".join(str(vips.version(part)) for part in range(3))
        return f"libvips {number} (pyvips {version('pyvips')}), effort 6, smart_subsample"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        picture = needed("pyvips").Image.new_from_array(pixels)
        return bytes(picture.webpsave_buffer(Q=round(setting), effort=6, smart_subsample=True))

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))


@dataclass(frozen=True)
class JpegXl:
    """JPEG XL through imagecodecs; settings are Butteraugli distances, from large to small."""

    effort: int = 7
    settings: tuple[float, ...] = (15, 10, 6.5, 4.2, 2.7, 1.7, 1, 0.5)

    @property
    def name(self) -> str:
        """See `Codec`."""
        return f"JPEG XL effort {self.effort}"

    @property
    def version(self) -> str:
        """See `Codec`."""
        return f"{needed('imagecodecs').jpegxl_version()} (imagecodecs {version('imagecodecs')})"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        encode = needed("imagecodecs").jpegxl_encode
        return bytes(encode(pixels, distance=setting, effort=self.effort, numthreads=threads()))

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        return np.asarray(needed("imagecodecs").jpegxl_decode(data, numthreads=threads()), np.uint8)


@dataclass(frozen=True)
class Jpegli:
    """JPEG files by jpegli, through imagecodecs if that is built with it, otherwise through pyjpegli.

    The library chooses 4:2:0 or 4:4:4 by the quality.
    """

    name: str = "jpegli"
    settings: tuple[float, ...] = (5, 12, 22, 38, 58, 74, 86, 94)

    @property
    def version(self) -> str:
        """See `Codec`."""
        if _has_jpegli():
            return f"imagecodecs {version('imagecodecs')}"
        needed("pyjpegli")
        return f"pyjpegli {version('pyjpegli')}"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        if _has_jpegli():
            return bytes(needed("imagecodecs").jpegli_encode(pixels, level=round(setting)))
        height, width, _ = pixels.shape
        encode = needed("pyjpegli").encode
        return bytes(encode(np.ascontiguousarray(pixels).tobytes(), width, height, quality=round(setting)))

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        if _has_jpegli():
            return np.asarray(needed("imagecodecs").jpegli_decode(data), np.uint8)
        samples, width, height = needed("pyjpegli").decode(data, max_pixels=None)
        return np.frombuffer(samples, np.uint8).reshape(height, width, 3)


@dataclass(frozen=True)
class Heic:
    """HEIC, 4:4:4, by x265 and libde265 through pillow-heif."""

    name: str = "HEIC"
    settings: tuple[float, ...] = (4, 10, 17, 25, 34, 44, 56, 68)

    @property
    def version(self) -> str:
        """See `Codec`."""
        info = needed("pillow_heif").libheif_info()
        if not info["HEIF"]:
            raise DependencyError("this pillow-heif is built without an HEVC encoder")
        return f"{info['HEIF']}, libheif {info['libheif']} (pillow-heif {version('pillow-heif')}), 4:4:4"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        heif, out = needed("pillow_heif"), io.BytesIO()
        picture = heif.from_pillow(Image.fromarray(pixels))
        pools = {"x265:pools": str(threads())}
        picture.save(out, quality=round(setting), chroma=444, enc_params=pools)
        return out.getvalue()

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        heif = needed("pillow_heif")
        heif.options.DECODE_THREADS = threads()
        return np.asarray(heif.open_heif(io.BytesIO(data)).to_pillow().convert("RGB"))


def _jpeg(subsampling: str, settings: tuple[float, ...]) -> PillowCodec:
    options = (("subsampling", subsampling), ("optimize", True))
    return PillowCodec(f"JPEG {subsampling}", settings, "JPEG", "libjpeg_turbo", options)


JPEG = _jpeg("4:2:0", (5, 10, 18, 30, 45, 62, 80, 94))
JPEG_444 = _jpeg("4:4:4", (4, 9, 16, 28, 44, 62, 79, 91))
# Settings are dB of PSNR. A ladder of rates would give every picture the same rate, and a mean curve 20%
# better than at equal qualities, as the ladders of the other codecs are.
JPEG_2000 = PillowCodec(
    "JPEG 2000",
    (24, 26.5, 29, 31.5, 34, 37, 40, 43),
    "JPEG2000",
    "jpg_2000",
    (("quality_mode", "dB"), ("irreversible", True), ("mct", 1), ("no_jp2", True)),
    "quality_layers",
)
WEBP = PillowCodec("WebP method 6", (1, 8, 22, 40, 60, 78, 90, 97), "WEBP", "webp", (("method", 6),))
AVIF_PSNR, AVIF_IQ, AVIF_SSIMULACRA2 = (Avif(6, tune) for tune in ("psnr", "iq", "ssimulacra2"))
AVIF_420 = Avif(6, "ssimulacra2", chroma="4:2:0")
SLOW: tuple[Codec, ...] = (
    Heic(),
    Avif(4, "psnr", (4, 20, 38, 55, 73, 91)),
    Avif(4, "iq", (4, 20, 38, 55, 73, 91)),
    JpegXl(9, (15, 8, 4.2, 2.2, 1.1, 0.5)),
)  # left out by --quick
OTHERS: tuple[Codec, ...] = (
    JPEG, JPEG_444, Jpegli(), JPEG_2000, WEBP, Avif(9, "psnr"), Avif(9, "iq"),
    AVIF_PSNR, AVIF_IQ, AVIF_SSIMULACRA2, AVIF_420, JpegXl(3), JpegXl(7), *SLOW,
)  # fmt: skip


def choose(wanted: str | None, known: Sequence[Codec]) -> list[Codec]:
    """The codecs whose names contain one of the comma-separated parts of `wanted`; all of them for None.

    Raises:
        ConfigError: no codec's name contains a part.
    """
    if wanted is None:
        return list(known)
    parts = [part.strip().lower() for part in wanted.split(",")]
    if parts == ["none"]:
        return []
    for part in parts:
        if not part or not any(part in codec.name.lower() for codec in known):
            allowed = ", ".join(codec.name for codec in known)
            raise ConfigError(f"codecs has {part!r}; parts of these names are allowed, or none: {allowed}")
    return [codec for codec in known if any(part in codec.name.lower() for part in parts)]


def installed(codecs: Sequence[Codec]) -> tuple[list[Codec], list[Missing]]:
    """The codecs that are installed, and the others with the reason."""
    here, missing = [], []
    for codec in codecs:
        try:
            _ = codec.version
        except DependencyError as error:
            missing.append(Missing(codec.name, str(error)))
        else:
            here.append(codec)
    return here, missing


def needed(module: str) -> Any:
    """A module of the extra `[bench]`.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.replace("_", "-")
        raise DependencyError(f"{package} is not installed; pip install 'caesura[bench]'") from error


def _has_jpegli() -> bool:
    try:
        return bool(needed("imagecodecs").JPEGLI.available)
    except (AttributeError, DependencyError, PackageNotFoundError):
        return False


def _listed(options: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options)
