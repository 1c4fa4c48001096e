"""ICC profiles for colours that a file declares in other ways."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.picture.source_info import SRGB, SourceInfo, reals

Curve = tuple[float, ...]  # parameters of ICC's type "para": g, or g, a, b, c, d
Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# By the numbers of ITU-T H.273. Reserved and unspecified ones are missing: sRGB is assumed for them.
_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_CURVES: dict[int, Curve] = {
    4: (2.2,),
    5: (2.8,),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 4 * 0.0228),
    8: (1.0,),
}
# Transfer characteristics of sRGB, of video, which is displayed as sRGB by convention, and unspecified ones.
_AS_SRGB = frozenset({0, 1, 2, 3, 6, 11, 12, 13, 14, 15})
_UNSPECIFIED = frozenset({0, 2, 3})
_HDR = {16: "PQ", 18: "HLG"}

# ICC.1:2010: the white that colours are adapted to, and the Bradford matrix of Annex E.
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile(info: Mapping[Any, Any], source: SourceInfo, *, grey: bool) -> tuple[bytes | None, str]:
    """The ICC profile of the colours that a picture's file declares.

    The first of these counts, as in the PNG specification (third edition): code points of H.273, ICC profile,
    sRGB chunk, gamma and chromaticities. `source` has no code points where AVIF or HEIF has an ICC profile.

    Args:
        info: of the Pillow image.
        source: what the file declares besides.
        grey: the picture is grey.

    Returns:
        The profile, or b"" for sRGB, or None to keep what `info` has; and a description of colours that no
        profile can describe, with None, or an empty string.
    """
    if source.lost:
        return None, source.lost
    if source.cicp is not None:
        return _from_code_points(*source.cicp, grey)
    if info.get("icc_profile") and not isinstance(info["icc_profile"], str):
        return None, ""
    if source.icc:
        return source.icc, ""
    gamma, colours = source.gamma, source.chromaticities
    # PNG's text chunks are entries of `info` as well, and their keywords may be these names.
    if gamma is None and colours is None and not reals((info.get("srgb"),), 1):
        (gamma,) = reals((info.get("gamma"),), 1) or (None,)
        colours = reals(info.get("chromaticity"), 8)
    return _from_gamma(gamma, colours, grey)


def _from_code_points(primaries: int, transfer: int, grey: bool) -> tuple[bytes | None, str]:
    if transfer in _HDR:
        return None, f"HDR colours ({_HDR[transfer]})"
    known = primaries in _PRIMARIES or primaries in _UNSPECIFIED
    if not known or not (transfer in _CURVES or transfer in _AS_SRGB):
        return None, f"colour primaries {primaries} and transfer characteristics {transfer}"
    curve, colours = _CURVES.get(transfer, _SRGB_CURVE), _PRIMARIES.get(primaries, SRGB)
    if curve == _SRGB_CURVE and (grey or colours == SRGB):
        return b"", ""
    return icc(curve, None if grey else colours), ""


def _from_gamma(
    gamma: float | None, chromaticities: Chromaticities | None, grey: bool
) -> tuple[bytes | None, str]:
    colours = SRGB if chromaticities is None else chromaticities
    standard = grey or np.allclose(colours, SRGB, rtol=0, atol=0.002)
    # Programs write 1 / 2.2, perhaps rounded to two digits, for sRGB.
    if gamma is None or (standard and abs(gamma - 1 / 2.2) < 0.005):
        curve: Curve = _SRGB_CURVE
    elif 0.01 <= gamma <= 100:
        curve = (1 / gamma,)
    else:
        return None, f"a gamma of {gamma}"
    if standard and curve == _SRGB_CURVE:
        return None, ""
    try:
        return icc(curve, None if grey else colours), ""
    except (np.linalg.LinAlgError, struct.error, OverflowError, ValueError):
        return None, f"chromaticities {colours}, which do not span a colour space"


def icc(curve: Curve, colours: Chromaticities | None) -> bytes:
    """A display profile (ICC.1:2010, version 4.3).

    Args:
        curve: from samples to light, the same for all channels; type "para" of section 10.15.
        colours: white and primaries; None for a grey profile.

    Raises:
        ValueError, OverflowError, LinAlgError, struct.error: the chromaticities are not of colours, or the
            primaries are collinear.
    """
    shape = struct.pack(">4s4xHxx", b"para", 0 if len(curve) == 1 else 3) + _fixed(curve)
    tags = {b"desc": _text("As the original file says"), b"cprt": _text("CC0"), b"wtpt": _xyz(_D50)}
    if colours is None:
        tags[b"kTRC"] = shape
    else:
        columns, adaptation = _adapted(colours)
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adaptation.ravel())
        for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
            tags[name + b"XYZ"], tags[name + b"TRC"] = _xyz(column), shape
    start, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        index += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    space = b"GRAY" if colours is None else b"RGB "
    header = struct.pack(">I4xI", start + len(body), 0x04300000) + b"mntr" + space + b"XYZ "
    header += struct.pack(">6H", 2025, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(64, b"\0") + struct.pack(">I", 1) + _fixed(_D50)  # relative colorimetric
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


def _adapted(colours: Chromaticities) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """XYZ of red, green and blue as columns, adapted to D50; and the adaptation matrix; both (3, 3)."""
    x, y = np.reshape(np.asarray(colours, np.float64), (4, 2)).T
    if not (np.all(y > 0) and np.all(x >= 0)):
        raise ValueError(f"chromaticities are {colours}; x from 0 and y above 0 are allowed")
    white, *primaries = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
    columns = np.stack(primaries, axis=1)
    columns = columns * np.linalg.solve(columns, white)
    ratio = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adaptation: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD
    return adaptation @ columns, adaptation


def _fixed(values: Any) -> bytes:
    """The numbers as s15Fixed16."""
    return b"".join(struct.pack(">i", round(65536 * float(value))) for value in values)


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _text(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(content), 28) + content
