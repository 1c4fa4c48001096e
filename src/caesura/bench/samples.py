"""Decoded pictures for the page of a picture, and the region where codecs differ most."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from caesura.bench.plot import Style
from caesura.errors import ConfigError
from caesura.picture import files

_MEDIA = {b"\x89PNG": "image/png", b"RIFF": "image/webp"}
_SQUARE = 128  # side in pixels of the region where codecs differ most


def load(
    results: dict[str, Any], picture: str, folder: Path, styles: dict[str, Style]
) -> dict[str, Any] | None:
    """The decoded versions of a picture as data URIs, the original first, and where they differ most.

    Returns:
        Variables of page/picture.html; None if the picture has no samples.

    Raises:
        ConfigError: a sample lies outside samples/, cannot be read, or is neither PNG nor WebP.
    """
    entries = [entry for entry in results["samples"] if entry["picture"] == picture]
    entries.sort(key=lambda entry: entry["codec"] != "original")
    if not entries:
        return None
    root = (folder / "samples").resolve()
    loaded = []
    for entry in entries:
        path = (root / entry["file"]).resolve()
        if not path.is_relative_to(root):
            raise ConfigError(f"sample {entry['file']!r} lies outside samples/; a path below it is allowed")
        content = files.read(path)
        if content[:4] not in _MEDIA:
            raise ConfigError(f"sample {path} is neither PNG nor WebP")
        uri = f"data:{_MEDIA[content[:4]]};base64,{base64.b64encode(content).decode()}"
        loaded.append({**entry, "uri": uri, "style": styles.get(entry["codec"])})
    left = next((e["codec"] for e in loaded if e["codec"] == "original"), loaded[0]["codec"])
    right = next((e["codec"] for e in loaded if e["codec"] != left), left)
    across, down = busiest([root / entry["file"] for entry in entries])
    first = entries[0]
    return {
        "entries": loaded,
        "left": left,
        "right": right,
        "x": across,
        "y": down,
        **{key: first[key] for key in ("width", "height")},
        "region": f"{first['width']} x {first['height']} pixels at ({first['x']}, {first['y']})",
    }


def busiest(paths: Sequence[Path]) -> tuple[int, int]:
    """The centre (x, y) of the square in which pictures differ most from the first of them.

    Raises:
        ConfigError: a file cannot be read.
    """
    try:
        arrays = [np.asarray(Image.open(path).convert("RGB"), np.float64) for path in paths]
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ConfigError(f"sample cannot be read: {error}") from error
    height, width = arrays[0].shape[:2]
    differences = np.zeros((height, width))
    for array in arrays[1:]:
        if array.shape == arrays[0].shape:
            differences += np.abs(array - arrays[0]).mean(2)
    sums = np.pad(differences.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = min(_SQUARE, height), min(_SQUARE, width)
    boxes = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    top, left = np.unravel_index(int(boxes.argmax()), boxes.shape)
    return int(left) + columns // 2, int(top) + rows // 2
