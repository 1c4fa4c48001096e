"""Files and pixels of OpenVINO and ONNX Runtime: the same symbols, pixels within the format's tolerance."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura.errors import ModelError
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.conditioning import OPENVINO, Conditioning
from caesura.models.manifest import ANALYSIS, SYNTHESIS
from caesura.runtime import onnx_runtime, transform
from symbols import decoded

pytest.importorskip("openvino", exc_type=ImportError)
from caesura.runtime import openvino_runtime

Pixels = NDArray[np.uint8]
FILES = sorted((Path(__file__).parents[1] / "golden").glob("*.cae"))
PRECISIONS = {"f32": 1, "bf16": 2}  # largest difference in levels
POSITION = 3210


@pytest.fixture(params=PRECISIONS)
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """OpenVINO in this precision, on a processor without bf16 by emulation."""
    asked: str = request.param
    monkeypatch.setattr(openvino_runtime, "precision", lambda: asked)
    loaded = openvino_runtime._load(bundles.load("cae2017"), SYNTHESIS, 1, asked)
    got = loaded.get_property("INFERENCE_PRECISION_HINT").to_string()
    if got != asked:
        pytest.skip(f"this processor cannot run {asked}, not even by emulation")
    return asked


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that sets the runtime."""
    return lambda runtime: monkeypatch.setenv("CAESURA_RUNTIME", runtime)


def conditioned(bundle: Bundle, position: int = POSITION) -> Conditioning:
    return Conditioning(bundle, position, runtime=OPENVINO)


def levels_apart(one: Pixels, other: Pixels) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The graphs that OpenVINO runs from now on."""
    ran: list[str] = []
    usual = openvino_runtime.run

    def run(conditioning: Conditioning, graph: str, feeds: Any) -> Any:
        ran.append(graph)
        return usual(conditioning, graph, feeds)

    monkeypatch.setattr(openvino_runtime, "run", run)
    return ran


def assert_same_symbols(data: bytes, on: Callable[[str], None], tolerance: int) -> None:
    results = []
    for runtime in ("onnxruntime", "openvino"):
        on(runtime)
        results.append(decoded(data))
    (pixels, stream), (others, other) = results
    assert levels_apart(pixels, others) <= tolerance
    for found, expected in zip(other, stream, strict=True):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_decodes_to_the_same_symbols(
    path: Path, precision: str, on: Callable[[str], None]
) -> None:
    assert_same_symbols(path.read_bytes(), on, PRECISIONS[precision])


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_openvino_encodes_decodes_to_the_same_symbols(
    path: Path, precision: str, on: Callable[[str], None]
) -> None:
    header = caesura.read_header(path.read_bytes())
    on("openvino")
    data = caesura.encode(
        np.load(path.with_suffix(".npz"))["pixels"],
        quality=float(path.stem.rsplit("-", 1)[1]),
        model=bundles.load_by_id(header.model_id),
    )
    assert_same_symbols(data, on, PRECISIONS[precision])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["photo", "photo-psnr", "cae2017"])
def test_a_photographs_pixels_at_the_lowest_quality(
    astronaut: Pixels, model: str, precision: str, on: Callable[[str], None]
) -> None:
    data = caesura.encode(astronaut, quality=1, model=model)
    expected = caesura.decode_array(data)
    on("openvino")
    assert levels_apart(caesura.decode_array(data), expected) <= PRECISIONS[precision]


@pytest.mark.parametrize("model", ["photo", "photo-psnr"])
def test_the_linear_part_is_outside_a_graph_in_bf16(model: str) -> None:
    bundle = bundles.load(model)
    weights = openvino_runtime._linear_weights(bundle, SYNTHESIS, 1, "bf16")
    assert weights is not None
    assert weights.shape == (3 * bundle.stride**2, bundle.channels)
    assert openvino_runtime._linear_weights(bundle, SYNTHESIS, 1, "f32") is None
    assert openvino_runtime._linear_weights(bundle, ANALYSIS, 1, "bf16") is None


def test_bf16_is_not_fp32(
    coffee: Pixels, either: Bundle, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = coffee[100:228, 200:360]
    latents = transform.analyse(pixels, Conditioning(either, POSITION))
    apart = np.abs(transform.analyse(pixels, conditioned(either)) - latents).max()
    assert apart < 1e-3 if precision == "f32" else 1e-3 < apart < 0.2


@pytest.mark.parametrize("position", [100, 3210, 7000])
def test_one_loaded_graph_serves_all_positions_and_sizes(
    coffee: Pixels, flagship: Bundle, position: int
) -> None:
    for side in (64, 96, 160):
        pixels = coffee[:side, : side + 32]
        latents = transform.analyse(pixels, Conditioning(flagship, position))
        found = transform.analyse(pixels, conditioned(flagship, position))
        np.testing.assert_allclose(found, latents, atol=1e-3)
        restored = transform.synthesise(latents, Conditioning(flagship, position))
        assert levels_apart(transform.synthesise(latents, conditioned(flagship, position)), restored) <= 2
    precision = openvino_runtime.precision()
    for graph in (ANALYSIS, SYNTHESIS):
        free = openvino_runtime._free_requests(flagship, graph, onnx_runtime.threads(), precision)
        assert len(free) == 1


def test_above_the_ladders_top_onnx_runtime_is_used(
    coffee: Pixels, monkeypatch: pytest.MonkeyPatch, on: Callable[[str], None]
) -> None:
    pixels = coffee[:64, :64]
    expected = caesura.encode(pixels, quality=95)
    on("openvino")
    ran = runs(monkeypatch)
    assert caesura.encode(pixels, quality=95) == expected
    caesura.decode(expected)
    assert ran == []
    caesura.decode(caesura.encode(pixels, quality=50))
    assert set(ran) == {ANALYSIS, SYNTHESIS}


def test_a_target_is_searched_with_onnx_runtime(
    coffee: Pixels, monkeypatch: pytest.MonkeyPatch, on: Callable[[str], None]
) -> None:
    pixels = coffee[:64, :64]
    expected = caesura.encode(pixels, target=caesura.Target(bytes=500))
    on("openvino")
    ran = runs(monkeypatch)
    assert caesura.encode(pixels, target=caesura.Target(bytes=500)) == expected
    assert ran == []


def test_on_a_gpu_it_is_onnx_runtime(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = runs(monkeypatch)
    monkeypatch.setattr(onnx_runtime, "device", lambda: "cuda")
    monkeypatch.setattr(onnx_runtime, "run", lambda *given: "on the GPU")
    assert transform._run(conditioned(bundle), ANALYSIS) == "on the GPU"
    assert ran == []


def test_two_threads_at_once(coffee: Pixels, either: Bundle) -> None:
    pictures = [coffee[:128, start : start + 160] for start in (0, 100, 200, 300)]
    expected = [transform.analyse(picture, conditioned(either)) for picture in pictures]
    barrier = threading.Barrier(len(pictures))
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(3):
            found[number] = transform.analyse(pictures[number], conditioned(either))

    pool = [threading.Thread(target=work, args=(number,)) for number in range(len(pictures))]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    for number, latents in enumerate(expected):
        np.testing.assert_array_equal(found[number], latents)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_graph_has_no_more_threads_than_are_set(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("CAESURA_THREADS", threads)
    made: list[Any] = []
    usual = openvino_runtime._load
    monkeypatch.setattr(openvino_runtime, "_load", lambda *key: made.append(usual(*key)) or made[-1])
    openvino_runtime._free_requests.cache_clear()
    transform.analyse(np.zeros((64, 64, 3), np.uint8), conditioned(bundle))
    assert made[0].get_property("INFERENCE_NUM_THREADS") <= int(threads)
    assert made[0].get_property("NUM_STREAMS") == 1
    assert not made[0].get_property("ENABLE_CPU_PINNING")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_process_forked_from_one_that_uses_openvino_has_onnx_runtime(
    coffee: Pixels, either: Bundle
) -> None:
    pixels = coffee[:96, :128]
    expected = transform.analyse(pixels, conditioned(either))
    by_onnx_runtime = transform.analyse(pixels, Conditioning(either, POSITION))
    child = os.fork()
    if not child:
        status = 1
        try:
            found = transform.analyse(pixels, conditioned(either))
            status = 0 if np.array_equal(found, by_onnx_runtime) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(transform.analyse(pixels, conditioned(either)), expected)


# The cache of compiled graphs


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "caesura" / "openvino"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Graphs that were compiled, not loaded from the cache."""
    names: list[str] = []
    usual = openvino_runtime._model

    def model(bundle: Bundle, graph: str) -> Any:
        names.append(graph)
        return usual(bundle, graph)

    monkeypatch.setattr(openvino_runtime, "_model", model)
    return names


def analysed(bundle: Bundle) -> NDArray[np.float32]:
    """Latents by a graph that is loaded anew."""
    openvino_runtime._free_requests.cache_clear()
    pixels = np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    return transform.analyse(pixels, conditioned(bundle))


def test_a_compiled_graph_is_kept_for_later_processes(
    cache: Path, compiled: list[str], either: Bundle
) -> None:
    expected = analysed(either)
    assert len(list(cache.iterdir())) == 1
    np.testing.assert_array_equal(analysed(either), expected)
    assert compiled == [ANALYSIS]


@pytest.mark.parametrize("damage", ["cut off", "changed", "empty"])
def test_a_damaged_cache_is_made_anew(cache: Path, compiled: list[str], bundle: Bundle, damage: str) -> None:
    expected = analysed(bundle)
    (path,) = cache.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes({"cut off": content[:-1000], "changed": content, "empty": b""}[damage])
    for _ in range(2):
        np.testing.assert_array_equal(analysed(bundle), expected)
    assert compiled == [ANALYSIS] * 2


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: list[str], bundle: Bundle
) -> None:
    (tmp_path / "caesura").write_bytes(b"a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    np.testing.assert_array_equal(analysed(bundle), analysed(bundle))
    assert compiled == [ANALYSIS] * 2


def test_a_graph_that_cannot_be_loaded_is_an_error_of_the_model(bundle: Bundle, cache: Path) -> None:
    from dataclasses import replace

    damaged = replace(bundle, graphs={ANALYSIS: b"no graph"})
    with pytest.raises(ModelError, match=r"model cae2017: analysis.onnx cannot be loaded"):
        analysed(damaged)
