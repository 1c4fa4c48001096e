"""Sessions that serve every ladder position give what a session for one position gives, to the last bit."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import caesura
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import ANALYSIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, MEANS, SYNTHESIS
from caesura.runtime import onnx_file, onnx_runtime, shared_session
from caesura.runtime.shared_session import SharedSession

Feeds = dict[str, NDArray[Any]]
POSITIONS = (100, 777, 3000, 7200)


load = functools.partial(onnx_runtime._make, threads=1)


def feeds_of(graph: str, bundle: Bundle) -> Feeds:
    """Random arrays that a graph takes."""
    random, channels = np.random.default_rng(3), bundle.channels
    known: Feeds = {"known": random.standard_normal((channels, 10, 12), np.float32)}
    features: Feeds = {"input": random.standard_normal((128, 10, 12), np.float32)}
    return {
        ANALYSIS: {"input": random.integers(0, 256, (96, 64, 3), np.uint8)},
        SYNTHESIS: {"input": random.standard_normal((channels, 7, 5), np.float32)},
        HYPER_ANALYSIS: {"input": random.standard_normal((channels, 8, 4), np.float32)},
        HYPER_SYNTHESIS: {"input": random.integers(-9, 9, (bundle.tables.channels, 2, 3)).astype(np.float32)},
        MEANS[0]: features,
        **dict.fromkeys(MEANS[1:], features | known),
    }[graph]


@pytest.mark.slow
@pytest.mark.parametrize("graph", [ANALYSIS, SYNTHESIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, *MEANS])
def test_a_shared_session_gives_the_bits_of_one_for_a_position(flagship: Bundle, graph: str) -> None:
    shared = SharedSession(onnx_runtime._model(flagship, graph), len(flagship.log_gain), load)
    feeds, results = feeds_of(graph, flagship), set()
    for position in POSITIONS:
        weights = Conditioning(flagship, position).anchor_weights
        alone = onnx_runtime._load(flagship, graph, weights.tobytes(), 1, "cpu")
        (expected,), (found,) = alone.run(None, feeds), shared.at(weights).run(None, feeds)
        np.testing.assert_array_equal(found, expected)
        results.add(found.tobytes())
    assert len(results) == len(POSITIONS)


def test_sessions_for_one_position_are_few(flagship: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[bytes] = []
    usual = onnx_runtime._load

    def counted(bundle: Bundle, graph: str, weights: bytes, *rest: Any) -> Any:
        loaded.append(weights)
        return usual(bundle, graph, weights, *rest)

    monkeypatch.setattr(onnx_runtime, "_load", counted)
    graph = onnx_runtime._Graph(flagship, MEANS[0], 1)
    weights = [Conditioning(flagship, 100 * number).anchor_weights.tobytes() for number in range(1, 8)]
    sessions = [graph.at(one) for one in weights]
    assert [type(one).__name__ for one in sessions] == ["InferenceSession"] * 2 + ["AtPosition"] * 5
    assert [graph.at(one) is session for one, session in zip(weights, sessions, strict=True)] == [True] * 7
    assert len(loaded) == 2


def test_threads_that_ask_at_once_share_one(flagship: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SharedSession] = []
    usual = SharedSession

    def counted(*given: Any) -> SharedSession:
        made.append(usual(*given))
        return made[-1]

    monkeypatch.setattr(onnx_runtime, "SharedSession", counted)
    graph, feeds = onnx_runtime._Graph(flagship, MEANS[0], 1), feeds_of(MEANS[0], flagship)
    found: dict[int, NDArray[Any]] = {}

    def run(position: int) -> None:
        weights = Conditioning(flagship, position).anchor_weights.tobytes()
        found[position] = graph.at(weights).run(None, feeds)[0]

    threads = [threading.Thread(target=run, args=(100 * number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    for position, output in found.items():
        weights = Conditioning(flagship, position).anchor_weights.tobytes()
        np.testing.assert_array_equal(output, graph.at(weights).run(None, feeds)[0])


def test_where_the_optimizer_hides_the_weights_each_position_has_a_session(
    flagship: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_session, "_optimized", lambda model, load: b"")
    with pytest.raises(ValueError, match="1 of 1 tensors are not in the optimized graph"):
        SharedSession(flagship.graphs[MEANS[0]], len(flagship.log_gain), load)
    graph = onnx_runtime._Graph(flagship, MEANS[0], 1)
    for position in POSITIONS:
        session = graph.at(Conditioning(flagship, position).anchor_weights.tobytes())
        assert isinstance(session, onnxruntime.InferenceSession)


@pytest.mark.slow
def test_files_of_many_rates_decode_as_in_a_fresh_process(coffee: NDArray[np.uint8]) -> None:
    """Encoded and decoded with shared sessions, and with one for each rate."""
    pixels = np.ascontiguousarray(coffee[100:164, 200:296])
    for quality in (10, 20, 30, 40, 50, 60):
        data = caesura.encode(pixels, quality=quality)
        decoded = caesura.decode_array(data)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(onnx_runtime, "_session", onnx_runtime._load)
            assert caesura.encode(pixels, quality=quality) == data
            np.testing.assert_array_equal(caesura.decode_array(data), decoded)


def test_weights_that_kernels_fill_up_with_zeros_are_found() -> None:
    numbers = [np.arange(4099, 4105, dtype=np.float32).reshape(2, 3), np.arange(4105, 4109, dtype=np.float32)]
    tensors = {
        "filled": np.array([[4101, 0], [4099, 4100], [0, 4104], [4103, 4102]], np.float32),
        "other": np.array([4099, 4100], np.float32),
        "twice": np.array([[4108, 4107], [4106, 4105]], np.float32),
        "again": numbers[1],
    }
    found = shared_session._with_numbers(tensors, numbers)
    assert {name: order.tolist() for name, order in found.items()} == {
        "filled": [[3, 0], [1, 2], [0, 6], [5, 4]],
        "twice": [[10, 9], [8, 7]],
        "again": [7, 8, 9, 10],
    }
    with pytest.raises(ValueError, match="1 of 2 tensors are not in the optimized graph"):
        shared_session._with_numbers({"again": numbers[1]}, numbers)


# ---- models as bytes


def test_a_divided_graph_is_the_graph(flagship: Bundle) -> None:
    """Scaled by the head, the tail gives what the whole graph gives."""
    graph, weights = HYPER_SYNTHESIS, Conditioning(flagship, 3210).anchor_weights
    divided = onnx_file.divide(flagship.graphs[graph], onnx_file.ANCHOR_WEIGHTS, len(weights))
    scaled = load(divided.head, prepacks=False).run(divided.between, {onnx_file.ANCHOR_WEIGHTS: weights})
    assert all(one.dtype == np.float32 for one in scaled)
    model = divided.tail + onnx_file.initializers(dict(zip(divided.between, scaled, strict=True)))
    feeds = feeds_of(graph, flagship)
    expected = onnx_runtime._load(flagship, graph, weights.tobytes(), 1, "cpu").run(None, feeds)[0]
    np.testing.assert_array_equal(load(model).run(None, feeds)[0], expected)


def test_initializers_come_back() -> None:
    tensors = {
        "a": np.arange(300, dtype=np.float32).reshape(3, 4, 25),
        "scalar": np.array(2.5, np.float32),
        "x" * 200: np.zeros((1, 0, 7), np.float32),
    }
    found = onnx_file.float_initializers(onnx_file.initializers(tensors))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_the_package_onnx_reads_what_is_written(flagship: Bundle) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(flagship.graphs[MEANS[0]])
    own = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in model.graph.initializer
        if t.data_type == 1 and t.raw_data
    }
    found = onnx_file.float_initializers(flagship.graphs[MEANS[0]])
    assert found.keys() == own.keys()
    for name, tensor in own.items():
        np.testing.assert_array_equal(found[name], tensor)
    added = flagship.graphs[MEANS[0]] + onnx_file.inputs({"more": (2, 300, 4)})
    more = onnx.load_from_string(added).graph.input[-1]
    assert (more.name, [d.dim_value for d in more.type.tensor_type.shape.dim]) == ("more", [2, 300, 4])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["photo", "photo-psnr"])
@pytest.mark.parametrize("sides", [(2, 2), (4, 6), (34, 10), (48, 32), (64, 80)])
def test_the_first_pass_is_the_same_without_what_is_zero_in_it(model: str, sides: tuple[int, int]) -> None:
    bundle = bundles.load(model)
    weights = {"anchor_weights": Conditioning(bundle, 3210).anchor_weights}
    features = np.random.default_rng(5).standard_normal((128, *sides), np.float32)
    known = np.zeros((bundle.channels, *sides), np.float32)
    graph = bundle.graphs[MEANS[0]]
    whole, shorter = load(graph, **weights), load(onnx_file.without_zeros(graph, "known"), **weights)
    (expected,) = whole.run(None, {"input": features, "known": known})
    (found,) = shorter.run(None, {"input": features})
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("graph", [ANALYSIS, SYNTHESIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, *MEANS])
def test_weights_from_outside_and_as_an_input_give_the_same_bits(flagship: Bundle, graph: str) -> None:
    """An initializer that is an input as well may be left out; an input without one must be given."""
    model, weights = onnx_runtime._model(flagship, graph), Conditioning(flagship, 3210).anchor_weights
    shape = {onnx_file.ANCHOR_WEIGHTS: weights.shape}
    either = load(model + onnx_file.inputs(shape), anchor_weights=np.zeros_like(weights))
    alone = load(onnx_file.with_input(model, onnx_file.ANCHOR_WEIGHTS, weights.shape))
    feeds = feeds_of(graph, flagship)
    with pytest.raises(ValueError, match=f"Required inputs .*{onnx_file.ANCHOR_WEIGHTS}"):
        alone.run(None, feeds)
    feeds[onnx_file.ANCHOR_WEIGHTS] = weights
    (expected,), (found,) = either.run(None, feeds), alone.run(None, feeds)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("graph", "name"), [(SYNTHESIS, "input"), (MEANS[0], "input"), (MEANS[0], "none")])
def test_an_input_that_joins_no_others_is_refused(flagship: Bundle, graph: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not the last channels that one convolution takes"):
        onnx_file.without_zeros(flagship.graphs[graph], name)
