"""Random crops from a pack of squares, a share of them from squares drawn by code, a share of them grey.

The crops of a step are a function of (seed, step) alone: a resumed run takes those that an uninterrupted one
would have taken. Ranks share the batch of each step; each takes its shard of it.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.errors import ConfigError
from caesura.train.config import TrainConfig
from caesura.train.drawn import drawn
from caesura.train.forward import WHOLE, Shard
from caesura.train.pack import Pack
from caesura.train.transfer import to_device

_LUMA = (299, 587, 114)  # thousandths, ITU-R BT.601


class Plan(NamedTuple):
    """Squares, positions and orientations of n crops."""

    square: NDArray[np.int64]  # (n,)
    top: NDArray[np.int64]  # (n,)
    left: NDArray[np.int64]  # (n,)
    mirror_rows: NDArray[np.bool_]  # (n,)
    mirror_columns: NDArray[np.bool_]  # (n,)
    transpose: NDArray[np.bool_]  # (n,), after mirroring


def cut(squares: NDArray[np.uint8], plan: Plan, crop: int) -> Tensor:
    """Crops of squares on the host: uint8 (count, side, side, 3) to (n, crop, crop, 3)."""
    crops = np.empty((len(plan.square), crop, crop, 3), np.uint8)
    for target, square, top, left, *turns in zip(crops, *plan, strict=True):
        found = squares[square, top : top + crop, left : left + crop]
        mirror_rows, mirror_columns, transpose = turns
        found = found[:: -1 if mirror_rows else 1, :: -1 if mirror_columns else 1]
        target[:] = found.swapaxes(0, 1) if transpose else found
    return torch.from_numpy(crops)


def cut_on_device(squares: Tensor, plan: Plan, crop: int) -> Tensor:
    """As `cut`, of squares on a device; only the plan is copied there."""
    numbers = to_device(torch.from_numpy(np.stack(plan)), squares.device)
    square, top, left, mirror_rows, mirror_columns, transpose = numbers[..., None]
    forth = torch.arange(crop, device=squares.device)
    row = top + torch.where(mirror_rows > 0, crop - 1 - forth, forth)
    column = left + torch.where(mirror_columns > 0, crop - 1 - forth, forth)
    crops = squares[square[..., None], row[:, :, None], column[:, None, :]]
    return torch.where(transpose[..., None, None] > 0, crops.transpose(1, 2), crops)


class Drawings:
    """512 squares drawn by code (`drawn.py`), in memory on a device, each drawn when it is first cropped.

    Square `n` is a function of (seed, n, side) alone.

    Args:
        seed: of the run.
        side: of a square, in pixels, 8 or more.
        device: on which squares are kept and cropped.
    """

    count = 512

    def __init__(self, seed: int, side: int, device: torch.device) -> None:
        self._seed, self._side, self._made = seed, side, np.zeros(self.count, bool)
        self._squares = torch.empty((self.count, side, side, 3), dtype=torch.uint8, device=device)

    def crops(self, plan: Plan, crop: int) -> Tensor:
        """The crops of a plan: uint8 (n, crop, crop, 3) on the device."""
        for number in np.unique(plan.square[~self._made[plan.square]]):
            random = np.random.default_rng((self._seed, int(number), 3))
            self._squares[number] = torch.from_numpy(drawn(random, self._side))
            self._made[number] = True
        if self._squares.device.type == "cpu":
            return cut(self._squares.numpy(), plan, crop)
        return cut_on_device(self._squares, plan, crop)


def crop_batches(
    pack: Pack, config: TrainConfig, *, first_step: int, device: torch.device, shard: Shard = WHOLE
) -> Generator[Tensor]:
    """Yield one uint8 (batch / ranks, crop, crop, 3) tensor on `device` per step.

    Steps are [first_step, config.steps), or without end if that is 0. Squares are chosen uniformly, cropped
    at a random position, flipped and transposed at random. Then about the share `config.drawn` of the crops
    is replaced by crops of squares drawn by code, and about the share `config.grey` of all of them loses its
    colours; the others do not depend on it. On a GPU with room for twice the train split, the split is kept
    in its memory and cropped there; otherwise a background thread crops from the memory map, a few steps
    ahead.

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
            plans = Plan._make(numbers[chosen] for numbers in photos)._replace(square=square)
            index = to_device(torch.from_numpy(chosen), crops.device)
            crops[index] = drawings.crops(plans, config.crop)
        return crops

    def with_grey(crops: Tensor, step: int) -> Tensor:
        chosen = _grey(np.random.default_rng((config.seed, step, 4)), config, shard)
        if len(chosen):
            index = to_device(torch.from_numpy(chosen), crops.device)
            crops[index] = _without_colour(crops[index])
        return crops

    steps = range(first_step, config.steps) if config.steps else itertools.count(first_step)
    resides = device.type == "cuda" and _fits(pack, device)
    drawings = Drawings(config.seed, pack.side, device if resides else torch.device("cpu"))
    if resides:
        resident = torch.from_numpy(pack.squares[pack.train]).to(device)
        for step in steps:
            photos = plan(step)
            found = cut_on_device(resident, photos, config.crop)
            yield with_grey(with_drawn(found, step, photos), step)
        return

    def crops() -> Iterator[Tensor]:
        for step in steps:
            photos = plan(step)
            found = cut(pack.squares, photos._replace(square=pack.train[photos.square]), config.crop)
            yield with_grey(with_drawn(found, step, photos), step)

    for host in _prefetched(crops()):
        yield to_device(host, device)


def _fits(pack: Pack, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return len(pack.train) * pack.side**2 * 3 < free // 2


def _plan(random: np.random.Generator, squares: int, batch: int, crop: int, side: int, shard: Shard) -> Plan:
    """The plan of a shard, a part of the plan of the whole batch."""
    square = random.integers(squares, size=batch)
    top, left = random.integers(side - crop + 1, size=(2, batch))
    turns = random.random((3, batch)) < 0.5
    return Plan(*(numbers[shard.rows] for numbers in (square, top, left, *turns)))


def _drawn(
    random: np.random.Generator, config: TrainConfig, shard: Shard
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices, (n,), of the crops of a shard that are drawn by code, and of their squares, (n,)."""
    replaced = random.random(config.batch)[shard.rows] < config.drawn
    square = random.integers(Drawings.count, size=config.batch)[shard.rows]
    return np.flatnonzero(replaced), square[replaced]


def _grey(random: np.random.Generator, config: TrainConfig, shard: Shard) -> NDArray[np.int64]:
    """Indices, (n,), of the crops of a shard that lose their colours."""
    return np.flatnonzero(random.random(config.batch)[shard.rows] < config.grey)


def _without_colour(crops: Tensor) -> Tensor:
    """The luma of RGB crops in all three channels: uint8 (n, crop, crop, 3) in and out."""
    red, green, blue = (weight * crops[..., n].int() for n, weight in enumerate(_LUMA))
    luma = (red + green + blue + 500) // 1000
    return luma.to(torch.uint8)[..., None].expand_as(crops)


def _prefetched(items: Iterator[Tensor], ahead: int = 4) -> Iterator[Tensor]:
    """The items, computed in a thread at most `ahead` items early; its exceptions are raised here."""
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
