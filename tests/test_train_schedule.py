"""schedule.py: learning rate, enabled channels and rates drawn, each a function of the step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from caesura.train.config import TrainConfig
from caesura.train.schedule import channel_mask, learning_rate_factor, rungs


def factors(**options: Any) -> list[float]:
    config = TrainConfig(**options)
    return [learning_rate_factor(step, config) for step in range(config.steps)]


def test_the_learning_rate_warms_up_stays_and_falls_to_zero_along_half_a_cosine() -> None:
    values = factors(steps=1000, warmup=100, decay=0.5)
    warming, constant, falling = values[:100], values[100:501], values[500:]
    assert warming == pytest.approx([(step + 1) / 101 for step in range(100)])
    assert set(constant) == {1.0}
    assert falling == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 500)) for i in range(500)])
    assert learning_rate_factor(1000, TrainConfig(steps=1000, decay=0.5)) == pytest.approx(0)


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


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 96))
def test_channels_are_enabled_one_after_another_and_stay(mask_steps: int, channels: int) -> None:
    config = TrainConfig(mask_steps=mask_steps)
    enabled = 0
    for step in range(mask_steps):
        mask = channel_mask(step, config, channels)
        assert mask is not None
        count = int(mask.sum())
        assert mask.tolist() == [1.0] * count + [0.0] * (channels - count)
        assert count >= max(1, enabled)
        assert count - enabled <= math.ceil(channels / mask_steps)
        enabled = count
    assert enabled <= channels
    assert channel_mask(mask_steps, config, channels) is None


def test_the_first_step_of_incremental_training_has_one_channel_and_the_last_has_all() -> None:
    masks = [channel_mask(step, TrainConfig(mask_steps=96), 8) for step in range(96)]
    counts = [int(mask.sum()) for mask in masks if mask is not None]
    assert counts == [1 + step // 12 for step in range(96)]


def test_without_mask_steps_every_channel_is_there_from_the_start() -> None:
    assert channel_mask(0, TrainConfig(mask_steps=0), 8) is None


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 10**6), st.integers(0, 2**31))
def test_rungs_are_drawn_as_evenly_as_a_batch_allows(batch: int, ladder: int, step: int, seed: int) -> None:
    drawn = rungs(step, TrainConfig(batch=batch, seed=seed), ladder)
    assert drawn.shape == (batch,)
    assert drawn.dtype == torch.int64
    counts = torch.bincount(drawn, minlength=ladder)
    assert len(counts) == ladder
    assert counts.max() - counts.min() <= 1


def test_rungs_depend_on_seed_and_step_alone() -> None:
    def drawn(seed: int) -> list[list[int]]:
        return [rungs(step, TrainConfig(batch=3, seed=seed), 8).tolist() for step in range(50)]

    torch.manual_seed(1)
    first = drawn(0)
    torch.manual_seed(2)
    assert drawn(0) == first
    assert drawn(1) != first
    assert len({tuple(rung) for rung in first}) > 1


def test_over_many_steps_every_rung_is_drawn_about_as_often() -> None:
    drawn = torch.cat([rungs(step, TrainConfig(batch=2), 8) for step in range(2000)])
    shares = torch.bincount(drawn, minlength=8) / len(drawn)
    assert shares.min() > 0.1
    assert shares.max() < 0.15
