"""schedule.py: learning rate, enabled channels and positions on the ladder, each a function of the step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caesura.train.config import TrainConfig
from caesura.train.schedule import channel_masks, learning_rate_factor, positions, trimmed

CPU = torch.device("cpu")


def factors(**options: Any) -> list[float]:
    config = TrainConfig(**options)
    return [learning_rate_factor(step, config, step / config.steps) for step in range(config.steps)]


def test_the_learning_rate_warms_up_stays_and_falls_to_zero_along_half_a_cosine() -> None:
    values = factors(steps=1000, warmup=100, decay=0.5)
    warming, constant, falling = values[:100], values[100:501], values[500:]
    assert warming == pytest.approx([(step + 1) / 101 for step in range(100)])
    assert set(constant) == {1.0}
    assert falling == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 500)) for i in range(500)])
    assert learning_rate_factor(1000, TrainConfig(steps=1000, decay=0.5), 1.0) == pytest.approx(0)


def test_without_decay_the_learning_rate_stays() -> None:
    assert set(factors(steps=200, warmup=0, decay=0.0)) == {1.0}


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    assert factors(steps=100, warmup=0, decay=1.0)[0] == 1


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 300), st.floats(0, 1))
def test_every_step_learns_at_most_at_the_peak_rate(steps: int, warmup: int, decay: float) -> None:
    values = factors(steps=steps, warmup=warmup, decay=decay)
    assert all(0 < value <= 1 for value in values)
    rises = [later > earlier for earlier, later in zip(values[warmup:], values[warmup + 1 :], strict=False)]
    assert not any(rises)


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 96))
def test_channels_are_enabled_one_after_another_and_stay(mask_steps: int, channels: int) -> None:
    config = TrainConfig(mask_steps=mask_steps)
    enabled = 0
    for step in range(mask_steps):
        (mask,) = channel_masks(step, config, channels, CPU)
        assert mask.dtype == torch.float32
        assert mask.device == CPU
        count = int(mask.sum())
        assert mask.tolist() == [1.0] * count + [0.0] * (channels - count)
        assert count >= max(1, enabled)
        assert count - enabled <= math.ceil(channels / mask_steps)
        enabled = count
    assert enabled <= channels
    assert channel_masks(mask_steps, config, channels, CPU) == ()


def test_the_first_step_of_incremental_training_has_one_channel_and_the_last_has_all() -> None:
    masks = [channel_masks(step, TrainConfig(mask_steps=96), 8, CPU) for step in range(96)]
    counts = [int(mask.sum()) for (mask,) in masks]
    assert counts == [1 + step // 12 for step in range(96)]


def test_without_mask_steps_every_channel_is_there_from_the_start() -> None:
    assert channel_masks(0, TrainConfig(mask_steps=0), 8, CPU) == ()


steps, seeds = st.integers(0, 10**6), st.integers(0, 2**31)
batches, ladders = st.integers(1, 40), st.integers(1, 12)


@settings(deadline=None)
@given(batches, ladders, steps, seeds)
def test_positions_lie_on_the_ladder(batch: int, anchors: int, step: int, seed: int) -> None:
    drawn = positions(step, TrainConfig(batch=batch, seed=seed), anchors)
    assert drawn.shape == (batch,)
    assert drawn.dtype == torch.float32
    assert drawn.min() >= 0
    assert drawn.max() <= anchors - 1


@settings(deadline=None)
@given(batches, ladders, steps, seeds)
def test_each_sample_of_a_batch_has_its_own_part_of_the_ladder(
    batch: int, anchors: int, step: int, seed: int
) -> None:
    """Equal parts of the ladder and half an anchor beyond each end; positions beyond are those of the end."""
    drawn = positions(step, TrainConfig(batch=batch, seed=seed), anchors).numpy()
    edges = (np.arange(batch + 1) / batch * anchors - 0.5).clip(0, anchors - 1)
    assert (drawn >= edges[:-1] - 1e-5).all()
    assert (drawn <= edges[1:] + 1e-5).all()


def test_positions_depend_on_seed_and_step_alone() -> None:
    def drawn(seed: int) -> list[list[float]]:
        return [positions(step, TrainConfig(batch=3, seed=seed), 8).tolist() for step in range(50)]

    torch.manual_seed(1)
    np.random.seed(1)
    first = drawn(0)
    torch.manual_seed(2)
    np.random.seed(2)
    assert drawn(0) == first
    assert not any(one == other for one, other in zip(drawn(1), first, strict=True))
    assert len({tuple(batch) for batch in first}) == 50


def test_the_samples_of_a_batch_are_moved_each_by_itself() -> None:
    drawn = torch.stack([positions(step, TrainConfig(batch=4), 9) for step in range(2000)])
    inner = drawn[:, 1:3].numpy()
    assert abs(np.corrcoef(inner.T)[0, 1]) < 0.1
    for column, edge in zip(inner.T, (9 / 4 - 0.5, 9 / 2 - 0.5), strict=True):
        within = np.histogram(column, bins=6, range=(edge, edge + 9 / 4))[0] / len(column)
        assert within.sum() == pytest.approx(1)
        assert np.abs(within - 1 / 6).max() < 0.04  # evenly, wherever in its part


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_over_many_steps_every_anchor_is_near_about_as_often(batch: int) -> None:
    drawn = torch.cat([positions(step, TrainConfig(batch=batch), 8) for step in range(4000 // batch)])
    shares = torch.bincount(drawn.round().long(), minlength=8) / len(drawn)
    assert shares.min() > 0.1
    assert shares.max() < 0.15


def test_both_ends_of_the_ladder_are_reached_exactly_and_about_as_often() -> None:
    drawn = torch.cat([positions(step, TrainConfig(batch=8), 8) for step in range(500)])
    for end in (0, 7):
        assert float((drawn == end).float().mean()) == pytest.approx(1 / 16, abs=0.02)


def test_a_ladder_of_one_has_one_position() -> None:
    assert positions(5, TrainConfig(batch=6), 1).tolist() == [0.0] * 6


sides = st.integers(1, 8)


@settings(deadline=None)
@given(steps.map(lambda step: 4 * step), seeds, sides, sides)
def test_every_fourth_steps_crops_are_one_to_three_latents_smaller(
    step: int, seed: int, rows: int, columns: int
) -> None:
    pixels = torch.arange(2.0 * 16 * rows * 16 * columns).reshape(2, 1, 16 * rows, 16 * columns)
    smaller = trimmed(pixels, step, TrainConfig(seed=seed), 16)
    height, width = smaller.shape[2:]
    assert torch.equal(smaller, pixels[..., :height, :width])
    for side, before in ((height, rows), (width, columns)):
        assert side % 16 == 0
        assert max(1, before - 3) <= side // 16 <= max(1, before - 1)


@settings(deadline=None)
@given(steps.filter(lambda step: step % 4 != 0), seeds)
def test_the_other_steps_crops_stay(step: int, seed: int) -> None:
    pixels = torch.zeros(2, 3, 64, 64)
    assert trimmed(pixels, step, TrainConfig(seed=seed), 16) is pixels


def test_sizes_depend_on_seed_and_step_alone_and_all_occur() -> None:
    pixels = torch.zeros(1, 1, 80, 80)

    def drawn(seed: int) -> list[tuple[int, ...]]:
        return [
            tuple(trimmed(pixels, step, TrainConfig(seed=seed), 16).shape[2:]) for step in range(0, 800, 4)
        ]

    np.random.seed(1)
    first = drawn(0)
    np.random.seed(2)
    assert drawn(0) == first
    assert drawn(1) != first
    assert set(first) == {(height, width) for height in (32, 48, 64) for width in (32, 48, 64)}
