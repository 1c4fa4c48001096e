"""Analysis, synthesis and the networks of the hyperprior: every allowed size goes through."""

from __future__ import annotations

import dataclasses
import functools
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import caesura
from caesura.errors import ConfigError, DependencyError, ModelError
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import MEANS, SYNTHESIS
from caesura.runtime import onnx_runtime, transform

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
CPU = ["CPUExecutionProvider"]
SIDES = range(6)  # in strides above the smallest side


POSITION = 3210  # between two anchors


def analyse(pixels: Pixels, bundle: Bundle) -> Float:
    return transform.analyse(pixels, Conditioning(bundle, POSITION))


def synthesise(latent: Float, bundle: Bundle) -> Pixels:
    return transform.synthesise(latent, Conditioning(bundle, POSITION))


def levels_apart(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


def farthest(where: NDArray[np.bool_], first: int, last: int) -> int:
    """How far outside the square first..last, first..last the farthest marked place lies."""
    marked = np.argwhere(where)
    return int(np.maximum(first - marked, marked - last).max())


@pytest.mark.parametrize("height", SIDES)
def test_all_sizes_from_the_smallest_go_through(coffee: Pixels, either: Bundle, height: int) -> None:
    for width in SIDES:
        rows, columns = (either.smallest_side // either.stride + side for side in (height, width))
        pixels = coffee[100 : 100 + rows * either.stride, 200 : 200 + columns * either.stride]
        latent = analyse(pixels, either)
        assert latent.dtype == np.float32
        assert latent.shape == (either.channels, rows, columns)
        back = synthesise(latent, either)
        assert back.dtype == np.uint8
        assert back.shape == pixels.shape


def test_unrounded_latents_hold_the_picture(coffee: Pixels, either: Bundle) -> None:
    pixels = coffee[96:288, 200:456]
    conditioning = Conditioning(either, POSITION)
    scaled = analyse(pixels, either) * conditioning.gain * conditioning.inverse_gain
    back = synthesise(scaled, either)
    flat = pixels.mean(axis=(0, 1))
    assert np.square(back - pixels.astype(float)).mean() < np.square(flat - pixels).mean() / 10


def test_the_same_input_gives_the_same_output(coffee: Pixels, either: Bundle) -> None:
    pixels = coffee[:104, :96]
    one, other = (analyse(pixels, either) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(synthesise(one, either), synthesise(other, either))


def test_a_view_of_a_larger_array_is_read_right(coffee: Pixels, either: Bundle) -> None:
    view = coffee[10:106, 20:100][::-1]
    expected = analyse(np.ascontiguousarray(view), either)
    np.testing.assert_array_equal(analyse(view, either), expected)


def test_a_pixel_reaches_no_further_than_the_halo(coffee: Pixels, either: Bundle) -> None:
    reach = either.halo // either.stride
    middle = reach + 2
    side = (2 * middle + 1) * either.stride
    pixels = coffee[:side, :side].copy()
    before = analyse(pixels, either)
    here = slice(middle * either.stride, (middle + 1) * either.stride)
    pixels[here, here] ^= 0xFF
    seen = (analyse(pixels, either) != before).any(axis=0)
    assert seen[middle, middle]
    assert farthest(seen, middle, middle) <= reach


@pytest.mark.parametrize("model", ["cae2017", "photo", "photo-psnr"])
def test_a_latent_reaches_no_further_than_the_halo_of_the_synthesis(coffee: Pixels, model: str) -> None:
    bundle = bundles.load(model)
    middle = bundle.halo // bundle.stride + 2
    side = (2 * middle + 1) * bundle.stride
    latent = analyse(coffee[:side, :side], bundle)
    before = synthesise(latent, bundle)
    latent[:, middle, middle] *= -10
    changed = (synthesise(latent, bundle) != before).any(axis=2)
    first, last = middle * bundle.stride, (middle + 1) * bundle.stride - 1
    assert changed[first, first]
    assert bundle.synthesis_halo - bundle.stride < farthest(changed, first, last) <= bundle.synthesis_halo


# The flagship's hyperprior: transforms between planes of latents


@pytest.fixture(scope="module")
def planes(coffee: Pixels, flagship: Bundle) -> dict[str, Float]:
    """What each network gives of a picture of 4 x 6 cells."""
    latent = analyse(coffee[50:306, 100:484], flagship)
    return networks(latent, Conditioning(flagship, POSITION))


def networks(
    latent: Float, before: Conditioning, conditioning: Conditioning | None = None
) -> dict[str, Float]:
    """Hyperlatents, features and each pass' means, each network given the whole planes before it.

    `before` conditions the hyperlatents that are rounded, `conditioning` the others, the same unless given.
    """
    conditioning = conditioning or before
    hyper = transform.hyper_analyse(10 * latent, conditioning)
    rounded = np.rint(transform.hyper_analyse(10 * latent, before)).astype(np.int32)
    features = transform.hyper_synthesise(rounded, conditioning)
    means = [transform.means(number, features, latent, conditioning) for number in range(4)]
    return {"latent": latent, "hyper": hyper, "features": features} | {
        f"means {number}": plane for number, plane in enumerate(means)
    }


def test_the_planes_of_the_hyperprior_have_the_sizes_told(planes: dict[str, Float], flagship: Bundle) -> None:
    assert planes["hyper"].shape == (flagship.tables.channels, 4, 6)
    assert planes["features"].shape[1:] == planes["latent"].shape[1:] == (16, 24)
    for number in range(4):
        assert planes[f"means {number}"].shape == (flagship.channels, 8, 12)
    assert {plane.dtype for plane in planes.values()} == {np.dtype(np.float32)}
    assert len({plane.tobytes() for plane in planes.values()}) == len(planes)


def test_the_position_changes_what_the_flagships_transforms_give(coffee: Pixels, flagship: Bundle) -> None:
    pixels = coffee[96:160, 96:160]
    low, high = (Conditioning(flagship, position) for position in (100, flagship.ladder_top))
    latent = transform.analyse(pixels, low)
    assert not np.array_equal(latent, transform.analyse(pixels, high))
    restored = [transform.synthesise(latent, conditioning) for conditioning in (low, high)]
    assert not np.array_equal(*restored)


@pytest.mark.slow
@pytest.mark.parametrize("position", [100, 3210, 7200])
def test_weights_as_an_input_give_the_same_but_for_rounding(
    coffee: Pixels, flagship: Bundle, position: int
) -> None:
    pixels = coffee[50:306, 100:484]
    folded, given = (Conditioning(flagship, position, as_input=as_input) for as_input in (False, True))
    latent = transform.analyse(pixels, folded)
    np.testing.assert_allclose(transform.analyse(pixels, given), latent, atol=1e-4)
    for name, plane in networks(latent, folded).items():
        np.testing.assert_allclose(networks(latent, folded, given)[name], plane, rtol=1e-4, atol=1e-3)
    restored = transform.synthesise(latent, folded)
    assert levels_apart(transform.synthesise(latent, given), restored) <= 1


def test_a_graph_with_weights_as_an_input_is_loaded_once(coffee: Pixels, flagship: Bundle) -> None:
    onnx_runtime.forget()
    for position in (500, 2500, 4500):
        transform.analyse(coffee[:64, :64], Conditioning(flagship, position, as_input=True))
    assert onnx_runtime._loaded.cache_info().currsize == 1


# Devices


def test_another_device_is_refused(monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> None:
    monkeypatch.setenv("CAESURA_DEVICE", "tpu")
    with pytest.raises(ConfigError, match="CAESURA_DEVICE is 'tpu'; cpu or cuda is allowed"):
        analyse(np.zeros((64, 64, 3), np.uint8), bundle)


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (["CPUExecutionProvider"], "onnxruntime-gpu is needed"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "libraries or a GPU are missing"),
    ],
)
def test_networks_do_not_run_elsewhere_than_asked(
    monkeypatch: pytest.MonkeyPatch, bundle: Bundle, there: list[str], says: str
) -> None:
    usual = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    # As the library does it where CUDA cannot be used, without its words on standard error.
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *given, providers: usual(*given, providers=CPU)
    )
    monkeypatch.setenv("CAESURA_DEVICE", "cuda")
    with pytest.raises(DependencyError, match=says):
        analyse(np.zeros((64, 64, 3), np.uint8), bundle)


def test_on_a_gpu_products_are_of_whole_floats(monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> None:
    usual, asked = onnxruntime.InferenceSession, []

    class OnGpu:
        def __init__(self, *given: Any, providers: list[Any]) -> None:
            asked.append(providers)
            self.run = usual(*given, providers=CPU).run

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider", *CPU]

    pixels = np.zeros((64, 64, 3), np.uint8)
    expected = analyse(pixels, bundle)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnGpu)
    monkeypatch.setattr(onnx_runtime, "_session", functools.cache(onnx_runtime._load))
    monkeypatch.setenv("CAESURA_DEVICE", "cuda")
    np.testing.assert_array_equal(analyse(pixels, bundle), expected)
    (((name, options), rest),) = asked
    assert (name, rest) == ("CUDAExecutionProvider", *CPU)
    assert options["use_tf32"] == "0"


# ---- the graphs of a process's first picture


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The graphs that are loaded, in their order, in what is as a process without any."""
    graphs: list[str] = []
    usual = onnx_runtime._load

    def noted(bundle: Bundle, graph: str, *rest: Any) -> Any:
        graphs.append(graph)
        return usual(bundle, graph, *rest)

    monkeypatch.setattr(onnx_runtime, "_load", noted)
    onnx_runtime.forget()
    yield graphs
    onnx_runtime.forget()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("scale", "decoding"), [(1, transform.DECODING), (8, transform.DECODING_LATENTS)])
def test_a_first_picture_loads_what_it_needs_once(
    monkeypatch: pytest.MonkeyPatch,
    loaded: list[str],
    coffee: Pixels,
    threads: int,
    scale: int,
    decoding: tuple[str, ...],
) -> None:
    monkeypatch.setenv("CAESURA_THREADS", str(threads))
    data = caesura.encode(coffee[:64, :64])
    assert sorted(loaded) == sorted(transform.ENCODING)
    onnx_runtime.forget()
    loaded.clear()
    for _ in range(2):
        caesura.decode(data, scale=scale)
    assert sorted(loaded) == sorted(decoding)


def test_graphs_are_loaded_side_by_side(
    monkeypatch: pytest.MonkeyPatch, loaded: list[str], flagship: Bundle
) -> None:
    """Two loads meet at a barrier, which neither passes alone."""
    barrier, usual = threading.Barrier(2, timeout=60), onnx_runtime._load

    def met(bundle: Bundle, graph: str, *rest: Any) -> Any:
        barrier.wait()
        return usual(bundle, graph, *rest)

    monkeypatch.setattr(onnx_runtime, "_load", met)
    monkeypatch.setenv("CAESURA_THREADS", "2")
    transform.load(Conditioning(flagship, 5000), MEANS)
    assert sorted(loaded) == sorted(MEANS)
    transform.load(Conditioning(flagship, 3000), MEANS)  # one after another, as they are run
    assert len(loaded) == len(MEANS)


def test_a_graph_that_cannot_be_loaded_is_reported_when_it_is_run(
    monkeypatch: pytest.MonkeyPatch, loaded: list[str], flagship: Bundle
) -> None:
    damaged = dataclasses.replace(flagship, graphs={**flagship.graphs, SYNTHESIS: b"damaged"})
    monkeypatch.setenv("CAESURA_THREADS", "2")
    transform.load(Conditioning(damaged, 5000), transform.DECODING)
    assert SYNTHESIS in loaded
    with pytest.raises(ModelError, match=r"synthesis\.onnx cannot be loaded"):
        transform.synthesise(np.zeros((flagship.channels, 4, 4), np.float32), Conditioning(damaged, 5000))


def test_graphs_loaded_side_by_side_keep_no_bundle_alive(
    monkeypatch: pytest.MonkeyPatch, loaded: list[str], flagship: Bundle
) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "2")
    other = dataclasses.replace(flagship)
    transform.load(Conditioning(other, 5000), MEANS)
    assert len(loaded) == len(MEANS)
    onnx_runtime._graph.cache_clear()
    found = weakref.ref(other)
    del other
    gc.collect()
    assert found() is None
