"""Random crops from a pack of squares, a share of them from squares drawn by code.

What a step sees is a function of (seed, step) alone: no state to save, and a resumed run draws what an
uninterrupted one would have drawn. Ranks share each step's batch: each takes its shard of it.
"""

from __future__ import annotations

import itertools
import json
import queue
import threading
from array import array
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.errors import ConfigError
from caesura.train.config import TrainConfig
from caesura.train.cut import Plan, cut, cut_on_device
from caesura.train.drawn import Drawings
from caesura.train.prepare import FORMAT, MANIFEST, SQUARES
from caesura.train.shard import WHOLE, Shard
from caesura.train.transfer import to_device


class Pack:
    """A packed folder of squares, open for reading.

    Attributes:
        squares: uint8 (count, side, side, 3), memory-mapped.
        side: of a square, in pixels.
        train, validation: indices of the squares of each split.
        sha256: of the squares, as the manifest says.

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
        """Up to `count` centre crops spread evenly over the validation squares, or the train squares if none.

        Returns:
            uint8 (n, crop, crop, 3).
        """
        indices = self.validation if len(self.validation) else self.train
        chosen = spread(indices, count)
        margin = (self.side - crop) // 2
        return torch.from_numpy(self.squares[chosen, margin : margin + crop, margin : margin + crop])


def spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of `indices`, evenly spread."""
    if not len(indices):
        return indices
    return indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(np.int64)]


def planar(crops: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [0, 1]; the layout in memory stays channels-last."""
    return crops.permute(0, 3, 1, 2).float() / 255


def _read(manifest: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
    """A manifest without its photos, and of each split where theirs are: int64 (n, 2), starts and counts.

    Of each photo two numbers are kept while the text is read: a million as objects would take a gigabyte.
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
    """All of each range; int64 (n, 2), starts and counts."""
    starts, counts = ranges.T
    before = np.cumsum(counts) - counts  # indices of the ranges before
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def crop_batches(
    pack: Pack, config: TrainConfig, *, first_step: int, device: torch.device, shard: Shard = WHOLE
) -> Generator[Tensor]:
    """Yield one uint8 (batch / ranks, crop, crop, 3) tensor on `device` per step.

    Steps are [first_step, config.steps), or without end where that is 0. Squares are drawn uniformly, cropped
    at a random place, flipped and transposed at random; then about the share `config.drawn` of the crops is
    replaced by crops of squares drawn by code, and the others stay as they are. On a GPU with room the whole
    train split lives in its memory and is cropped there; elsewhere a background thread crops from the memory
    map and stays a few steps ahead.

    Raises:
        ConfigError: the pack has no train squares, or they are smaller than `config.crop`.
    """
    if not len(pack.train):
        raise ConfigError("data: the pack has no train squares")
    if pack.side < config.crop:
        raise ConfigError(f"train.crop is {config.crop}; the pack's squares have only {pack.side} pixels")

    def plan(step: int) -> Plan:
        random = np.random.default_rng((config.seed, step))
        return _plan(random, len(pack.train), config.batch, config.crop, pack.side, shard)

    def with_drawn(crops: Tensor, step: int, photos: Plan) -> Tensor:
        chosen, square = _drawn(np.random.default_rng((config.seed, step, 2)), config, shard)
        if len(chosen):
            drawn = Plan._make(numbers[chosen] for numbers in photos)._replace(square=square)
            index = to_device(torch.from_numpy(chosen), crops.device)
            crops[index] = drawings.crops(drawn, config.crop)
        return crops

    steps = range(first_step, config.steps) if config.steps else itertools.count(first_step)
    resides = device.type == "cuda" and _fits(pack, device)
    drawings = Drawings(config.seed, pack.side, device if resides else torch.device("cpu"))
    if resides:
        resident = torch.from_numpy(pack.squares[pack.train]).to(device)
        for step in steps:
            photos = plan(step)
            yield with_drawn(cut_on_device(resident, photos, config.crop), step, photos)
        return

    def crops() -> Iterator[Tensor]:
        for step in steps:
            photos = plan(step)
            crops = cut(pack.squares, photos._replace(square=pack.train[photos.square]), config.crop)
            yield with_drawn(crops, step, photos)

    for host in _prefetched(crops()):
        yield to_device(host, device)


def _fits(pack: Pack, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return len(pack.train) * pack.side**2 * 3 < free // 2


def _plan(random: np.random.Generator, squares: int, batch: int, crop: int, side: int, shard: Shard) -> Plan:
    """The crops of a shard, drawn with those of the whole batch."""
    square = random.integers(squares, size=batch)
    top, left = random.integers(side - crop + 1, size=(2, batch))
    turns = random.random((3, batch)) < 0.5
    return Plan(*(numbers[shard.rows] for numbers in (square, top, left, *turns)))


def _drawn(
    random: np.random.Generator, config: TrainConfig, shard: Shard
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of a shard's crops are drawn by code, (n,), and out of which square, (n,)."""
    replaced = random.random(config.batch)[shard.rows] < config.drawn
    square = random.integers(Drawings.count, size=config.batch)[shard.rows]
    return np.flatnonzero(replaced), square[replaced]


def _prefetched(items: Iterator[Tensor], ahead: int = 4) -> Iterator[Tensor]:
    """Run `items` in a thread, at most `ahead` items early; its exception is raised here."""
    ready: queue.Queue[Tensor | BaseException | None] = queue.Queue(ahead)
    stop = threading.Event()

    def offer(item: Tensor | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
            offer(None)
        except BaseException as error:
            offer(error)

    thread = threading.Thread(target=work, name="crops", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
