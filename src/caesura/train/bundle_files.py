"""Writing the files of a bundle: arrays, fields of the manifest, the whole folder."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.models import bundle
from caesura.models.manifest import MANIFEST, read_manifest
from caesura.picture import files


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as a compressed .npz file."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def amend(folder: Path, **fields: Any) -> None:
    """Set fields of the manifest in a bundle's folder, for what is measured after the export.

    The id of the bundle does not depend on them. Bundles that are loaded afterwards have them.

    Raises:
        ModelError: there is no manifest.
    """
    manifest = read_manifest(folder) | fields
    files.write(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode(), force=True)
    bundle.forget()


def replace_folder(destination: Path, contents: Mapping[str, bytes]) -> None:
    """Write files, by name, to a temporary folder, which replaces `destination` once it is complete."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}."))
    try:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        for name, content in contents.items():
            (new / name).write_bytes(content)
        if destination.exists():
            destination.rename(old)
        new.rename(destination)
    finally:
        shutil.rmtree(aside)
