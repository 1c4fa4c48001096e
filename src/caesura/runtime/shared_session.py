"""One session of ONNX Runtime for all ladder positions of a graph.

The anchor weights scale some of the graph's convolution weights, and nothing else depends on them. Folded
into the constants, they make a session for one position, which takes 5 to 30 ms to load. Given as an input,
they keep the runtime from its fastest kernels, which want constant weights, put in an order of their own.

Here the optimizer is given a number for each weight in the place of the weight. In the graph that it makes,
these numbers tell where every weight went, and the tensors that hold them are declared as inputs. A run is
given the weights of its position in that order: the same kernels and numbers as in a session for it alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from caesura.runtime import onnx_file
from caesura.runtime.onnx_file import ANCHOR_WEIGHTS

_FIRST = 4099  # the first weight's number; smaller ones, and zero above all, are common among constants
_EXACT = 1 << 24  # float32 holds the integers up to it

Float = NDArray[np.float32]


class Session(Protocol):
    """A graph that can be run: `onnxruntime.InferenceSession`, or what stands for it."""

    def run(self, names: list[str] | None, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs, all or those named, for arrays by input name."""


class Load(Protocol):
    """Makes sessions of serialized models."""

    def __call__(
        self, model: bytes, *, prepacks: bool = True, optimizes: bool = True, saves_to: Path | None = None
    ) -> Session:
        """Make one.

        Args:
            model: serialized.
            prepacks: put constants in a kernel's own order while loading.
            optimizes: otherwise the graph is run as it is.
            saves_to: a file for the optimized model.
        """


class AtPosition(NamedTuple):
    """A shared session with the weights of one ladder position, run as a session is."""

    session: Session
    weights: dict[str, Float]

    def run(self, names: list[str] | None, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See `Session`."""
        return self.session.run(names, feeds | self.weights)


class SharedSession:
    """A graph, loaded for all ladder positions."""

    def __init__(self, model: bytes, anchors: int, load: Load) -> None:
        """Load.

        Args:
            model: serialized, with the anchor weights as an initializer.
            anchors: the number of anchor weights.
            load: makes a session of a model and options.

        Raises:
            ValueError: the weights that depend on the position cannot be followed through the optimizer.
        """
        divided = onnx_file.divide(model, ANCHOR_WEIGHTS, anchors)
        # As constants are folded: on prepacked ones, other kernels may give other last bits.
        self._scaling, self._between = load(divided.head, prepacks=False), divided.between
        scaled = self._scaling.run(self._between, {ANCHOR_WEIGHTS: np.zeros(anchors, np.float32)})
        stops = np.cumsum([one.size for one in scaled]) + _FIRST
        if stops[-1] > _EXACT or min(one.size for one in scaled) < 2:
            raise ValueError(f"{[one.shape for one in scaled]} depend on the ladder position")
        numbers = [
            np.arange(stop - one.size, stop, dtype=np.float32).reshape(one.shape)
            for stop, one in zip(stops, scaled, strict=True)
        ]
        placed = onnx_file.initializers(dict(zip(self._between, numbers, strict=True)))
        optimized = _optimized(divided.tail + placed, load)
        self._order = _with_numbers(onnx_file.float_initializers(optimized), numbers)
        shapes = {name: order.shape for name, order in self._order.items()}
        self._session = load(optimized + onnx_file.inputs(shapes), optimizes=False)  # it is done

    def at(self, anchor_weights: Float) -> AtPosition:
        """The session at a ladder position."""
        scaled = self._scaling.run(self._between, {ANCHOR_WEIGHTS: anchor_weights})
        flat = np.concatenate([np.zeros(1, np.float32), *(one.reshape(-1) for one in scaled)])
        return AtPosition(self._session, {name: flat[order] for name, order in self._order.items()})


def _with_numbers(tensors: dict[str, Float], numbers: list[Float]) -> dict[str, NDArray[np.int64]]:
    """Where the weights are in the optimized graph.

    Args:
        tensors: of the optimized graph, by name.
        numbers: tensors of which each number is a weight's.

    Returns:
        Of each tensor that holds the same numbers as one of `numbers`, in any order and with zeros between
        them, the weights' offsets from 1; 0 for a zero, with which the optimizer fills up a kernel's blocks.
    """
    found, missing = {}, set(range(len(numbers)))
    for name, tensor in tensors.items():
        there = np.sort(tensor[tensor != 0], axis=None)
        for number, expected in enumerate(numbers):
            if np.array_equal(there, expected.reshape(-1)):
                found[name] = np.maximum(tensor.astype(np.int64) - (_FIRST - 1), 0)
                missing.discard(number)
    if missing:
        raise ValueError(f"{len(missing)} of {len(numbers)} tensors are not in the optimized graph")
    return found


def _optimized(model: bytes, load: Load) -> bytes:
    """The model as the runtime's optimizer leaves it for this processor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        load(model, saves_to=path)
        return path.read_bytes()
