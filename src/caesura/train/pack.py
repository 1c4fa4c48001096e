"""A pack of squares, as `prepare.py` writes it, open for reading."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.errors import ConfigError
from caesura.train.prepare import FORMAT, MANIFEST, SQUARES


class Pack:
    """A pack, its squares memory-mapped.

    Attributes:
        squares: uint8 (count, side, side, 3).
        side: of a square, in pixels.
        train, validation: indices of the squares of each split.
        sha256: of the squares, from the manifest.

    Raises:
        ConfigError: `path` is not a pack, or its two files disagree.
    """

    def __init__(self, path: Path) -> None:
        try:
            head, ranges = _read(path / MANIFEST)
            side, count, self.sha256 = int(head["side"]), int(head["count"]), str(head["sha256"])
            if side < 1 or any(np.any(r < 0) or np.any(r.sum(axis=1) > count) for r in ranges.values()):
                raise ValueError(f"its photos are beyond {count} squares of {side}")
            size = (path / SQUARES).stat().st_size
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"data {path} is not a pack made by `caesura data prepare`: {error}") from error
        if head.get("format") != FORMAT or size != count * side * side * 3:
            raise ConfigError(
                f"data {path}: {SQUARES} holds {size} bytes, {count} squares of {side} expected"
            )
        self.side = side
        self.squares = np.memmap(path / SQUARES, dtype=np.uint8, mode="r", shape=(count, side, side, 3))
        self.train, self.validation = _indices(ranges["train"]), _indices(ranges["validation"])

    def validation_crops(self, count: int, crop: int) -> Tensor:
        """Centre crops, uint8 (n, crop, crop, 3), of at most `count` squares of the validation split.

        They are evenly spread. Without validation squares those of the train split are used.
        """
        indices = self.validation if len(self.validation) else self.train
        chosen = spread(indices, count)
        margin = (self.side - crop) // 2
        return torch.from_numpy(self.squares[chosen, margin : margin + crop, margin : margin + crop])


def spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the indices, evenly spread."""
    if not len(indices):
        return indices
    return indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(np.int64)]


def planar(crops: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [0, 1]; the layout in memory stays channels-last."""
    return crops.permute(0, 3, 1, 2).float() / 255


def _read(manifest: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
    """A manifest without its photos, and for each split their ranges: int64 (n, 2), starts and counts.

    Photos are reduced to two numbers while the text is parsed: a million of them as objects take a gigabyte.
    """
    ranges = {"train": array("q"), "validation": array("q")}

    def noted(entry: dict[str, Any]) -> dict[str, Any] | None:
        if not entry.keys() >= {"split", "start", "count"}:
            return entry
        ranges[entry["split"]].extend((entry["start"], entry["count"]))
        return None

    head = json.loads(manifest.read_bytes(), object_hook=noted)
    if not isinstance(head, dict) or head.pop("photos") != [None] * (sum(map(len, ranges.values())) // 2):
        raise ValueError("its photos are no list of ranges")
    return head, {split: np.array(found).reshape(-1, 2) for split, found in ranges.items()}


def _indices(ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of all ranges, int64 (n, 2), starts and counts, one after another."""
    starts, counts = ranges.T
    before = np.cumsum(counts) - counts  # indices of the ranges before
    return np.repeat(starts - before, counts) + np.arange(counts.sum())
