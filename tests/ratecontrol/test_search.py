"""The search for a target: it is met, closely where the curve allows it, and with few trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caesura.errors import ConfigError
from caesura.format.container import POSITION_MAX, POSITION_MIN
from caesura.ratecontrol import search as targets
from caesura.ratecontrol.search import Found, Target, search

PIXELS = 512 * 768
NOISE = 0.003
Curve = Callable[[int], float]
positions = st.integers(POSITION_MIN, POSITION_MAX)


def through(knots: list[tuple[int, float]]) -> Curve:
    """Straight between knots."""

    def curve(position: int) -> float:
        return float(np.interp(position, *zip(*knots, strict=True)))

    return curve


# Measured with the model `photo-psnr`, whose detail layer sets in above position 7200: natural logarithm of
# bytes, dB, MS-SSIM as a logarithm. A photo, and noise, on which the latents end at 13 dB.
TOP = 7200
PHOTO_SIZES = through(
    [
        (100, 6.431),
        (1000, 6.956),
        (2000, 7.55),
        (4000, 8.780),
        (6000, 9.907),
        (7200, 10.457),
        (7201, 10.561),
        (7500, 10.614),
        (8500, 10.954),
        (9000, 11.174),
        (10000, 11.626),
    ]
)
PHOTO_PSNR = through(
    [
        (100, 22.6),
        (1000, 24.5),
        (2000, 26.6),
        (4000, 31.3),
        (6000, 36.3),
        (7200, 38.5),
        (7201, 39.8),
        (7500, 40.1),
        (8500, 41.7),
        (9000, 43.0),
        (10000, 46.1),
    ]
)
PHOTO_MS_SSIM = through([(100, 1.85), (1000, 2.24), (3000, 3.30), (5000, 4.36), (7200, 5.36), (10000, 6.66)])
NOISE_SIZES = through(
    [
        (100, 4.22),
        (500, 4.22),
        (1000, 4.56),
        (2000, 6.09),
        (4000, 8.47),
        (7200, 9.43),
        (7201, 10.65),
        (10000, 10.91),
    ]
)


class Picture:
    """Stands for a picture and a model: measured values by ladder position, and the positions tried."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self.tried: dict[int, float] = {}

    def __call__(self, position: int) -> tuple[float, str]:
        assert type(position) is int
        assert POSITION_MIN <= position <= POSITION_MAX
        assert position not in self.tried
        self.tried[position] = self._curve(position)
        return self.tried[position], f"coded at {position}"

    def find(self, target: Target, guess: int = 5000, jump: int = POSITION_MAX) -> Found[str]:
        """Search, and check what holds of every search."""
        found = search(target, self, pixels=PIXELS, start=guess, jump=jump)
        assert found.value == self.tried[found.ladder_position]
        assert found.result == f"coded at {found.ladder_position}"
        assert found.trials == len(self.tried) <= targets.INTERPOLATED + 14
        assert meets(target, found.value)
        assert close(target, found.value) or self._tried_beyond(target, found.ladder_position)
        return found

    def _tried_beyond(self, target: Target, position: int) -> bool:
        """Whether the neighbour that would be better was tried and does not do, or is off the scale."""
        beyond = position + 1 if target.is_size else position - 1
        if not POSITION_MIN <= beyond <= POSITION_MAX:
            return True
        return beyond in self.tried and not meets(target, self.tried[beyond])


def meets(target: Target, value: float) -> bool:
    bound = target.bound(PIXELS)
    return value <= bound if target.is_size else value >= bound


def close(target: Target, value: float) -> bool:
    bound = target.bound(PIXELS)
    if target.is_size:
        return value >= min(bound * 0.99, bound - 40) - 1e-9
    return value <= bound + (0.04 if target.name == "psnr" else max(5e-5, 0.01 * (1 - bound))) + 1e-9


def sizes(logarithm: Curve, noise: float = 0, seed: int = 0) -> Curve:
    return lambda position: round(
        math.exp(logarithm(position)) * (1 + noise * Random(seed + position).uniform(-1, 1))
    )


def similarities(logarithm: Curve) -> Curve:
    return lambda position: 1 - math.exp(-logarithm(position))


def decibels(straight: Curve, noise: float = 0, seed: int = 0) -> Curve:
    return lambda position: straight(position) + 4.34 * noise * Random(seed + position).uniform(-1, 1)


@st.composite
def curves(draw: st.DrawFn, low: float, high: float, jump: int | None = None) -> Curve:
    """Rising from somewhere above `low` to somewhere below `high`, here and there not at all or by a leap."""
    count = draw(st.integers(0, 6))
    inner = sorted(draw(st.sets(st.integers(POSITION_MIN + 1, POSITION_MAX - 1), max_size=count)))
    if jump is not None:
        inner = sorted({*inner, jump, jump + 1})
    heights = sorted(draw(st.lists(st.floats(low, high), min_size=len(inner) + 2, max_size=len(inner) + 2)))
    flat = draw(st.integers(0, len(heights)))
    if 0 < flat < len(heights):
        heights[flat] = heights[flat - 1]
    return through(list(zip([POSITION_MIN, *inner, POSITION_MAX], heights, strict=True)))


# 0.02 to 5 bits per pixel
LOWEST, HIGHEST = math.log(0.02 * PIXELS / 8), math.log(5 * PIXELS / 8)
jumps = st.integers(POSITION_MIN, POSITION_MAX)


# ---- a target


@pytest.mark.parametrize(
    ("given_", "is_size", "bound"),
    [
        ({"bytes": 1}, True, 1),
        ({"bytes": np.int64(40_000)}, True, 40_000),
        ({"bpp": 0.5}, True, 24_576),
        ({"bpp": 0.50001}, True, 24_576),
        ({"psnr": 1}, False, 1),
        ({"psnr": 100}, False, 100),
        ({"psnr": np.float32(35.5)}, False, 35.5),
        ({"ms_ssim": 0.98}, False, 0.98),
    ],
)
def test_a_target_is_one_of_four(given_: dict[str, Any], is_size: bool, bound: float) -> None:
    target = Target(**given_)
    assert [target.name] == list(given_)
    assert target.is_size == is_size
    assert target.bound(PIXELS) == bound


@pytest.mark.parametrize("value", [0, -1])
def test_bytes_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"bytes is .+; an integer of 1 or more is allowed"):
        Target(bytes=value)


@pytest.mark.parametrize("value", [0, -0.1, math.inf, math.nan])
def test_bits_per_pixel_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"bpp is .+; a number above 0 is allowed"):
        Target(bpp=value)


@pytest.mark.parametrize("value", [0, 0.99, 100.01, -30, math.inf, math.nan])
def test_decibels_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"psnr is .+; 1 to 100 \(dB\) is allowed"):
        Target(psnr=value)


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, 1.5, -0.5, math.nan, np.float32(1)])
def test_an_ms_ssim_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"ms_ssim is .+; a number between 0 and 1, both left out, is allowed"
    ):
        Target(ms_ssim=value)


@pytest.mark.parametrize("name", ["bytes", "bpp", "psnr", "ms_ssim"])
@pytest.mark.parametrize("value", [True, "1000", [1], 1j, np.array(1)])
def test_what_is_no_number_is_of_the_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"{name} is .+, of type {type(value).__name__}; .+ is allowed"):
        Target(**{name: value})


@pytest.mark.parametrize("value", [1.0, 100.5, math.inf, Fraction(1, 2), np.float32(3)])
def test_bytes_are_whole(value: Any) -> None:
    with pytest.raises(TypeError, match=r"bytes is .+; an integer of 1 or more is allowed"):
        Target(bytes=value)


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({}, "nothing"),
        ({"bytes": 9, "psnr": 30}, "bytes and psnr"),
        ({"bpp": 0, "ms_ssim": 0}, "bpp and ms_ssim"),
    ],
)
def test_none_and_two_are_refused(given_: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=f"target has {named}; exactly one of bytes, bpp, psnr, ms_ssim"):
        Target(**given_)


# ---- the search, on curves that were measured


@pytest.mark.slow
@given(positions, st.integers(0, 99), st.sampled_from([0.0, NOISE]))
def test_a_photos_size_takes_few_trials(position: int, seed: int, noise: float) -> None:
    picture = Picture(sizes(PHOTO_SIZES, noise, seed))
    wanted = math.ceil(math.exp(PHOTO_SIZES(position)) * 1.01)
    trials = picture.find(Target(bytes=wanted), jump=TOP).trials
    assert noise or trials <= targets.INTERPOLATED


def test_a_photos_size_mostly_takes_four_trials_at_most() -> None:
    counts = [
        Picture(sizes(PHOTO_SIZES, NOISE, position)).find(
            Target(bytes=math.ceil(math.exp(PHOTO_SIZES(position)) * 1.01)), jump=TOP
        )
        for position in range(150, 10000, 50)
    ]
    assert sum(found.trials for found in counts) / len(counts) < 3.8
    assert sum(found.trials <= 4 for found in counts) / len(counts) > 0.75


@given(st.floats(22.7, 46))
def test_a_photos_psnr_takes_few_trials(wanted: float) -> None:
    assert Picture(decibels(PHOTO_PSNR)).find(Target(psnr=wanted), jump=TOP).trials <= targets.INTERPOLATED


@given(st.floats(1.86, 6.65))
def test_a_photos_ms_ssim_takes_few_trials(wanted: float) -> None:
    target = Target(ms_ssim=1 - math.exp(-wanted))
    assert Picture(similarities(PHOTO_MS_SSIM)).find(target, jump=TOP).trials <= targets.INTERPOLATED


@given(st.integers(70, 54_000), positions)
def test_the_sizes_of_noise_are_met(wanted: int, guess: int) -> None:
    Picture(sizes(NOISE_SIZES)).find(Target(bytes=wanted), guess, TOP)


def test_a_size_within_the_leap_ends_below_it() -> None:
    found = Picture(sizes(NOISE_SIZES)).find(Target(bytes=30_000), jump=TOP)
    assert found.ladder_position == TOP
    assert found.trials <= 6


def test_a_quality_within_the_leap_ends_above_it() -> None:
    found = Picture(decibels(PHOTO_PSNR)).find(Target(psnr=39), jump=TOP)
    assert found.ladder_position == TOP + 1
    assert found.trials <= 6


@given(positions)
def test_a_small_leap_of_a_quality_ends_just_above_it(guess: int) -> None:
    curve = through([(100, 2.0), (4000, 3.3), (4001, 3.33), (10000, 6.3)])
    found = Picture(similarities(curve)).find(Target(ms_ssim=1 - math.exp(-3.305)), guess)
    assert found.ladder_position == 4001


@pytest.mark.parametrize("guess", [TOP - 5, TOP + 5])
def test_a_quality_just_below_the_leap_ends_before_it(guess: int) -> None:
    target = Target(psnr=PHOTO_PSNR(TOP) - 0.002)  # as near as this, the line ends on the other side
    assert Picture(decibels(PHOTO_PSNR)).find(target, guess, TOP).ladder_position == TOP


def test_a_good_guess_is_one_trial() -> None:
    wanted = round(math.exp(PHOTO_SIZES(3456)) * 1.005)
    assert Picture(sizes(PHOTO_SIZES)).find(Target(bytes=wanted), 3456, TOP).trials == 1
    assert Picture(decibels(PHOTO_PSNR)).find(Target(psnr=PHOTO_PSNR(3456)), 3456, TOP).trials == 1


# ---- on any curve


@pytest.mark.slow
@given(
    curves(LOWEST, HIGHEST), positions, positions, st.integers(0, 99), st.sampled_from([0.0, NOISE]), jumps
)
def test_a_size_is_met_on_any_curve(
    curve: Curve, position: int, guess: int, seed: int, noise: float, jump: int
) -> None:
    wanted = math.ceil(math.exp(curve(position)) * 1.005)
    Picture(sizes(curve, noise, seed)).find(Target(bytes=wanted), guess, jump)


@pytest.mark.slow
@given(st.data(), st.integers(POSITION_MIN, POSITION_MAX - 1), positions, positions)
def test_a_size_is_met_where_a_detail_layer_sets_in(
    data: st.DataObject, jump: int, position: int, guess: int
) -> None:
    curve = data.draw(curves(LOWEST, HIGHEST, jump))
    Picture(sizes(curve)).find(Target(bpp=math.exp(curve(position)) * 8.02 / PIXELS), guess, jump)


@pytest.mark.slow
@given(curves(10, 50), positions, positions, st.integers(0, 99), st.sampled_from([0.0, NOISE]), jumps)
def test_a_psnr_is_met_on_any_curve(
    curve: Curve, position: int, guess: int, seed: int, noise: float, jump: int
) -> None:
    wanted = curve(position) - 0.015  # what noise may take away at the end of the scale
    Picture(decibels(curve, noise, seed)).find(Target(psnr=wanted), guess, jump)


@pytest.mark.slow
@given(curves(0.5, 9), positions, positions, jumps)
def test_an_ms_ssim_is_met_on_any_curve(curve: Curve, position: int, guess: int, jump: int) -> None:
    Picture(similarities(curve)).find(Target(ms_ssim=1 - math.exp(-curve(position))), guess, jump)


@pytest.mark.slow
@given(curves(LOWEST, HIGHEST), positions, positions)
def test_without_noise_nothing_better_is_left(curve: Curve, position: int, guess: int) -> None:
    target, measured = Target(bytes=math.ceil(math.exp(curve(position)))), sizes(curve)
    found = Picture(measured).find(target, guess)
    assert (
        found.ladder_position == POSITION_MAX
        or close(target, found.value)
        or not meets(target, measured(found.ladder_position + 1))
    )


@pytest.mark.slow
@given(st.lists(st.integers(1, 10**6), min_size=50, max_size=50), st.integers(1, 10**6), positions)
def test_it_ends_even_where_there_is_no_order(values: list[int], wanted: int, guess: int) -> None:
    picture = Picture(lambda position: values[position % 50])
    try:
        picture.find(Target(bytes=wanted), guess)
    except ConfigError:
        assert values[POSITION_MIN % 50] > wanted


@given(positions)
def test_equal_pictures_are_good_enough(sets_in: int) -> None:
    found = Picture(lambda position: math.inf if position >= sets_in else 30.0).find(Target(psnr=40))
    assert found.ladder_position == sets_in


@pytest.mark.parametrize("guess", [-5, 0, 20_000])
def test_a_guess_off_the_scale_is_moved_onto_it(guess: int) -> None:
    assert Picture(decibels(PHOTO_PSNR)).find(Target(psnr=30), guess).ladder_position


# ---- the ends of the scale


@given(positions, positions)
def test_a_size_above_all_gives_the_best(guess: int, jump: int) -> None:
    found = Picture(sizes(PHOTO_SIZES)).find(Target(bytes=10**9), guess, jump)
    assert found.ladder_position == POSITION_MAX
    assert found.trials <= 5


@given(positions, positions)
def test_a_quality_below_all_gives_the_smallest(guess: int, jump: int) -> None:
    found = Picture(decibels(PHOTO_PSNR)).find(Target(psnr=3), guess, jump)
    assert found.ladder_position == POSITION_MIN
    assert found.trials <= 5


IMPOSSIBLE = [
    (Target(bytes=600), sizes(PHOTO_SIZES), "bytes is 600; 621 or more is possible for this picture"),
    (Target(bpp=0.01), sizes(PHOTO_SIZES), r"bpp is 0.01; 0.0127 or more \(621 bytes\) is possible"),
    (Target(bpp=1e-9), sizes(PHOTO_SIZES), r"bpp is 1e-09; 0.0127 or more \(621 bytes\) is possible"),
    (Target(psnr=50), decibels(PHOTO_PSNR), "psnr is 50; 46.1. or less is possible for this picture"),
    (Target(ms_ssim=0.9999), similarities(PHOTO_MS_SSIM), "ms_ssim is 0.9999; 0.99871 or less is possible"),
]


@pytest.mark.parametrize(("target", "curve", "message"), IMPOSSIBLE)
@pytest.mark.parametrize("guess", [100, 5000, 10000])
def test_what_cannot_be_is_refused_and_says_what_can(
    target: Target, curve: Curve, message: str, guess: int
) -> None:
    picture = Picture(curve)
    with pytest.raises(ConfigError, match=message):
        picture.find(target, guess, TOP)
    assert len(picture.tried) <= 5


@pytest.mark.parametrize("value", [46.1, 46.0999, 45.991, 44.31])
def test_what_is_named_as_possible_is(value: float) -> None:
    knots = [(100, 20.0), (10000, value)]
    with pytest.raises(ConfigError, match="or less is possible") as caught:
        Picture(through(knots)).find(Target(psnr=60))
    possible = float(str(caught.value).split("; ")[1].split()[0])
    assert Picture(through(knots)).find(Target(psnr=possible))
    assert value - possible < 0.02


@pytest.mark.slow
@given(st.integers(1, 5000))
def test_bits_per_pixel_named_as_possible_are(smallest: int) -> None:
    curve = through([(100, float(smallest)), (10000, smallest + 9000.0)])
    with pytest.raises(ConfigError, match="or more") as caught:
        Picture(curve).find(Target(bpp=1e-9))
    possible = float(str(caught.value).split("; ")[1].split()[0])
    assert Picture(curve).find(Target(bpp=possible))


def test_an_error_of_a_trial_comes_through() -> None:
    def attempt(position: int) -> tuple[float, None]:
        raise ZeroDivisionError(position)

    with pytest.raises(ZeroDivisionError, match="5000"):
        search(Target(psnr=30), attempt, pixels=1, start=5000)


def test_trials_are_bounded_by_halving() -> None:
    """The claim behind the bound: 14 halvings are enough for the whole scale."""
    left = POSITION_MAX - POSITION_MIN + 1
    assert next(n for n in itertools.count() if 2**n > left) == 14


@pytest.mark.parametrize("position", [101, 400, 5000, 9000])
def test_a_lossless_result_need_not_be_the_first(position: int) -> None:
    tried = []

    def attempt(tested: int) -> tuple[float, None]:
        tried.append(tested)
        return (math.inf if tested >= position else 20 + tested / 1000), None

    def is_lossless(value: float, result: None) -> bool:
        return value == math.inf

    found = search(Target(psnr=40), attempt, pixels=PIXELS, start=7000, is_lossless=is_lossless)
    assert found.value == math.inf
    assert found.ladder_position - position < 200
    assert len(tried) <= 12


def test_a_size_is_met_by_a_lossless_result_at_once() -> None:
    tried = []

    def attempt(tested: int) -> tuple[float, bool]:
        tried.append(tested)
        return (9000, True) if tested >= 3000 else (tested, False)

    def is_lossless(value: float, result: bool) -> bool:
        return result

    found = search(Target(bytes=20_000), attempt, pixels=PIXELS, start=5000, is_lossless=is_lossless)
    assert tried == [5000]
    assert (found.value, found.result) == (9000, True)
    found = search(Target(bytes=2000), attempt, pixels=PIXELS, start=5000, is_lossless=is_lossless)
    assert found.value <= 2000
