"""Export's quality scale: one quality is one beta, whatever the model."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.train.export import quality_scale

LOG_RATIO = math.log(12000 / 6)


def test_the_ladder_of_cae2026_fills_quality_up_to_its_top_and_the_detail_layer_the_rest() -> None:
    betas = [6, 17.8, 52.6, 156, 462, 1368, 4051, 12000]
    assert quality_scale(betas, 72.0) == [[1.0, 1.0], [72.0, 72.0], [100.0, 100.0]]


def test_the_shipped_models_have_the_scale_of_their_betas(either: Bundle) -> None:
    betas = either.manifest["training"]["config"]["loss"]["betas"]
    assert either.manifest["quality_scale"] == quality_scale(betas, either.ladder_top / 100)


@pytest.mark.slow
@given(st.floats(6, 12000), st.floats(1.01, 100))
def test_quality_runs_evenly_in_the_logarithm_of_beta(beta: float, ratio: float) -> None:
    (first, low), (last, high) = quality_scale([beta, beta * ratio], 100.0)
    assert (low, high) == (1.0, 100.0)
    for quality, reached in ((first, beta), (last, beta * ratio)):
        expected = min(100.0, 1 + 71 * math.log(reached / 6) / LOG_RATIO)
        assert quality == pytest.approx(expected, abs=0.0051)


@given(st.floats(6, 12000), st.floats(6, 12000))
def test_one_quality_means_one_beta_whatever_the_model(one: float, other: float) -> None:
    """Two ladders that both reach a beta give it the same quality, at any ladder position."""
    low, high = sorted((one, other))
    middle = math.sqrt(low * high)
    expected = 1 + 71 * math.log(middle / 6) / LOG_RATIO
    for betas in ([low / 1.5, high * 1.5], [low / 3, middle, high * 3]):
        scale = [(quality, position) for quality, position in quality_scale(betas, 100.0)]
        share = math.log(middle / betas[0]) / math.log(betas[-1] / betas[0])
        if betas[0] >= 6:  # below, quality is cut off at 1
            assert ladder.quality_of(round(100 + 9900 * share), scale) == pytest.approx(expected, abs=0.03)


ladders = st.lists(st.floats(1e-2, 2e5), min_size=1, max_size=5, unique=True).map(sorted)


@given(ladders, st.sampled_from([30.0, 72.0, 100.0]))
def test_a_scale_is_one_that_bundles_may_have(betas: list[float], top: float) -> None:
    scale = quality_scale(betas, top)
    for (quality, position), (better, higher) in itertools.pairwise(scale):
        assert quality < better
        assert position < higher
    assert 1 <= scale[0][0] < scale[-1][0] <= 100
    assert scale[0][1] == 1
    assert top in [position for _, position in scale]
    assert len(scale) == (3 if top < 100 else 2)  # what is above the ladder goes up to quality 100
    assert top == 100 or scale[-1] == [100.0, 100.0]


def test_a_ladder_of_one_still_has_a_scale_that_rises() -> None:
    (first, low), (last, high) = quality_scale([268.0], 100.0)
    assert first < last == pytest.approx(first + 0.01)
    assert (low, high) == (1.0, 100.0)
