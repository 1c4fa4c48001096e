"""Model bundles: found, verified and loaded.

A folder of ONNX graphs, integer tables, scale vectors and a manifest; frozen.

    cae2017   manifest.json  analysis.onnx  synthesis.onnx  tables.npz  scales.npz  prior.npz
    cae2026   the same, and hyper_analysis.onnx  hyper_synthesis.onnx  means_0.onnx .. means_3.onnx
              control.npz  detail.npz

A bundle's id is the first 32 bits of a hash over its files' hashes, so an id names exactly one set of weights
and tables. Files on disk are verified against the manifest when a bundle is loaded. `prior.npz` holds the
float parameters that the integers were made from: for training on, not for coding.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caesura import arguments
from caesura.errors import ConfigError, ModelError
from caesura.models.fitted import Fitted
from caesura.models.manifest import (
    CONTROL,
    DETAIL,
    FILES,
    MANIFEST,
    PREVIEW,
    PRIOR,
    SCALES,
    TABLES,
    bundle_id,
    digest,
    forecast_of,
    read_id,
    read_manifest,
)

if TYPE_CHECKING:  # listing bundles must not wait for NumPy: `caesura info` starts without it
    import numpy as np
    from numpy.typing import NDArray

    from caesura.entropy.control import Control
    from caesura.entropy.tables import TableGrid

PREVIEW_SCALE, COARSE_SCALE = 8, 64
DEFAULT = "photo"
TUNES = ("psnr",)  # the weights are the bundle NAME-TUNE
_SHIPPED = Path(__file__).parent / "weights"
HYPER = 4  # latents per hyperlatent position each way
HYPERLATENT_LIMIT, _MAGNITUDE_LIMIT = 127, 30
DETAIL_LOWEST = 1  # every symbol of the detail layer is coded: none may be lost, however unlikely


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded model.

    Attributes:
        name, id: its names for users and in files.
        architecture: "cae2017" or "cae2026".
        stride: pixels per latent in each direction.
        smallest_side: the transforms take no picture with a shorter side; pictures are padded to it.
        halo: pixels on each side of a tile within which the transforms see the tile's border.
        synthesis_halo: the same of the synthesis alone, at most `halo`.
        quality_scale: pairs of quality and ladder position, see `ladder`.
        ladder_top: the ladder position at which the ladder ends, in hundredths.
        graphs: serialized ONNX graphs, by file name.
        tables: a row per step of the rate scale, a table per channel of what is coded first: the latents of
            cae2017, the hyperlatent of cae2026.
        control, detail: entropy control of the latents and of the detail layer; cae2026 only.
        detail_log_step: logarithms of the detail layer's step, in levels, at the ladder's top and at 100.
        prior: `prior.npz` as it is; only training reads it.
        preview: float32 (channels + 1, 3 (stride / 8)^2), see `preview.pixels`; None where there is none.
        coarse_preview: float32 (positions, hyperlatent channels + 1, 3), see `train.preview.fit_coarse`; None
            where there is none.
        forecast: what `forecast.forecast` needs; None where there is none.
        log_gain, log_inverse: float32 (anchors, channels), logarithms of the scale vectors.
        manifest: everything the manifest holds.
        size: bytes on disk.
    """

    name: str
    id: int
    architecture: str
    stride: int
    smallest_side: int
    halo: int
    synthesis_halo: int
    quality_scale: list[tuple[float, float]]
    ladder_top: int
    graphs: Mapping[str, bytes]
    tables: TableGrid
    control: Control | None
    detail: Control | None
    detail_log_step: tuple[float, float]
    prior: bytes
    preview: NDArray[np.float32] | None
    coarse_preview: NDArray[np.float32] | None
    forecast: Fitted | None
    log_gain: NDArray[np.float32]
    log_inverse: NDArray[np.float32]
    manifest: dict[str, Any]
    size: int

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return int(self.log_gain.shape[1])

    @property
    def is_conditioned(self) -> bool:
        """Whether the networks take the ladder position, as weights of its anchors."""
        return self.architecture != "cae2017"


def load(model: str | Path | Bundle = DEFAULT) -> Bundle:
    """Load a bundle by name or folder; loaded ones are kept.

    Args:
        model: a name found by `folders`, a path to a bundle's folder, or a bundle, which is given back.

    Raises:
        TypeError: it is none of these.
        ModelError: there is none, or its files do not match its manifest.
    """
    arguments.of_type("model", model, (str, os.PathLike, Bundle), "a name, a path and a bundle are allowed")
    if isinstance(model, Bundle):
        return model
    for folder in folders():
        if folder.name == str(model):
            return _load(folder, read_id(folder))
    folder = Path(model)
    with contextlib.suppress(OSError):  # a name may be longer than paths are
        if (folder / MANIFEST).is_file():
            return _load(folder.resolve(), read_id(folder))
    names = ", ".join(sorted({f.name for f in folders()})) or "none"
    raise ModelError(f"model {str(model)!r} is not known; known: {names}, or the path of a bundle's folder")


def forget() -> None:
    """Load bundles from disk again, since one was changed there."""
    _load.cache_clear()


def tuned(model: str | Path | Bundle, tune: str | None) -> str | Path | Bundle:
    """The model as it is, or with a `tune` the name of its weights for that measure: "photo" to "photo-psnr".

    Raises:
        TypeError: `tune` is neither None nor text.
        ConfigError: it is not one of `TUNES`, or the model is not given by name.
    """
    if tune is None:
        return model
    arguments.of_type("tune", tune, (str,), f"{', '.join(TUNES)} or none is allowed")
    if tune not in TUNES:
        raise ConfigError(f"tune is {tune!r}; {', '.join(TUNES)} or none is allowed")
    if not isinstance(model, str):
        raise ConfigError(f"tune is {tune!r} and the model not given by name; a name is allowed")
    return model if model.endswith(f"-{tune}") else f"{model}-{tune}"


def load_by_id(model_id: int) -> Bundle:
    """Load the bundle that a file was coded with.

    Raises:
        ModelError: no bundle here has this id, or its files do not match its manifest.
    """
    for folder, found in known():
        if found == model_id:
            return _load(folder, model_id)
    names = ", ".join(f"{found:08x} ({folder.name})" for folder, found in known()) or "none"
    raise ModelError(
        f"the file was coded with model {model_id:08x}, which is not here; known: {names}; "
        "CAESURA_MODELS may name more folders of bundles"
    )


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
            yield folder, read_id(folder)
        except ModelError:
            continue


def user_models() -> Path:
    """Where a user's own bundles live."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "caesura" / "models"


@lru_cache(maxsize=8)
def _load(folder: Path, model_id: int) -> Bundle:
    """Load and verify; the id is part of the key, so that a bundle replaced on disk is loaded anew."""
    import numpy as np

    from caesura.entropy.tables import TableGrid

    manifest = read_manifest(folder)
    architecture = manifest["architecture"]
    files = {}
    for name in (*FILES[architecture], *({PREVIEW} & manifest["files"].keys())):
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ModelError(f"model {folder}: {name} cannot be read: {error}") from error
        if digest(files[name]) != manifest["files"].get(name):
            raise ModelError(f"model {folder}: {name} does not match the manifest's hash: it was changed")
    if (made := bundle_id(architecture, manifest["files"])) != manifest["id"]:
        raise ModelError(f"model {folder}: id is {manifest['id']:08x}; its files make {made:08x}")
    arrays = {
        name: _arrays(content, folder / name)
        for name, content in files.items()
        if name in (SCALES, TABLES, CONTROL, DETAIL, PREVIEW)
    }
    control = detail = None
    steps = (0.0, 0.0)
    try:
        grid = TableGrid(**_named(arrays[TABLES], "low", "length", "frequencies"))
        log_gain, log_inverse = (arrays[SCALES][name] for name in ("log_gain", "log_inverse"))
        preview = arrays[PREVIEW]["weights"] if PREVIEW in arrays else None
        coarse = arrays[PREVIEW].get("coarse") if PREVIEW in arrays else None
        if architecture == "cae2026":
            control = _control(folder, CONTROL, arrays, HYPERLATENT_LIMIT, 0)
            detail = _control(folder, DETAIL, arrays, _MAGNITUDE_LIMIT, DETAIL_LOWEST)
            steps = _log_steps(folder, arrays[DETAIL]["log_step"])
            _check_fit(folder, grid, control, detail)
    except KeyError as error:
        raise ModelError(f"model {folder}: array {error} is missing") from error
    channels = grid.channels if control is None else control.channels
    for name, scale in (("log_gain", log_gain), ("log_inverse", log_inverse)):
        if (
            scale.ndim != 2
            or not len(scale)
            or scale.shape != (len(log_gain), channels)
            or not np.isfinite(scale).all()
        ):
            raise ModelError(f"model {folder}: {name} has shape {scale.shape}, {channels} channels expected")
    if preview is not None:
        _check_map(folder, preview, (channels + 1, 3 * (manifest["stride"] // PREVIEW_SCALE) ** 2))
    if coarse is not None:
        _check_map(folder, coarse, (len(coarse) if coarse.ndim else 0, grid.channels + 1, 3))
    return Bundle(
        name=manifest["name"],
        id=manifest["id"],
        architecture=architecture,
        stride=manifest["stride"],
        smallest_side=manifest["smallest_side"],
        halo=manifest["halo"],
        synthesis_halo=manifest.get("synthesis_halo", manifest["halo"]),
        quality_scale=[(quality, own) for quality, own in manifest["quality_scale"]],
        ladder_top=manifest["ladder_top"],
        graphs={name: content for name, content in files.items() if name.endswith(".onnx")},
        tables=grid,
        control=control,
        detail=detail,
        detail_log_step=steps,
        prior=files[PRIOR],
        preview=preview,
        coarse_preview=coarse,
        forecast=forecast_of(folder, manifest),
        log_gain=log_gain,
        log_inverse=log_inverse,
        manifest=manifest,
        size=sum(map(len, files.values())),
    )


def _control(
    folder: Path, file: str, arrays: Mapping[str, Mapping[str, NDArray[Any]]], limit: int, lowest: int
) -> Control:
    from caesura.entropy.control import Control
    from caesura.entropy.tables import TableGrid

    grid = TableGrid(**_named(arrays[file], "low", "length", "frequencies"))
    if grid.rows != 1:
        raise ModelError(f"model {folder}: {file} has {grid.rows} rows of tables; 1 expected")
    weights = _named(arrays[file], "bias", "base", "near", "far")
    return Control(**weights, limit=limit, tables=grid.row(0), lowest=lowest)


def _log_steps(folder: Path, steps: NDArray[Any]) -> tuple[float, float]:
    """The two ends of the detail layer's steps, in levels between 1/16 and 256."""
    import numpy as np

    if steps.shape != (2,) or not (np.abs(steps - math.log(4)) <= math.log(64)).all():
        raise ModelError(
            f"model {folder}: log_step is {steps.tolist()}; two logarithms of 1/16 to 256 expected"
        )
    return float(steps[0]), float(steps[1])


def _check_map(folder: Path, weights: NDArray[Any], expected: tuple[int, ...]) -> None:
    """A map for previews has the shape expected, and finite weights."""
    import numpy as np

    if weights.shape != expected or 0 in expected or weights.dtype != np.float32:
        got = f"{weights.dtype} {weights.shape}"
        raise ModelError(f"model {folder}: {PREVIEW} has {got}; float32 {expected} expected")
    if not np.isfinite(weights).all():
        raise ModelError(f"model {folder}: {PREVIEW} has weights that are not finite")


def _check_fit(folder: Path, hyper: TableGrid, control: Control, detail: Control) -> None:
    """The parts of a bundle of cae2026 belong together."""
    for name, got, expected in (
        ("control.base", control.base.shape, (hyper.channels, control.channels, HYPER, HYPER)),
        ("control.bias", control.bias.shape, (hyper.rows, control.channels)),
        ("detail.base", detail.base.shape, (control.channels, 192, 2, 2)),
    ):
        if got != expected:
            raise ModelError(f"model {folder}: {name} has shape {got}; {expected} expected")


def _named(arrays: Mapping[str, NDArray[Any]], *names: str) -> dict[str, Any]:
    return {name: arrays[name] for name in names}


def _arrays(content: bytes, path: Path) -> dict[str, NDArray[Any]]:
    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"model: {path} cannot be read: {error}") from error
