"""What a bundle's folder holds: the names of its files, its id, and the checked fields of its manifest."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from caesura.errors import ConfigError, ModelError
from caesura.format.container import CELL
from caesura.models import fitted
from caesura.models.fitted import Fitted

FORMAT = "caesura-bundle-2"
MANIFEST = "manifest.json"
ANALYSIS, SYNTHESIS = "analysis.onnx", "synthesis.onnx"
HYPER_ANALYSIS, HYPER_SYNTHESIS = "hyper_analysis.onnx", "hyper_synthesis.onnx"
MEANS = ("means_0.onnx", "means_1.onnx", "means_2.onnx", "means_3.onnx")
TABLES, SCALES, PRIOR = "tables.npz", "scales.npz", "prior.npz"
CONTROL, DETAIL = "control.npz", "detail.npz"
FILES = {  # by architecture, in the order of hashing
    "cae2017": (ANALYSIS, SYNTHESIS, TABLES, SCALES, PRIOR),
    "cae2026": (
        *(ANALYSIS, SYNTHESIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, *MEANS),
        *(TABLES, SCALES, CONTROL, DETAIL, PRIOR),
    ),
}
PREVIEW = "preview.npz"  # a bundle may have it; no part of its id, since no file depends on it
_FIELDS = {
    "name": str,
    "id": int,
    "architecture": str,
    "stride": int,
    "smallest_side": int,
    "halo": int,
    "quality_scale": list,
    "ladder_top": int,
    "files": dict,
}


def read_manifest(folder: Path) -> dict[str, Any]:
    """A bundle's manifest, its required fields checked.

    Raises:
        ModelError: it cannot be read, or a field is missing or of the wrong type.
    """
    return _checked(folder, _read(folder))


def read_id(folder: Path) -> int:
    """The id in a bundle's manifest, which is checked whenever it has changed.

    Raises:
        ModelError: as `read_manifest` does.
    """
    return _id_in(folder, _read(folder))


@lru_cache(maxsize=64)
def _id_in(folder: Path, content: bytes) -> int:
    found: int = _checked(folder, content)["id"]
    return found


def _read(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelError(f"model {folder}: the manifest cannot be read: {error}") from error


def _checked(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ModelError(f"model {folder}: the manifest cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"model {folder}: the manifest's format is not {FORMAT}")
    for field, kind in _FIELDS.items():
        if type(manifest.get(field)) is not kind:
            raise ModelError(f"model {folder}: {field} is {manifest.get(field)!r}; {kind.__name__} expected")
    if manifest["architecture"] not in FILES:
        known = ", ".join(FILES)
        raise ModelError(f"model {folder}: architecture is {manifest['architecture']!r}; known: {known}")
    stride, halo = manifest["stride"], manifest["halo"]
    if not (1 <= stride <= CELL and CELL % stride == 0 and 0 <= halo <= 16 * CELL and halo % stride == 0):
        raise ModelError(f"model {folder}: stride {stride} and halo {halo} do not fit")
    seen = manifest.get("synthesis_halo", halo)
    if type(seen) is not int or not 0 <= seen <= halo or seen % stride:
        raise ModelError(
            f"model {folder}: synthesis_halo is {seen!r}; a multiple of {stride} up to {halo} is allowed"
        )
    if not (0 < manifest["smallest_side"] <= CELL and manifest["smallest_side"] % stride == 0):
        raise ModelError(f"model {folder}: smallest_side is {manifest['smallest_side']}")
    if not 100 < manifest["ladder_top"] <= 10000:
        raise ModelError(f"model {folder}: ladder_top is {manifest['ladder_top']}; 101 to 10000 is allowed")
    if manifest["architecture"] == "cae2017" and manifest["ladder_top"] != 10000:
        raise ModelError(
            f"model {folder}: ladder_top is {manifest['ladder_top']}; 10000 without a detail layer"
        )
    _check_scale(folder, manifest["quality_scale"])
    forecast_of(folder, manifest)
    return manifest


def forecast_of(folder: Path, manifest: dict[str, Any]) -> Fitted | None:
    """The manifest's field `forecast`, which a bundle may have."""
    if "forecast" not in manifest:
        return None
    try:
        return fitted.read(manifest["forecast"], detail=manifest["ladder_top"] < 10000)
    except ConfigError as error:
        raise ModelError(f"model {folder}: {error}") from error


def _check_scale(folder: Path, scale: list[Any]) -> None:
    pairs = len(scale) >= 2 and all(
        isinstance(p, list) and len(p) == 2 and all(type(v) in (int, float) and 1 <= v <= 100 for v in p)
        for p in scale
    )
    if not pairs or any(a[0] >= b[0] or a[1] >= b[1] for a, b in itertools.pairwise(scale)):
        raise ModelError(f"model {folder}: quality_scale is {scale}; rising pairs of 1 to 100 expected")


def digest(content: bytes) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def bundle_id(architecture: str, file_digests: dict[str, str]) -> int:
    """The id of a bundle whose files have these digests."""
    listing = "".join(f"{name} {file_digests.get(name)}\n" for name in FILES[architecture])
    return int.from_bytes(hashlib.sha256(listing.encode()).digest()[:4], "big")
