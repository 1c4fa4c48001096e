"""A finished run becomes a bundle; what is in it, the architecture's `export.py` says.

The graphs take and give uint8 pixels, so a caller needs no knowledge of normalisation. Weights lie on disk in
half precision; what is computed with them is float32.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caesura.errors import ConfigError
from caesura.models import bundle
from caesura.models import ladder as rate
from caesura.train import models, start, work
from caesura.train.cae2017 import export as cae2017
from caesura.train.cae2026 import export as cae2026
from caesura.train.cae2026.model import FlagshipModel
from caesura.train.config import from_dict


def export(
    run: Path, name: str, destination: Path, *, licence: str, data: str, figures: dict[str, Any] | None = None
) -> Path:
    """Write the bundle of a run's last checkpoint to `destination`.

    Args:
        run: a run, a checkpoint or a bundle (`start.read`).
        name: the bundle's name, as users give it to `--model`.
        destination: the bundle's folder; replaced only when the new one is complete.
        licence: of the weights, an SPDX expression.
        data: what the model was trained on, in a sentence.
        figures: anything measured on real pictures that should travel with the model.

    Raises:
        ConfigError: the run cannot be read, or the name cannot be a folder's.
        ModelError: there is no run.
    """
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise ConfigError(f"name is {name!r}; letters, digits, '-', '_' and '.' are allowed")
    weights, training = start.read(run)
    config = from_dict(training["config"])
    model = models.make(config)
    model.load_state_dict(weights)
    model.eval()
    if isinstance(model, FlagshipModel):
        facts, files = cae2026.facts(model), cae2026.files(model)
    else:
        facts, files = cae2017.facts(model), cae2017.files(model)

    scale = quality_scale(config.loss.betas, facts["ladder_top"] / 100)
    digests = {file: bundle.digest(content) for file, content in files.items()}
    manifest = {
        "format": bundle.FORMAT,
        "name": name,
        "licence": licence,
        "data": data,
        **facts,
        "work": work.per_pixel(files, facts["stride"]),
        "quality_scale": scale,
        "figures": figures or {},
        "training": training,
        "files": digests,
        "id": bundle.bundle_id(facts["architecture"], digests),
    }
    files[bundle.MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    _replace_folder(destination, files)
    return destination


def quality_scale(betas: Sequence[float], ladder_top: float) -> list[list[float]]:
    """Pairs of quality and place on the scale of a model with this ladder, which ends at `ladder_top`."""
    octaves = math.log(rate.LAST_BETA / rate.FIRST_BETA)
    shares = [math.log(beta / rate.FIRST_BETA) / octaves for beta in (betas[0], betas[-1])]
    first, last = (max(1.0, round(1 + (rate.LADDER_QUALITY - 1) * s, 2)) for s in shares)
    above = [[100.0, 100.0]] if ladder_top < 100 else []
    first, last = min(first, 99.0), min(last, 99.5 if above else 100.0)
    return [[first, 1.0], [max(last, first + 0.01), ladder_top], *above]


def _replace_folder(destination: Path, files: dict[str, bytes]) -> None:
    """Write a folder under another name, and only when it is complete put it where the old one was."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}."))
    try:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if destination.exists():
            destination.rename(old)
        new.rename(destination)
    finally:
        shutil.rmtree(aside)
