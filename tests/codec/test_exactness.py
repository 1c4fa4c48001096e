"""Encode on one configuration, decode on others: symbols are identical, always; pixels within one level."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from caesura import codec
from caesura.entropy import factorized, grouped
from caesura.entropy.control import FRACTION, INDICES, Control, Indices, magnitude
from caesura.entropy.passes import PASSES, parts
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN
from caesura.format import container
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.runtime import onnx_runtime, transform
from container_helpers import layers
from entropy_helpers import add, of_pass
from symbols import Stream, decoded

Pixels = NDArray[np.uint8]
Configure = Callable[[pytest.MonkeyPatch], None]
QUALITIES = (5, 40, 70, 95)  # the last is above the ladder's top: a detail layer too


class Coded(NamedTuple):
    """A file, what its encoder pushed, and the pixels that the usual configuration decodes."""

    data: bytes
    pushed: Stream
    pixels: Pixels


def encoded(picture: Pixels, quality: float, bundle: Bundle) -> tuple[bytes, Stream]:
    """A file, and what was pushed."""
    layers: list[Stream] = []  # latents and detail layer are each pushed last first

    def push_grouped(pusher: Any, symbols: Any, indices: Any, tables: Any) -> None:
        if not layers or len(layers[-1].indices) == PASSES:
            layers.append(Stream([], []))
        layers[-1].indices.insert(0, indices.copy())
        layers[-1].symbols.insert(0, symbols.copy())
        original[0](pusher, symbols, indices, tables)

    def push_factorized(pusher: Any, symbols: Any, tables: Any) -> None:
        layers[-1].symbols.insert(0, symbols.copy())
        original[1](pusher, symbols, tables)

    original = grouped.push, factorized.push
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "push", push_grouped)
        patch.setattr(factorized, "push", push_factorized)
        data = codec.encode(picture, quality=quality, model=bundle)
    pushed = Stream([], [])
    for layer in layers:
        pushed.indices.extend(layer.indices)
        pushed.symbols.extend(layer.symbols)
    return data, pushed


def as_pushed(popped: Stream) -> Stream:
    """Without what is not coded; the hyperlatent, the only plane, is coded as a whole."""
    chosen = iter(popped.indices)
    symbols = [found if found.ndim == 3 else found[next(chosen) > 0] for found in popped.symbols]
    return Stream([indices[indices > 0] for indices in popped.indices], symbols)


def assert_same_symbols(popped: Stream, pushed: Stream) -> None:
    for found, expected in zip(as_pushed(popped), pushed, strict=True):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def assert_within_one_level(pixels: Pixels, expected: Pixels) -> None:
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 1


# ---- configurations

_MAKE_SESSION = onnx_runtime._load  # sessions below are not those that other tests share


@functools.cache
def _sessions(name: str) -> Callable[[Bundle, str, bytes | None, int, str], Any]:
    """Sessions of one configuration, made when first asked for and kept."""
    return functools.cache(_MAKE_SESSION)


def threads(count: int) -> Configure:
    def configure(patch: pytest.MonkeyPatch) -> None:
        patch.setenv("CAESURA_THREADS", str(count))
        patch.setattr(onnx_runtime, "_session", _sessions(f"{count} threads"))

    return configure


def unoptimized(patch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime runs the graphs as they are written: other kernels, nothing fused."""
    make = onnxruntime.SessionOptions

    def options() -> Any:
        made = make()
        made.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return made

    patch.setattr(onnxruntime, "SessionOptions", options)
    patch.setattr(onnx_runtime, "_session", _sessions("unoptimized"))


class Reference:
    """A graph run by the reference implementation of ONNX, NumPy alone, in double precision."""

    def __init__(self, bundle: Bundle, graph: str, mix: bytes | None, threads: int, device: str) -> None:
        del threads, device
        onnx = pytest.importorskip("onnx")
        from onnx.reference import ReferenceEvaluator

        model = onnx.load_from_string(onnx_runtime._model(bundle, graph))
        rate = next(tensor for tensor in model.graph.initializer if tensor.name == "mix")
        assert mix is not None
        rate.CopyFrom(onnx.numpy_helper.from_array(np.frombuffer(mix, np.float32), "mix"))
        for node in model.graph.node:  # weights are stored in half precision
            if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT:
                node.attribute[0].i = onnx.TensorProto.DOUBLE
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        self._evaluator = ReferenceEvaluator(model)

    def run(self, names: None, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        wide = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in feeds.items()}
        outputs: list[NDArray[Any]] = self._evaluator.run(names, wide)
        assert outputs[0].dtype in (np.float64, np.uint8)
        return outputs


def double_precision(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(onnx_runtime, "_session", functools.cache(Reference))


@functools.cache
def _torch_model(bundle: Bundle) -> Any:
    pytest.importorskip("torch")
    from caesura.train import architectures as makers
    from caesura.train import start
    from caesura.train.config import from_dict

    weights, training = start.read_bundle(bundle)
    model = makers.make(from_dict(training["config"]))
    model.load_state_dict(weights)
    return model.eval()


def pytorch(patch: pytest.MonkeyPatch) -> None:
    """Means, features and pixels by the networks that were trained, not the graphs exported from them."""
    torch = pytest.importorskip("torch")

    def batch(array: NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]

    @torch.no_grad()
    def means(number: int, features: Any, known: Any, conditioning: Conditioning) -> Any:
        model, weights = _torch_model(conditioning.bundle), batch(conditioning.anchor_weights)
        deviation = model.deviation[:, None, None]
        made = model.means[number](batch(features), batch(known) / deviation, weights)
        return of_pass(number, (made[0] * deviation).numpy())

    @torch.no_grad()
    def hyper_synthesise(hyperlatents: Any, conditioning: Conditioning) -> Any:
        model, weights = _torch_model(conditioning.bundle), batch(conditioning.anchor_weights)
        return model.hyper_synthesis(batch(hyperlatents), weights)[0].numpy()

    @torch.no_grad()
    def synthesise(latents: Any, conditioning: Conditioning) -> Any:
        model, weights = _torch_model(conditioning.bundle), batch(conditioning.anchor_weights)
        restored = model.synthesis(batch(latents), weights)[0]
        return torch.round(restored.clamp(0, 1) * 255).permute(1, 2, 0).to(torch.uint8).numpy()

    for function in (means, hyper_synthesise, synthesise):
        patch.setattr(transform, function.__name__, function)


CONFIGURATIONS: dict[str, Configure] = {
    "1 thread": threads(1),
    "2 threads": threads(2),
    "graphs not optimized": unoptimized,
    "PyTorch": pytorch,
}

Disturb = Callable[[NDArray[Any]], NDArray[Any]]


def noisy(amount: float) -> Disturb:
    def disturb(output: NDArray[Any]) -> NDArray[Any]:
        changed = output * (1 + amount * np.random.default_rng(0).standard_normal(output.shape))
        return changed.round().clip(0, 255).astype(np.uint8) if output.dtype == np.uint8 else changed

    return disturb


DISTURBANCES: dict[str, Disturb] = {
    "noise of a thousandth": noisy(1e-3),
    "noise as large as the output": noisy(1.0),
    "zeros": np.zeros_like,
    "infinities": lambda output: output if output.dtype == np.uint8 else np.full_like(output, np.inf),
    "not numbers": lambda output: output if output.dtype == np.uint8 else np.full_like(output, np.nan),
}


class Disturbed:
    """A session whose output is disturbed."""

    def __init__(self, session: Any, disturb: Disturb) -> None:
        self._session, self._disturb = session, disturb

    def run(self, names: None, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        return [self._disturb(output).astype(output.dtype) for output in self._session.run(names, feeds)]


def disturbed(disturb: Disturb) -> Configure:
    def configure(patch: pytest.MonkeyPatch) -> None:
        usual = onnx_runtime._session
        patch.setattr(onnx_runtime, "_session", lambda *key: Disturbed(usual(*key), disturb))

    return configure


@contextmanager
def on(configure: Configure) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        configure(patch)
        yield


# ---- tests


@pytest.fixture(scope="module")
def crop(astronaut: Pixels) -> Pixels:
    """uint8 (155, 139, 3): padded to 160x144, neither a multiple of the hyperlatent's stride."""
    return np.ascontiguousarray(astronaut[40:195, 150:289])


@pytest.fixture(scope="module", params=QUALITIES)
def coded(request: pytest.FixtureRequest, crop: Pixels, flagship: Bundle) -> Coded:
    data, pushed = encoded(crop, request.param, flagship)
    return Coded(data, pushed, codec.decode_array(data))


@pytest.mark.slow
def test_the_decoder_pops_what_the_encoder_pushed(coded: Coded, flagship: Bundle) -> None:
    header, payload = container.read(coded.data)
    count = 1 if layers(payload).detail is None else 2
    assert count == 1 + (header.ladder_position > flagship.ladder_top)
    pixels, popped = decoded(coded.data)
    assert (len(popped.indices), len(popped.symbols)) == (PASSES * count, PASSES * count + 1)
    assert any(symbols.any() for symbols in popped.symbols)
    assert_same_symbols(popped, coded.pushed)
    np.testing.assert_array_equal(pixels, coded.pixels)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_other_configurations_decode_the_same_symbols(coded: Coded, name: str) -> None:
    with on(CONFIGURATIONS[name]):
        pixels, popped = decoded(coded.data)
    assert_same_symbols(popped, coded.pushed)
    assert_within_one_level(pixels, coded.pixels)


@pytest.mark.slow
@pytest.mark.parametrize("quality", [40, 95])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_files_of_other_configurations_decode_to_their_symbols(
    crop: Pixels, flagship: Bundle, name: str, quality: float
) -> None:
    with on(CONFIGURATIONS[name]):
        data, pushed = encoded(crop, quality, flagship)
        there, _ = decoded(data)
    here, popped = decoded(data)
    assert_same_symbols(popped, pushed)
    assert_within_one_level(here, there)


@pytest.mark.parametrize("quality", [40, 95])
def test_double_precision_decodes_the_same_symbols(
    astronaut: Pixels, flagship: Bundle, quality: float
) -> None:
    data, pushed = encoded(astronaut[60:108, 200:232], quality, flagship)
    expected = codec.decode_array(data)
    with on(double_precision):
        pixels, popped = decoded(data)
    assert_same_symbols(popped, pushed)
    assert_within_one_level(pixels, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTURBANCES)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_symbols_do_not_depend_on_any_float(coded: Coded, name: str) -> None:
    with on(disturbed(DISTURBANCES[name])):
        pixels, popped = decoded(coded.data)
    assert_same_symbols(popped, coded.pushed)
    assert (pixels != coded.pixels).any()  # the floats did change


# ---- training


def test_training_has_the_coders_magnitudes() -> None:
    torch = pytest.importorskip("torch")
    from caesura.train.cae2026 import control as trained

    symbols = np.arange(SYMBOL_MIN, SYMBOL_MAX + 1, dtype=np.int32)
    seen = trained.magnitude(torch.from_numpy(symbols).float())
    np.testing.assert_array_equal(seen.numpy(), magnitude(symbols))


@pytest.mark.parametrize("below", [2, 4])
def test_training_has_the_coders_indices_before_they_are_rounded(flagship: Bundle, below: int) -> None:
    torch = pytest.importorskip("torch")
    from caesura.train.cae2026 import control as trained

    assert flagship.control is not None
    random, channels, depth, high, wide = np.random.default_rng(below), 8, 3, 2, 3
    model = trained.Control(channels, depth, anchors=2, below=below)
    fixed = {"bias": random.integers(0, 2000, (2, channels)).astype(np.int32)}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(random.normal(0, 0.1, parameter.shape)))
        model.bias.copy_(torch.from_numpy(fixed["bias"] / 2**FRACTION * trained.LOG_STEP))
        fixed["base"] = trained.int8(model.hyper).numpy().astype(np.int8)
        for name, plane in (("near", np.s_[:, 0]), ("far", np.s_[:, :, 0, 0])):
            weights = [trained.int8(w).numpy()[plane].astype(np.int8) for w in getattr(model, name)]
            fixed[name] = np.stack(weights)
        np.testing.assert_array_equal(trained.fixed_bias(model.bias, 2), fixed["bias"])
    control = Control(**fixed, limit=127, tables=flagship.control.tables)
    hyper = random.integers(-20, 21, (depth, high, wide), np.int32)
    symbols = np.rint(random.laplace(0, 4, (channels, below * high, below * wide))).astype(np.int32)

    coder, chosen = Indices(control, hyper, 1, symbols.shape[1:]), np.zeros(symbols.shape, np.uint8)
    for number in range(PASSES):
        for part in parts(number, channels):
            chosen[part.at] = coder.index(part)
            add(coder, part, symbols)

    with torch.no_grad():
        order = trained.groups(channels, *symbols.shape[1:])
        sizes = trained.magnitude(torch.from_numpy(symbols).float())
        index = model.base(torch.from_numpy(hyper)[None].float(), torch.tensor([[0.0, 1.0]]))[0]
        for number in range(1, PASSES):
            index += (order == number) * model.step((sizes * (order < number))[None], number)[0]
        steps = torch.round(trained.clip_index(index) * 2**FRACTION).numpy().astype(int)
    assert len(np.unique(chosen)) > INDICES // 4
    np.testing.assert_array_equal(chosen, (steps + 16) // 32)
