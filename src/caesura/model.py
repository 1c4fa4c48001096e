"""Model bundles: a folder of two ONNX graphs, integer tables, scale vectors and a manifest; frozen.

    NAME/   manifest.json  analysis.onnx  synthesis.onnx  tables.npz  scales.npz  prior.npz

A bundle's id is the first 32 bits of a hash over its files' hashes, so an id names exactly one set of weights
and tables. Files on disk are verified against the manifest when a bundle is loaded. `prior.npz` holds the
float parameters that the tables were made from: for training on, not for coding.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caesura.errors import ModelError

if TYPE_CHECKING:  # listing bundles must not wait for NumPy: `caesura info` starts without it
    import numpy as np
    from numpy.typing import NDArray

    from caesura.entropy.tables import TableGrid

FORMAT = "caesura-bundle-1"
MANIFEST = "manifest.json"
ANALYSIS, SYNTHESIS = "analysis.onnx", "synthesis.onnx"
TABLES, SCALES, PRIOR = "tables.npz", "scales.npz", "prior.npz"
FILES = (ANALYSIS, SYNTHESIS, TABLES, SCALES, PRIOR)
DEFAULT = "cae2017"
_SHIPPED = Path(__file__).parent / "models"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded model.

    Attributes:
        name, id: as users and as files name it.
        stride: pixels per latent in each direction.
        smallest_side: the transforms take no picture with a shorter side; pictures are padded to it.
        halo: pixels on each side of a tile within which the transforms see the tile's border.
        analysis, synthesis: serialized ONNX graphs.
        tables: a row per step of the quality scale, a table per latent channel.
        prior: `prior.npz` as it is; only training reads it.
        log_gain, log_inverse: float32 (rungs, channels), logarithms of the scale vectors.
        manifest: everything the manifest holds.
        size: bytes on disk.
    """

    name: str
    id: int
    stride: int
    smallest_side: int
    halo: int
    analysis: bytes
    synthesis: bytes
    tables: TableGrid
    prior: bytes
    log_gain: NDArray[np.float32]
    log_inverse: NDArray[np.float32]
    manifest: dict[str, Any]
    size: int

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return self.tables.channels


def load(model: str | Path | Bundle = DEFAULT) -> Bundle:
    """Load a bundle by name or folder; loaded ones are kept.

    Args:
        model: a name found by `folders`, a path to a bundle's folder, or a bundle, which is given back.

    Raises:
        ModelError: there is none, or its files do not match its manifest.
    """
    if isinstance(model, Bundle):
        return model
    for folder in folders():
        if folder.name == str(model):
            return _load(folder, read_manifest(folder)["id"])
    folder = Path(model)
    if (folder / MANIFEST).is_file():
        return _load(folder.resolve(), read_manifest(folder)["id"])
    names = ", ".join(sorted({f.name for f in folders()})) or "none"
    raise ModelError(f"model {str(model)!r} is not known; known: {names}, or the path of a bundle's folder")


def load_by_id(model_id: int) -> Bundle:
    """Load the bundle that a file was coded with.

    Raises:
        ModelError: no bundle here has this id, or its files do not match its manifest.
    """
    for folder, found in known():
        if found == model_id:
            return _load(folder, model_id)
    names = ", ".join(f"{found:08x} ({folder.name})" for folder, found in known()) or "none"
    raise ModelError(f"the file was coded with model {model_id:08x}, which is not here; known: {names}")


def folders() -> Iterator[Path]:
    """Bundles found: in the folders that CAESURA_MODELS lists, in the user's, and those shipped."""
    roots = [Path(p) for p in os.environ.get("CAESURA_MODELS", "").split(os.pathsep) if p]
    for root in (*roots, user_models(), _SHIPPED):
        if root.is_dir():
            yield from sorted(
                p.parent for p in root.glob(f"*/{MANIFEST}") if not p.parent.name.startswith(".")
            )


def known() -> Iterator[tuple[Path, int]]:
    """Folder and id of each bundle found whose manifest can be read; a damaged one hides no other."""
    for folder in folders():
        try:
            yield folder, read_manifest(folder)["id"]
        except ModelError:
            continue


def user_models() -> Path:
    """Where a user's own bundles live."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "caesura" / "models"


def read_manifest(folder: Path) -> dict[str, Any]:
    """A bundle's manifest, its required fields checked.

    Raises:
        ModelError: it cannot be read, or a field is missing or of the wrong type.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model {folder}: the manifest cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"model {folder}: the manifest's format is not {FORMAT}")
    kinds = {"name": str, "id": int, "stride": int, "smallest_side": int, "halo": int, "files": dict}
    for field, kind in kinds.items():
        if type(manifest.get(field)) is not kind:
            raise ModelError(f"model {folder}: {field} is {manifest.get(field)!r}; {kind.__name__} expected")
    stride, halo = manifest["stride"], manifest["halo"]
    if not (1 <= stride <= 256 and 0 <= halo <= 4096 and halo % stride == 0):
        raise ModelError(f"model {folder}: stride {stride} and halo {halo} do not fit")
    if not (0 < manifest["smallest_side"] <= 4096 and manifest["smallest_side"] % stride == 0):
        raise ModelError(f"model {folder}: smallest_side is {manifest['smallest_side']}")
    return manifest


def digest(content: bytes) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def bundle_id(file_digests: dict[str, str]) -> int:
    """The id of a bundle whose files have these digests."""
    listing = "".join(f"{name} {file_digests.get(name)}\n" for name in FILES)
    return int.from_bytes(hashlib.sha256(listing.encode()).digest()[:4], "big")


@lru_cache(maxsize=8)
def _load(folder: Path, model_id: int) -> Bundle:
    """Load and verify; the id is part of the key, so that a bundle replaced on disk is loaded anew."""
    import numpy as np

    from caesura.entropy.tables import TableGrid

    manifest = read_manifest(folder)
    files = {}
    for name in FILES:
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ModelError(f"model {folder}: {name} cannot be read: {error}") from error
        if digest(files[name]) != manifest["files"].get(name):
            raise ModelError(f"model {folder}: {name} does not match the manifest's hash: it was changed")
    if bundle_id(manifest["files"]) != manifest["id"]:
        raise ModelError(
            f"model {folder}: id is {manifest['id']:08x}; its files make {bundle_id(manifest['files']):08x}"
        )
    scales = _arrays(files[SCALES], folder / SCALES)
    tables = _arrays(files[TABLES], folder / TABLES)
    try:
        grid = TableGrid(tables["low"], tables["length"], tables["frequencies"])
        log_gain, log_inverse = scales["log_gain"], scales["log_inverse"]
    except KeyError as error:
        raise ModelError(f"model {folder}: array {error} is missing") from error
    for name, scale in (("log_gain", log_gain), ("log_inverse", log_inverse)):
        if (
            scale.ndim != 2
            or not len(scale)
            or scale.shape != (len(log_gain), grid.channels)
            or not np.isfinite(scale).all()
        ):
            raise ModelError(
                f"model {folder}: {name} has shape {scale.shape}, {grid.channels} channels expected"
            )
    return Bundle(
        name=manifest["name"],
        id=manifest["id"],
        stride=manifest["stride"],
        smallest_side=manifest["smallest_side"],
        halo=manifest["halo"],
        analysis=files[ANALYSIS],
        synthesis=files[SYNTHESIS],
        tables=grid,
        prior=files[PRIOR],
        log_gain=log_gain,
        log_inverse=log_inverse,
        manifest=manifest,
        size=sum(map(len, files.values())),
    )


def _arrays(content: bytes, path: Path) -> dict[str, NDArray[Any]]:
    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"model: {path} cannot be read: {error}") from error
