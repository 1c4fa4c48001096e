"""The detail layer: orthonormal transform, dead zone, exact symbols, and its chunk in files."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import caesura
from caesura.coding import detail
from caesura.coding.cae2026 import Cae2026
from caesura.entropy import grouped
from caesura.entropy.control import INDICES
from caesura.entropy.passes import PASSES
from caesura.errors import FormatError
from caesura.format import container
from caesura.format.container import POSITION_MAX, Payload, SegmentData
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from cli_helpers import drawn
from container_helpers import layers

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
GROUP = detail.BANDS // PASSES


@pytest.fixture(scope="module")
def never_zero(flagship: Bundle) -> Bundle:
    """The shipped model, its detail control replaced by one that gives every symbol the same table.

    So what is said of it does not depend on training.
    """
    assert flagship.detail is not None
    blank = {name: np.zeros_like(getattr(flagship.detail, name)) for name in ("base", "near", "far")}
    bias = np.full_like(flagship.detail.bias, 32 * (INDICES - 10))
    return dataclasses.replace(flagship, detail=dataclasses.replace(flagship.detail, bias=bias, **blank))


# ---- the transform


def frequencies_and_colours() -> NDArray[np.int64]:
    """Vertical frequency, horizontal frequency and colour of each band, found by products with cosines.

    That there is just one of each also says that bands are all different.
    """
    cosines = np.array([[math.cos(math.pi * (2 * x + 1) * f / 16) for x in range(8)] for f in range(8)])
    cosines /= np.linalg.norm(cosines, axis=1, keepdims=True)
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
    bands = detail.transform().reshape(-1, 8, 8, 3)
    parts = np.einsum("brck,ur,vc,lk->buvl", bands, cosines, cosines, colours).reshape(len(bands), -1)
    np.testing.assert_allclose(np.sort(np.abs(parts))[:, -2:], [[0, 1]] * len(bands), atol=1e-6)
    return np.stack(np.unravel_index(np.abs(parts).argmax(1), (8, 8, 3)), 1)


def test_the_basis_has_192_orthogonal_unit_vectors() -> None:
    basis = detail.transform()
    assert basis.dtype == np.float32
    np.testing.assert_allclose(basis.astype(float) @ basis.T.astype(float), np.eye(192), atol=1e-6)


def test_every_band_is_one_pair_of_frequencies_of_one_colour() -> None:
    assert len({tuple(band) for band in frequencies_and_colours().tolist()}) == detail.BANDS


def test_bands_are_dealt_so_that_every_group_has_the_same_mix() -> None:
    rising = frequencies_and_colours()[:, :2].sum(1).reshape(PASSES, GROUP)
    assert (np.diff(rising, axis=1) >= 0).all()
    assert (rising.max(0)[:-1] <= rising.min(0)[1:]).all()


residuals = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3).map(lambda n: 8 * n), st.integers(1, 3).map(lambda n: 8 * n), st.just(3)),
    elements=st.integers(-255, 255).map(float),
    fill=st.integers(-255, 255).map(float),
)


@pytest.mark.slow
@given(residuals)
def test_the_transform_keeps_energy_and_comes_back(residual: Float) -> None:
    bands = detail.forward(residual)
    assert bands.shape == (detail.BANDS, residual.shape[0] // 8, residual.shape[1] // 8)
    assert bands.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(bands), np.linalg.norm(residual), rtol=1e-5)
    back = detail.backward(bands)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, residual, atol=1e-3)


coefficients = st.integers(-800, 800).map(float)


@pytest.mark.slow
@given(hnp.arrays(np.float32, (detail.BANDS, 2, 1), elements=coefficients, fill=coefficients))
def test_any_bands_come_back(bands: Float) -> None:
    np.testing.assert_allclose(detail.forward(detail.backward(bands)), bands, atol=3e-3)


def test_a_block_changes_its_own_bands_alone() -> None:
    residual = np.zeros((24, 32, 3), np.float32)
    residual[9, 23, 1] = 100
    changed = np.argwhere(np.abs(detail.forward(residual)).max(0) > 0)
    assert changed.tolist() == [[1, 2]]


def test_an_even_grey_is_all_in_the_first_band() -> None:
    bands = detail.forward(np.full((8, 8, 3), 10, np.float32))
    np.testing.assert_allclose(bands[0], 10 * math.sqrt(192), rtol=1e-6)
    np.testing.assert_allclose(bands[1:], 0, atol=1e-4)


# ---- the quantizer

scaled_values = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-900, 900, width=32))


@pytest.mark.slow
@given(scaled_values)
def test_rounding_is_off_by_at_most_the_dead_zone(scaled: Float) -> None:
    symbols = detail.quantize(scaled)
    assert symbols.dtype == np.int32
    beyond = np.abs(scaled.astype(float)) - np.abs(symbols)
    assert beyond.min() >= detail.ROUND_UP - 1 - 1e-4
    assert beyond.max() <= detail.ROUND_UP + 1e-4
    assert (symbols * scaled >= 0).all()


@pytest.mark.slow
@given(scaled_values)
def test_rounding_is_the_same_on_both_sides_of_zero_and_monotone(scaled: Float) -> None:
    np.testing.assert_array_equal(detail.quantize(-scaled), -detail.quantize(scaled))
    assert (np.diff(detail.quantize(np.sort(scaled))) >= 0).all()


def test_the_dead_zone_is_wider_than_a_half() -> None:
    values = np.array([0, 0.5, -0.5, 0.599, -0.599, 0.601, -0.601, 1.599, 1.601], np.float32)
    assert detail.quantize(values).tolist() == [0, 0, 0, 0, 0, 1, -1, 1, 2]


@pytest.mark.slow
@given(hnp.arrays(np.int32, 20, elements=st.integers(-(2**15), 2**15 - 1)))
def test_whole_numbers_stay(symbols: NDArray[np.int32]) -> None:
    np.testing.assert_array_equal(detail.quantize(symbols.astype(np.float32)), symbols)


# ---- the layer


@contextlib.contextmanager
def recorded() -> Iterator[tuple[list[Any], list[Any]]]:
    """Indices and symbols of each pass, those pushed and those popped, both in the order of the passes."""
    pushed: list[Any] = []
    popped: list[Any] = []
    push, pop = grouped.push, grouped.pop

    def push_and_note(pusher: Any, symbols: Any, indices: Any, tables: Any) -> None:
        pushed.insert(0, (indices.tolist(), symbols.tolist()))
        push(pusher, symbols, indices, tables)

    def pop_and_note(popper: Any, indices: Any, tables: Any) -> Any:
        offsets, nonzero = pop(popper, indices, tables)
        symbols = np.zeros(len(indices), np.int32)
        symbols[offsets] = nonzero
        popped.append((indices.tolist(), symbols.tolist()))
        return offsets, nonzero

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "push", push_and_note)
        patch.setattr(grouped, "pop", pop_and_note)
        yield pushed, popped


def magnitudes_of(base: Pixels, bundle: Bundle, random: np.random.Generator) -> NDArray[np.uint8]:
    return random.integers(0, 31, (bundle.channels, base.shape[0] // 16, base.shape[1] // 16), np.uint8)


def step_of(position: int, bundle: Bundle) -> float:
    """The quantization step at a position above the ladder's top: interpolated in the logarithm."""
    first, last = bundle.detail_log_step
    return math.exp(np.interp(position, [bundle.ladder_top, POSITION_MAX], [first, last]))


def positions(bundle: Bundle) -> list[int]:
    """Ladder positions: just above the ladder's top, in the middle, and the last."""
    return [bundle.ladder_top + 1, (bundle.ladder_top + POSITION_MAX) // 2, POSITION_MAX]


@pytest.mark.slow
@given(st.integers(0, 2), st.integers(1, 3), st.integers(1, 2), st.floats(0, 80), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
@pytest.mark.parametrize("shipped_control", [True, False])
def test_symbols_come_back_exactly(
    flagship: Bundle,
    never_zero: Bundle,
    shipped_control: bool,
    number: int,
    high: int,
    wide: int,
    noise: float,
    seed: int,
) -> None:
    model, random = flagship if shipped_control else never_zero, np.random.default_rng(seed)
    position = positions(model)[number]
    rgb = random.integers(0, 256, (16 * high, 16 * wide, 3), np.uint8)
    base = (rgb + random.normal(0, noise, rgb.shape)).round().clip(0, 255).astype(np.uint8)
    magnitudes = magnitudes_of(base, model, random)
    with recorded() as (pushed, popped):
        payload = detail.encode(rgb, base, magnitudes, Conditioning(model, position))
        restored = detail.decode(payload, base, magnitudes, Conditioning(model, position))
    assert len(popped) == PASSES
    assert popped == pushed
    assert restored.shape == rgb.shape
    assert restored.dtype == np.uint8


def root_mean_square(a: Pixels, b: Pixels) -> float:
    return float(np.sqrt(np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("base_level", [0, 128, 255])
def test_the_error_is_the_quantizers_whatever_the_picture(
    never_zero: Bundle, base_level: int, number: int
) -> None:
    random, position = np.random.default_rng(number), positions(never_zero)[number]
    rgb = random.choice(np.array([0, 255], np.uint8), (48, 32, 3))
    base = np.full_like(rgb, base_level)
    magnitudes = magnitudes_of(base, never_zero, random)
    payload = detail.encode(rgb, base, magnitudes, Conditioning(never_zero, position))
    restored = detail.decode(payload, base, magnitudes, Conditioning(never_zero, position))
    assert root_mean_square(rgb, restored) <= detail.ROUND_UP * step_of(position, never_zero) + 0.5


def test_steps_fall_and_so_does_the_error(never_zero: Bundle) -> None:
    random = np.random.default_rng(0)
    rgb, base = (random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(2))
    magnitudes = magnitudes_of(base, never_zero, random)
    errors, sizes = [], []
    for position in positions(never_zero):
        payload = detail.encode(rgb, base, magnitudes, Conditioning(never_zero, position))
        errors.append(
            root_mean_square(
                rgb, detail.decode(payload, base, magnitudes, Conditioning(never_zero, position))
            )
        )
        sizes.append(len(payload))
    assert errors == sorted(errors, reverse=True)
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("number", [0, 2])
def test_a_base_without_error_stays_as_it_is(flagship: Bundle, number: int) -> None:
    base, position = drawn(32, 48), positions(flagship)[number]
    magnitudes = magnitudes_of(base, flagship, np.random.default_rng(0))
    payload = detail.encode(base, base, magnitudes, Conditioning(flagship, position))
    np.testing.assert_array_equal(
        detail.decode(payload, base, magnitudes, Conditioning(flagship, position)), base
    )


def test_the_pictures_given_are_not_changed(flagship: Bundle) -> None:
    rgb, base = drawn(16, 32), np.full((16, 32, 3), 99, np.uint8)
    magnitudes = magnitudes_of(base, flagship, np.random.default_rng(0))
    given_arrays = (rgb, base, magnitudes)
    before = [array.copy() for array in given_arrays]
    detail.decode(
        detail.encode(*given_arrays, Conditioning(flagship, 9000)),
        base,
        magnitudes,
        Conditioning(flagship, 9000),
    )
    for array, copy in zip(given_arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.slow
@given(st.binary(max_size=80))
@settings(max_examples=50)
def test_garbage_is_refused_or_gives_a_picture(flagship: Bundle, data: bytes) -> None:
    base = np.zeros((16, 16, 3), np.uint8)
    magnitudes = np.zeros((flagship.channels, 1, 1), np.uint8)
    for payload in (data, data[: len(data) // 4 * 4] + b"\xff\xff\xff\xff"):
        with contextlib.suppress(FormatError):
            assert (
                detail.decode(payload, base, magnitudes, Conditioning(flagship, POSITION_MAX)).shape
                == base.shape
            )


def test_data_left_over_is_refused(flagship: Bundle) -> None:
    base, rgb = np.zeros((16, 16, 3), np.uint8), drawn(16, 16)
    magnitudes = np.zeros((flagship.channels, 1, 1), np.uint8)
    payload = detail.encode(rgb, base, magnitudes, Conditioning(flagship, POSITION_MAX))
    with pytest.raises(FormatError, match="left over"):
        detail.decode(b"word" + payload, base, magnitudes, Conditioning(flagship, POSITION_MAX))


# ---- the chunk


def qualities(bundle: Bundle) -> tuple[float, float]:
    """The last quality without the layer and one just above."""
    top = ladder.quality_of(bundle.ladder_top, bundle.quality_scale)
    return top, top + 0.1


@pytest.mark.slow
def test_files_have_the_chunk_above_the_ladder_and_only_there(flagship: Bundle) -> None:
    top, above = qualities(flagship)
    for quality, expected in ((1, False), (top, False), (above, True), (100, True)):
        header, payload = container.read(caesura.encode(drawn(20, 17), quality=quality, model=flagship))
        assert (header.ladder_position > flagship.ladder_top) is expected
        assert (layers(payload).detail is not None) is expected


def test_a_file_above_the_ladder_without_the_chunk_is_refused(flagship: Bundle) -> None:
    header, payload = container.read(caesura.encode(drawn(20, 17), quality=100, model=flagship))
    with pytest.raises(FormatError, match="detail: the chunk is missing at ladder position 10000"):
        caesura.decode(container.write(header, Payload([SegmentData(layers(payload).latents)])))


@pytest.mark.parametrize("superfluous", [b"", b"\x01\0\0\x80"])
def test_a_file_on_the_ladder_with_the_chunk_is_refused(flagship: Bundle, superfluous: bytes) -> None:
    header, payload = container.read(
        caesura.encode(drawn(20, 17), quality=qualities(flagship)[0], model=flagship)
    )
    with pytest.raises(
        FormatError, match=f"detail: the chunk is there at ladder position {header.ladder_position}"
    ):
        caesura.decode(container.write(header, Payload([SegmentData(layers(payload).latents, superfluous)])))


def test_an_architecture_without_the_layer_refuses_the_chunk() -> None:
    header, payload = container.read(caesura.encode(drawn(20, 17), quality=100, model="cae2017"))
    assert layers(payload).detail is None
    with pytest.raises(FormatError, match="detail: the chunk is there"):
        caesura.decode(container.write(header, Payload([SegmentData(layers(payload).latents, b"")])))


def test_a_chunk_of_other_data_is_refused(flagship: Bundle) -> None:
    header, payload = container.read(caesura.encode(drawn(20, 17), quality=100, model=flagship))
    assert layers(payload).detail is not None
    for wrong in (layers(payload).detail + b"x", b"word" + layers(payload).detail):
        with pytest.raises(FormatError, match=r"4-byte words|left over"):
            caesura.decode(container.write(header, Payload([SegmentData(layers(payload).latents, wrong)])))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (17, 3), (33, 31, 1)])
def test_pictures_of_any_size_have_the_layer(flagship: Bundle, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = caesura.encode(picture, quality=100, model=flagship)
    assert caesura.decode_array(data).shape == (*shape[:2], 1)


def test_noise_reaches_the_quality_of_the_last_step(
    never_zero: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "load_by_id", {never_zero.id: never_zero}.__getitem__)
    noise = np.random.default_rng(0).integers(0, 256, (48, 32, 3), np.uint8)
    data = caesura.encode(noise, quality=100, model=never_zero)
    header, payload = container.read(data)
    restored = caesura.decode_array(data)
    step = step_of(header.ladder_position, never_zero)
    assert root_mean_square(noise, restored) <= detail.ROUND_UP * step + 0.5
    coder = Cae2026(Conditioning(never_zero, header.ladder_position))
    base = coder.synthesise(coder.decode(layers(payload).latents, (3, 2)).latents)
    assert root_mean_square(noise, restored) < root_mean_square(noise, base)
