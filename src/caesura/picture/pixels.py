"""Pixels in and out: what can be coded, padding to the transform's grid, and cropping back.

`codable` takes pictures as people have them (for printing, of 16 bits, animated) to the few modes that
`split` knows, and says what is lost on the way; the rest is about arrays.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from caesura.errors import CaesuraError, ImageError
from caesura.format import container
from caesura.picture import colour, facts, metadata
from caesura.picture.facts import Facts

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"})
_GREY = frozenset({"1", "L", "LA"})
_CONVERTED = {"La": "LA", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}  # each has one meaning
_PREVIEW = (
    0x00FE,
    1,
)  # TIFF's NewSubfileType, and its bit for "a smaller copy of another picture in this file"

_COLOUR_MAP, _MOST_OF_8_BITS = 320, 255  # a TIFF's tag

_UNREADABLE = "image cannot be read: "
# By EXIF's orientation, which a picture is looked at by; 1 is as it is stored.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Pixels = NDArray[np.uint8]
ImageLike = Image.Image | NDArray[np.uint8] | NDArray[np.floating[Any]]


def open_image(path: Path) -> Image.Image:
    """Read a picture file whole.

    Raises:
        ImageError: it cannot be read, or its format is not known to Pillow.
    """
    with readable(f"{path}: "):
        try:
            picture = Image.open(path)
        except UnidentifiedImageError as error:
            raise ImageError(f"{path} is not a picture in a format known here") from error
        picture.info[facts.KEY] = facts.of(picture)
    load(picture, f"{path}: ")
    return picture


@contextmanager
def readable(says: str = _UNREADABLE) -> Iterator[None]:
    """Whatever a library raises of a damaged picture, as an ImageError whose message begins so."""
    try:
        yield
    except (CaesuraError, MemoryError):
        raise
    except Exception as error:  # there is no common base but this: IndexError, KeyError, struct.error, ...
        told = not isinstance(error, (LookupError, TypeError, AttributeError))  # "tag", "index out of range"
        reason = (getattr(error, "strerror", None) or str(error)) if told else ""
        raise ImageError(f"{says}{reason or repr(error)}") from error


def load(image: Any, says: str = _UNREADABLE) -> None:
    """Read a Pillow image's pixels.

    Raises:
        ImageError: they cannot be read; its message begins with `says`.
    """
    # A TIFF on its side is not to be mapped into memory: Pillow would take the sides that it has when turned.
    name = getattr(image, "filename", "") if image.format == "TIFF" else ""
    with readable(says):
        try:
            if name:
                image.filename = ""
            metadata.check(image)
            image.load()
            metadata.check(image)  # of a PNG's text that follows the pixels
        finally:
            if name:
                image.filename = name


def to_pixels(image: ImageLike) -> Pixels:
    """An opaque picture as an array; as `split`, but transparency is refused.

    Raises:
        ImageError: the picture is not opaque, or see `split`.
    """
    pixels, alpha = split(image)
    if alpha is not None:
        raise ImageError(f"image has {_kind(image)} with transparency; only opaque pictures can be taken")
    return pixels


def split(image: ImageLike) -> tuple[Pixels, Pixels | None]:
    """The picture as arrays.

    Args:
        image: a Pillow image of mode 1, L, LA, P, PA, RGB, RGBA or RGBX; its EXIF orientation is not applied
            (see `upright`). Or an array (H, W) or (H, W, C): 1 or 3 channels, 2 or 4 with alpha last; uint8,
            or float in [0, 1], which is rounded to that.

    Returns:
        uint8 (H, W, 1) for grey, (H, W, 3) for RGB; and alpha, uint8 (H, W), or None if all is opaque.
        C-contiguous.

    Raises:
        ImageError: the mode, shape or dtype cannot be coded, or the picture is empty.
    """
    array: Any
    if isinstance(image, Image.Image):
        array = _from_pillow(image)
    else:
        array = _from_unit(image) if isinstance(image, np.ndarray) and image.dtype.kind == "f" else image
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            allowed = "a Pillow image or an array of uint8 or float is allowed"
            raise ImageError(f"image is an {_kind(image)}; {allowed}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"image has shape {array.shape}; (H, W) and (H, W, 1 to 4) are allowed")
    if 0 in array.shape:
        raise ImageError(f"image has shape {array.shape}; at least one pixel is needed")
    colours = container.colours(array.shape[2])
    alpha = None if colours == array.shape[2] else np.ascontiguousarray(array[:, :, -1])
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return np.ascontiguousarray(array[:, :, :colours]), alpha


def over_white(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Colours and alpha as `split` gives them, laid over white: uint8 (H, W, C)."""
    if alpha is None:
        return pixels
    weights = alpha[:, :, None].astype(np.uint16)
    return ((pixels * weights + 255 * (255 - weights) + 127) // 255).astype(np.uint8)


def _kind(image: ImageLike) -> str:
    if isinstance(image, Image.Image):
        return f"mode {image.mode}"
    return f"array of {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__


def to_image(pixels: Pixels) -> Image.Image:
    """uint8 (H, W, C) as a Pillow image of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def mode(channels: int) -> str:
    """Pillow's name for a picture of 1 to 4 channels."""
    return ("L", "LA", "RGB", "RGBA")[channels - 1]


def to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 1) or (H, W, 3) to (H, W, 3); a view."""
    rgb: NDArray[np.uint8] = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return rgb


def from_rgb(rgb: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) to (H, W, channels); grey is the rounded mean of the three."""
    if channels == 3:
        return rgb
    total: NDArray[np.uint16] = rgb.sum(axis=2, keepdims=True, dtype=np.uint16)
    return ((total + 1) // 3).astype(np.uint8)


def reduce(pixels: Pixels, scale: int) -> Pixels:
    """Means of squares of `scale` each way; those at the right and bottom may be cut.

    Colours count as much as they are opaque: none that nobody sees gets into the edge of what is seen.
    """
    if scale == 1:
        return pixels

    def means(planes: NDArray[Any]) -> NDArray[Any]:
        reduced = [Image.fromarray(plane).reduce(scale) for plane in planes.transpose(2, 0, 1)]
        return np.dstack([np.asarray(plane) for plane in reduced])

    if pixels.shape[2] in (1, 3):
        return means(pixels)
    colours, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    weights = alpha.astype(np.float32)  # Pillow's own way premultiplies in 8 bits, which darkens
    seen = means(colours * weights) / np.maximum(means(weights), np.finfo(np.float32).tiny)
    return np.dstack([(seen + np.float32(0.5)).astype(np.uint8), means(alpha)])


def pad(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Repeat the last row and column up to this size."""
    bottom, right = height - pixels.shape[0], width - pixels.shape[1]
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else pixels


def padded_side(side: int, stride: int, smallest: int) -> int:
    """A side's length when it is a multiple of `stride` and at least `smallest`."""
    return max(smallest, -(-side // stride) * stride)


def grid(height: int, width: int, stride: int, smallest: int) -> tuple[int, int]:
    """Rows and columns of latents of a picture, padded as `padded_side` says."""
    rows, columns = (padded_side(side, stride, smallest) // stride for side in (height, width))
    return rows, columns


def codable(image: Image.Image, *, strict: bool = False) -> Image.Image:
    """A picture as `split` takes it, made of what picture files hold.

    CMYK becomes sRGB by its colour profile, relative colorimetric with black point compensation, and LAB
    (D50) becomes sRGB in the same way; the profile is dropped, for it says nothing of the new pixels. Of more
    than 8 bits a sample the upper 8 are kept, of several frames the one that the picture is at. Premultiplied
    alpha, YCbCr and HSV are converted. EXIF, XMP and, but for CMYK and LAB, the profile stay.

    Where a file says of its colours in other ways that they are not sRGB (gAMA, cHRM and cICP of PNG, nclx
    of AVIF and HEIF, tags of TIFF, headers of BMP and JPEG 2000), the picture gets the profile that says the
    same; the pixels stay. Profiles of JPEG 2000 and BMP, EXIF and XMP of JPEG 2000, which Pillow leaves out,
    are kept too. Of a picture that was read from a stream and is loaded
    already, or copied, less is known of colours and depth (see `facts.of`).

    Pillow turns CMYK of JPEG files, which Adobe's programs store inverted, so that 0 is no ink; what is given
    here is to have it like that.

    Args:
        image: a picture of any mode.
        strict: refuse what is otherwise coded in part with a warning.

    Raises:
        ImageError: there is no one way to its colours (modes F and I, CMYK without a profile or with one
            that is damaged or of other colours), the picture is the small preview in a camera's raw file, it
            cannot be read, or `strict` forbids what would be lost.

    Warns:
        UserWarning: a part is lost: frames, bits of samples, or colours that no profile describes (HDR).
    """
    told = facts.of(image)  # before it is loaded
    check_whole(image, strict=strict)
    _check_depth(image, told, strict)
    load(image)
    image = _with_key(_with_palette(image), told)
    if told.exif or told.xmp:  # known as long as its file is open
        described, image = image, image.copy()
        image.info.update(metadata.in_info(described))
        image.info[facts.KEY], image.format = told, described.format
    mode = image.mode
    if mode == "CMYK":
        return _from_cmyk(image, image.info.get("icc_profile") or told.icc)
    if mode == "LAB":
        return _to_srgb(image, ImageCms.createProfile("LAB"))
    if mode in _CONVERTED:
        made = _described(image.convert(_CONVERTED[mode]), image)
    else:
        made = eight_bits(image, told, strict=strict)
    if made.mode not in _MODES:
        allowed = ", ".join(sorted({*_MODES, *_CONVERTED, "CMYK", "I;16", "LAB"}))
        raise ImageError(f"image has mode {mode}, whose range of values is not known; {allowed} are allowed")
    return _with_profile(made, image, told, strict)


def check_whole(image: Image.Image, *, strict: bool = False) -> None:
    """Warn of other frames of its file, which are lost.

    The second pictures of MPO files are left without a word if they are previews and gain maps, as phones
    write them beside every photo: a warning each time would be read by nobody, and `strict` would refuse
    what lacks nothing. A stereo pair or panorama counts as several frames. Layers of PSD files do not, for
    Pillow gives the picture that they make together.

    Raises:
        ImageError: `strict` is set and something would be lost, the picture is a preview of another in its
            file, or the file cannot be read.
    """
    tag, bit = _PREVIEW
    with readable():
        kind = getattr(image, "tag_v2", {}).get(tag)
        frames = _frames(image)
    if isinstance(kind, int) and kind & bit:
        raise ImageError(
            "image is the preview of another, as camera raw files have it; export the photo first"
        )
    if frames > 1:
        _concede(f"image has {frames} frames", f"frame {image.tell() + 1} alone is coded", "one is", strict)


def copied(image: Image.Image) -> Image.Image:
    """A copy that remembers what its file says."""
    told = facts.of(image)
    copy = image.copy()
    copy.info[facts.KEY], copy.format = told, image.format
    return copy


def _with_palette(image: Image.Image) -> Image.Image:
    """The picture with its palette as it is meant, if a TIFF's is of 8-bit values, as old ones are.

    Pillow takes the upper 8 of 16 bits. So libtiff tells them apart, by no value above 255.
    """
    values = getattr(image, "tag_v2", {}).get(_COLOUR_MAP)
    if image.mode != "P" or not values or max(values) > _MOST_OF_8_BITS:
        return image
    made = image.copy()
    with readable():
        made.putpalette(bytes(np.reshape(values, (3, -1)).T.astype(np.uint8)))
    return made


def _with_key(image: Image.Image, told: Facts) -> Image.Image:
    """The picture with the transparent grey that its file means."""
    key = image.info.get("transparency")
    if told.greys == _MOST_OF_8_BITS or image.mode != "L" or not isinstance(key, int):
        return image
    made = image.copy()
    made.info["transparency"] = key * _MOST_OF_8_BITS // told.greys
    return made


def _check_depth(image: Image.Image, told: Facts, strict: bool) -> None:
    """Warn that Pillow itself makes 8 of more bits of colours while it loads them."""
    if told.unreadable:
        raise ImageError(f"image has {told.unreadable}")
    if told.bits <= 8 or image.mode.startswith(("F", "I")):
        return
    if "transparency" in image.info:
        raise ImageError(
            f"image has a transparent colour of {told.bits} bits, {image.info['transparency']}, "
            "which 8 cannot tell from others; an alpha channel is needed"
        )
    _concede(*_upper_eight(image, told, strict), strict)


def eight_bits(image: Image.Image, told: Facts | None = None, *, strict: bool = False) -> Image.Image:
    """A picture of integers of more than 8 bits as one of mode L or LA, the upper 8, with a warning.

    Others are returned as they are. Such integers are modes I;16, and I if Pillow read it from a PNG or PGM
    file; they have 16 bits unless the facts `told` say otherwise.

    Raises:
        ImageError: it cannot be read, or `strict` is set.
    """
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PNG", "PPM"})):
        return image
    told = told or Facts(bits=16)
    _concede(*_upper_eight(image, told, strict), strict)
    with readable():
        samples = np.asarray(image)
    reduced = (samples >> (told.range - 8)).astype(np.uint8)
    if told.inverted:
        reduced = 255 - reduced
    key = image.info.get("transparency")
    if isinstance(key, int):
        reduced = np.dstack([reduced, np.where(samples == key, 0, 255).astype(np.uint8)])
    return _described(Image.fromarray(reduced), image)


def _upper_eight(image: Image.Image, told: Facts, strict: bool) -> tuple[str, str, str]:
    got = f" and samples of {told.bits} bits" if strict else ""
    return f"image has mode {image.mode}{got}", f"the upper 8 of its {told.bits} bits are coded", "8 bits are"


def _with_profile(made: Image.Image, image: Image.Image, told: Facts, strict: bool) -> Image.Image:
    """`made` of `image`, with the profile that the colours need by what the file says of them."""
    profile, lost = colour.profile(image.info, told, grey=made.mode in _GREY)
    if lost:
        done = "the pixels are coded unchanged, without what tells this"
        _concede(f"image has {lost}", done, "colours that an ICC profile describes are", strict)
    if profile is None or profile == image.info.get("icc_profile", b""):
        return made
    if made is image:
        made = image.copy()
        made.info.update(metadata.in_info(image))
    made.info["icc_profile"] = profile
    return made


def _concede(got: str, done: str, allowed: str, strict: bool) -> None:
    if strict:
        raise ImageError(f"{got}; {allowed} allowed with strict")
    # Of whom called `codec.encode`: there are two functions between.
    warnings.warn(f"{got}; {done}", stacklevel=6)


def _frames(image: Image.Image) -> int:
    """How many pictures there are that were meant to be looked at."""
    if image.format == "PSD" or not getattr(image, "is_animated", False):
        return 1
    if image.format != "MPO":
        return int(getattr(image, "n_frames", 1))
    entries = getattr(image, "mpinfo", {}).get(0xB002, [])
    return sum(entry["Attribute"]["MPType"].startswith("Multi-Frame") for entry in entries)


def _from_cmyk(image: Image.Image, content: bytes | None) -> Image.Image:
    if not content:
        raise ImageError(
            "image has mode CMYK and no colour profile, which its colours depend on; "
            "embed the profile that it was made for, or convert it to RGB by that"
        )
    with readable("image has mode CMYK and a damaged colour profile: "):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        colours = profile.profile.xcolor_space.strip()
    if colours != "CMYK":
        raise ImageError(f"image has mode CMYK and a colour profile of {colours}; one of CMYK is needed")
    return _to_srgb(image, profile)


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    with readable(f"image has mode {image.mode} and a damaged colour profile: "):
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    assert converted is not None  # it is not done in place
    converted = _described(converted, image)
    converted.info.pop("icc_profile", None)
    return converted


def _described(made: Image.Image, image: Image.Image) -> Image.Image:
    """`made`, a new image, with the profile, EXIF and XMP of the one it was made of."""
    made.info.clear()
    made.info.update(metadata.in_info(image))
    return made


def _from_unit(array: NDArray[Any]) -> Pixels:
    if not (array.size == 0 or (array.min() >= 0 and array.max() <= 1)):
        raise ImageError(f"image is an array of {array.dtype} with values beyond 0 to 1; none are allowed")
    pixels: Pixels = np.rint(array * 255).astype(np.uint8)
    return pixels


def upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says, without metadata; that may be damaged.

    Raises:
        ImageError: it cannot be read.
    """
    load(image)  # which turns TIFFs
    with readable():
        turn = _TURNS.get(metadata.orientation(metadata.of_any_size(image)))
        turned = image.copy() if turn is None else image.transpose(turn)
    turned.info = metadata.without(turned.info)
    if isinstance(told := turned.info.get(facts.KEY), Facts):
        turned.info[facts.KEY] = replace(told, exif=b"", xmp=b"")
    return turned


def _from_pillow(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode not in _MODES:
        raise ImageError(f"image has mode {image.mode}; {', '.join(sorted(_MODES))} are allowed")
    grey = image.mode in _GREY
    with readable():
        if image.has_transparency_data:
            with_alpha = image.convert("RGBA")
            return np.asarray(with_alpha.convert("LA") if grey else with_alpha)
        return np.asarray(image.convert("L" if grey else "RGB"))
