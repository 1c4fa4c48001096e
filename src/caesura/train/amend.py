"""What is measured of a bundle after its export, put into its manifest; no part of the id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from caesura.models import bundle as models
from caesura.picture import files


def amend(folder: Path, **fields: Any) -> None:
    """Set fields of the manifest in a bundle's folder; bundles are loaded anew from then on.

    Raises:
        ModelError: there is no manifest.
    """
    manifest = models.read_manifest(folder) | fields
    files.write(folder / models.MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode(), force=True)
    models.forget()
