"""Export of a run as a bundle; `cae2017/export.py` and `cae2026/export.py` make its files.

Graphs take and return uint8 pixels, so that callers need no normalisation. Weights are stored in half
precision; computation is in float32.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caesura.errors import ConfigError
from caesura.models import ladder
from caesura.models.manifest import FORMAT, MANIFEST, bundle_id, digest
from caesura.train import architectures, start, work
from caesura.train.bundle_files import replace_folder
from caesura.train.cae2017 import export as cae2017
from caesura.train.cae2026 import export as cae2026
from caesura.train.cae2026.model import Cae2026Model
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
        figures: measurements on real pictures, to be kept in the manifest.

    Raises:
        ConfigError: the run cannot be read, or the name has characters that are not allowed.
        ModelError: there is no run.
    """
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise ConfigError(f"name is {name!r}; letters, digits, '-', '_' and '.' are allowed")
    weights, training = start.read(run)
    config = from_dict(training["config"])
    model = architectures.make(config)
    model.load_state_dict(weights)
    model.eval()
    if isinstance(model, Cae2026Model):
        facts, files = cae2026.facts(model), cae2026.files(model)
    else:
        facts, files = cae2017.facts(model), cae2017.files(model)

    scale = quality_scale(config.loss.betas, facts["ladder_top"] / 100)
    digests = {file: digest(content) for file, content in files.items()}
    manifest = {
        "format": FORMAT,
        "name": name,
        "licence": licence,
        "data": data,
        **facts,
        "work": work.per_pixel(files, facts["stride"]),
        "quality_scale": scale,
        "figures": figures or {},
        "training": training,
        "files": digests,
        "id": bundle_id(facts["architecture"], digests),
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    replace_folder(destination, files)
    return destination


def quality_scale(betas: Sequence[float], ladder_top: float) -> list[list[float]]:
    """Pairs of quality and ladder position, both rising, of a model with these betas up to `ladder_top`."""
    octaves = math.log(ladder.LAST_BETA / ladder.FIRST_BETA)
    shares = [math.log(beta / ladder.FIRST_BETA) / octaves for beta in (betas[0], betas[-1])]
    first, last = (max(1.0, round(1 + (ladder.LADDER_QUALITY - 1) * s, 2)) for s in shares)
    above = [[100.0, 100.0]] if ladder_top < 100 else []
    first, last = min(first, 99.0), min(last, 99.5 if above else 100.0)
    return [[first, 1.0], [max(last, first + 0.01), ladder_top], *above]
