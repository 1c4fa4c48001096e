"""Crops cut out of squares, on the host or on a device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.train.transfer import to_device


class Plan(NamedTuple):
    """Where n crops are cut and how they are turned: a few numbers a crop."""

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
    """As `cut`, of squares on a device: only the plan goes there, and what it means is worked out there."""
    numbers = to_device(torch.from_numpy(np.stack(plan)), squares.device)
    square, top, left, mirror_rows, mirror_columns, transpose = numbers[..., None]
    forth = torch.arange(crop, device=squares.device)
    row = top + torch.where(mirror_rows > 0, crop - 1 - forth, forth)
    column = left + torch.where(mirror_columns > 0, crop - 1 - forth, forth)
    crops = squares[square[..., None], row[:, :, None], column[:, None, :]]
    return torch.where(transpose[..., None, None] > 0, crops.transpose(1, 2), crops)
