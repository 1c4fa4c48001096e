"""Pillow images of any mode converted to what can be coded: 8-bit grey or RGB, upright where asked for.

What is lost by it is warned of, or refused.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from caesura.errors import ImageError
from caesura.picture import colour, read_metadata, source_info
from caesura.picture.loading import load, pillow_errors
from caesura.picture.metadata import orientation
from caesura.picture.pixels import GREY_MODES, MODES
from caesura.picture.source_info import SourceInfo

_CONVERTED = {"La": "LA", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}  # each has one interpretation
_SUBFILE_TYPE, _REDUCED_IMAGE = 0x00FE, 1  # TIFF's NewSubfileType, and its bit for a preview
_COLOUR_MAP = 320  # TIFF's ColorMap
_MAX_8_BIT = 255
_TRANSPOSE = {  # by EXIF's orientation; 1 is as stored
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def codable(image: Image.Image, *, strict: bool = False) -> Image.Image:
    """The picture in a mode that `pixels.split` takes.

    - CMYK is converted to sRGB by its ICC profile, LAB (D50) without one: relative colorimetric, with black
      point compensation. The profile is dropped, since the new pixels are sRGB.
    - Of samples of more than 8 bits the upper 8 are kept.
    - Of several frames the current one is kept.
    - Premultiplied alpha, YCbCr and HSV are converted.
    - EXIF and XMP are kept, also of JPEG 2000, where Pillow does not read them.
    - The ICC profile is kept, also of JPEG 2000 and BMP, where Pillow does not read it. Where a file declares
      colours other than sRGB without one (gAMA, cHRM and cICP of PNG, nclx of AVIF and HEIF, tags of TIFF,
      headers of BMP and JPEG 2000), an equivalent profile is attached; the pixels are not changed.

    For an image that was read from a stream and is loaded already, or is a copy, less is known of colours and
    depth (see `source_info.read`). CMYK values are taken as Pillow has them, 0 being no ink; it inverts those
    of JPEG files, which Adobe's programs store inverted.

    Args:
        image: a picture of any mode.
        strict: raise an error where a part would be lost, instead of a warning.

    Raises:
        ImageError: the colours are ambiguous (modes F and I, CMYK without an ICC profile or with one that is
            damaged or not of CMYK), the image is the preview in a camera's raw file, it cannot be read, or
            `strict` is set and a part would be lost.

    Warns:
        UserWarning: a part is lost: frames, bits of samples, or colours that no profile describes (HDR).
    """
    source = source_info.read(image)  # loading discards some of it
    check_whole(image, strict=strict)
    _check_depth(image, source, strict)
    load(image)
    image = _with_transparent_grey(_with_palette(image), source)
    if source.exif or source.xmp:  # these are lost with the file, unless `info` has them
        original, image = image, image.copy()
        image.info.update(read_metadata.info_entries(original))
        image.info[source_info.KEY], image.format = source, original.format
    mode = image.mode
    if mode == "CMYK":
        return _from_cmyk(image, image.info.get("icc_profile") or source.icc)
    if mode == "LAB":
        return _to_srgb(image, ImageCms.createProfile("LAB"))
    if mode in _CONVERTED:
        converted = _with_metadata(image.convert(_CONVERTED[mode]), image)
    else:
        converted = eight_bits(image, source, strict=strict)
    if converted.mode not in MODES:
        allowed = ", ".join(sorted({*MODES, *_CONVERTED, "CMYK", "I;16", "LAB"}))
        raise ImageError(f"image has mode {mode}, whose range of values is not known; {allowed} are allowed")
    return _with_profile(converted, image, source, strict)


def check_whole(image: Image.Image, *, strict: bool = False) -> None:
    """Warn of frames that are lost: all but the current one.

    The previews and gain maps that phones store as further pictures of an MPO file are not counted, since
    they are derived from the photo; those of a stereo pair or a panorama are. Layers of a PSD file are not,
    since Pillow reads the merged picture.

    Raises:
        ImageError: `strict` is set and frames would be lost, the image is the preview of another in its file,
            or the file cannot be read.

    Warns:
        UserWarning: frames are lost.
    """
    with pillow_errors():
        subfile_type = getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE)
        frames = _frames(image)
    if isinstance(subfile_type, int) and subfile_type & _REDUCED_IMAGE:
        raise ImageError(
            "image is the preview of another, as in a camera's raw file; export the photo first, for "
            "full-size pictures are allowed"
        )
    if frames > 1:
        _warn_of_loss(
            f"image has {frames} frames", f"only frame {image.tell() + 1} is coded", "one is", strict
        )


def _frames(image: Image.Image) -> int:
    """Number of pictures in the file, without previews and gain maps."""
    if image.format == "PSD" or not getattr(image, "is_animated", False):
        return 1
    if image.format != "MPO":
        return int(getattr(image, "n_frames", 1))
    entries = getattr(image, "mpinfo", {}).get(0xB002, [])
    return sum(entry["Attribute"]["MPType"].startswith("Multi-Frame") for entry in entries)


def copied(image: Image.Image) -> Image.Image:
    """A copy that keeps the format and the `SourceInfo`."""
    source = source_info.read(image)
    copy = image.copy()
    copy.info[source_info.KEY], copy.format = source, image.format
    return copy


def upright(image: Image.Image) -> Image.Image:
    """A copy with the EXIF orientation applied and without metadata. Metadata may be damaged.

    Raises:
        ImageError: the image cannot be read.
    """
    load(image)  # applies the orientation of a TIFF
    with pillow_errors():
        transpose = _TRANSPOSE.get(orientation(read_metadata.from_image(image, max_bytes=None)))
        turned = image.copy() if transpose is None else image.transpose(transpose)
    turned.info = read_metadata.without_metadata(turned.info)
    if isinstance(source := turned.info.get(source_info.KEY), SourceInfo):
        turned.info[source_info.KEY] = replace(source, exif=b"", xmp=b"")
    return turned


def eight_bits(image: Image.Image, source: SourceInfo | None = None, *, strict: bool = False) -> Image.Image:
    """The upper 8 bits of integer samples of more than 8, as mode L, or LA if a grey is transparent.

    Such modes are I;16, and I of a PNG or PGM file. Images of other modes are returned unchanged.

    Args:
        image: the picture.
        source: its depth; 16 bits by default.
        strict: raise an error instead of the warning.

    Raises:
        ImageError: it cannot be read, or `strict` is set.

    Warns:
        UserWarning: the lower bits are lost.
    """
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PNG", "PPM"})):
        return image
    source = source or SourceInfo(bits=16)
    _warn_of_loss(*_upper_eight(image, source, strict), strict)
    with pillow_errors():
        samples = np.asarray(image)
    reduced = (samples >> (source.range - 8)).astype(np.uint8)
    if source.inverted:
        reduced = 255 - reduced
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        reduced = np.dstack([reduced, np.where(samples == transparent, 0, 255).astype(np.uint8)])
    return _with_metadata(Image.fromarray(reduced), image)


def _check_depth(image: Image.Image, source: SourceInfo, strict: bool) -> None:
    """Warn if Pillow will reduce samples to 8 bits while it loads them."""
    if source.unreadable:
        raise ImageError(f"image has {source.unreadable}")
    if source.bits <= 8 or image.mode.startswith(("F", "I")):
        return
    if "transparency" in image.info:
        raise ImageError(
            f"image has a transparent colour of {source.bits} bits, {image.info['transparency']}, "
            "which is not unique in 8 bits; an alpha channel is allowed"
        )
    _warn_of_loss(*_upper_eight(image, source, strict), strict)


def _upper_eight(image: Image.Image, source: SourceInfo, strict: bool) -> tuple[str, str, str]:
    """What `_warn_of_loss` says of the lower bits of samples."""
    got = f" and samples of {source.bits} bits" if strict else ""
    kept = f"the upper 8 of its {source.bits} bits are coded"
    return f"image has mode {image.mode}{got}", kept, "8 bits are"


def _warn_of_loss(got: str, kept: str, allowed: str, strict: bool) -> None:
    if strict:
        raise ImageError(f"{got}; {allowed} allowed with strict")
    # The line that calls `codec.encode`, with two functions of the codec in between.
    warnings.warn(f"{got}; {kept}", stacklevel=6)


def _with_palette(image: Image.Image) -> Image.Image:
    """The image with the right palette where a TIFF's ColorMap has 8-bit values, as some old programs wrote.

    The specification says 16 bits, of which Pillow takes the upper 8. As in libtiff, a map whose values are
    all below 256 is of 8 bits.
    """
    values = getattr(image, "tag_v2", {}).get(_COLOUR_MAP)
    if image.mode != "P" or not values or max(values) > _MAX_8_BIT:
        return image
    corrected = image.copy()
    with pillow_errors():
        corrected.putpalette(bytes(np.reshape(values, (3, -1)).T.astype(np.uint8)))
    return corrected


def _with_transparent_grey(image: Image.Image, source: SourceInfo) -> Image.Image:
    """The image with the transparent grey of a PNG of 2 or 4 bits scaled to 8 bits, as its pixels are."""
    grey = image.info.get("transparency")
    if source.max_grey == _MAX_8_BIT or image.mode != "L" or not isinstance(grey, int):
        return image
    corrected = image.copy()
    corrected.info["transparency"] = grey * _MAX_8_BIT // source.max_grey
    return corrected


def _with_profile(
    converted: Image.Image, original: Image.Image, source: SourceInfo, strict: bool
) -> Image.Image:
    """`converted` with an ICC profile of the colours that the file declares."""
    profile, lost = colour.profile(original.info, source, grey=converted.mode in GREY_MODES)
    if lost:
        kept = "the pixels are coded unchanged, without this declaration"
        _warn_of_loss(f"image has {lost}", kept, "colours that an ICC profile describes are", strict)
    if profile is None or profile == original.info.get("icc_profile", b""):
        return converted
    if converted is original:
        converted = original.copy()
        converted.info.update(read_metadata.info_entries(original))
    converted.info["icc_profile"] = profile
    return converted


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    if not icc:
        raise ImageError(
            "image has mode CMYK and no colour profile, which its colours depend on; "
            "embed the profile that it was made for, or convert it to RGB by that"
        )
    with pillow_errors("image has mode CMYK and a damaged colour profile: "):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
    if space != "CMYK":
        raise ImageError(f"image has mode CMYK and a colour profile of {space}; one of CMYK is needed")
    return _to_srgb(image, profile)


def _to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    with pillow_errors(f"image has mode {image.mode} and a damaged colour profile: "):
        converted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    assert converted is not None  # None is returned only for inPlace
    converted = _with_metadata(converted, image)
    converted.info.pop("icc_profile", None)
    return converted


def _with_metadata(converted: Image.Image, original: Image.Image) -> Image.Image:
    """`converted`, a new image, with the ICC profile, EXIF and XMP of `original` and no other `info`."""
    converted.info.clear()
    converted.info.update(read_metadata.info_entries(original))
    return converted
