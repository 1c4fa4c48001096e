"""bench/complexity: what graphs multiply, counted from them."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from caesura.bench import complexity
from caesura.errors import ModelError
from caesura.models import bundle as bundles
from caesura.models.manifest import ANALYSIS, HYPER_ANALYSIS
from caesura.train.work import macs

FLOAT = TensorProto.FLOAT


def graph(
    nodes: list[onnx.NodeProto], shape: list[int | str], weights: dict[str, tuple[int, ...]] | None = None
) -> bytes:
    """From x of this shape to y, with weights of ones."""
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.ones(s, np.float32), name) for name, s in (weights or {}).items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("node", "shape", "weight", "expected"),
    [
        # 2 x 4 positions of 5 outputs, each of 3 x 3 x 3 inputs
        (
            helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
            [1, 3, 4, 8],
            (5, 3, 3, 3),
            {"convolution 3x3": 8 * 5 * 27},
        ),
        (
            helper.make_node("Conv", ["x", "w"], ["y"], group=4),
            [1, 4, 5, 5],
            (4, 1, 3, 3),
            {"depthwise 3x3": 9 * 4 * 9},
        ),
        (
            helper.make_node("Conv", ["x", "w"], ["y"], group=2),
            [1, 4, 5, 5],
            (6, 2, 1, 1),
            {"grouped convolution 1x1": 25 * 6 * 2},
        ),
        # 4 x 5 positions of 3 inputs, each onto 2 outputs of 2 x 2
        (
            helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]),
            [1, 3, 4, 5],
            (3, 2, 2, 2),
            {"transposed convolution 2x2": 20 * 3 * 2 * 4},
        ),
        (helper.make_node("MatMul", ["x", "w"], ["y"]), [2, 3, 4], (4, 5), {"matrix product": 2 * 3 * 4 * 5}),
        (
            helper.make_node("Gemm", ["x", "w"], ["y"], transA=1),
            [4, 3],
            (4, 5),
            {"matrix product": 3 * 4 * 5},
        ),
        (
            helper.make_node("Einsum", ["x", "w"], ["y"], equation="bij, jk -> bik"),
            [2, 3, 4],
            (4, 5),
            {"matrix product": 2 * 3 * 4 * 5},
        ),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_the_work_of_a_layer_is_what_a_hand_counts(
    node: onnx.NodeProto, shape: list[int | str], weight: tuple[int, ...], expected: dict[str, int]
) -> None:
    assert macs(graph([node], shape, {"w": weight}), 1) == expected


def test_layers_of_a_kind_add_up_and_free_dimensions_span_their_cells() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["h"]),
        helper.make_node("LeakyRelu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "b"], ["y"]),
    ]
    content = graph(nodes, [1, 2, "rows", "2*rows"], {"a": (3, 2, 1, 1), "b": (4, 3, 1, 1)})
    assert macs(content, 5) == {"convolution 1x1": 5 * 10 * (2 * 3 + 3 * 4)}


def test_what_no_input_reaches_is_not_counted() -> None:
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("Add", ["x", "c"], ["y"])]
    assert macs(graph(nodes, [3, 3], {"a": (3, 3), "b": (3, 3)}), 1) == {}


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("LSTM", ["x", "w", "w"], ["y"], hidden_size=2),
        helper.make_node("Conv2", ["x"], ["y"], domain="somebody.else"),
        helper.make_node("Add", ["x", "w"], ["y"], domain="somebody.else"),
    ],
)
def test_an_operator_that_cannot_be_counted_is_refused(node: onnx.NodeProto) -> None:
    with pytest.raises(ModelError, match=rf"net.onnx: the work of {node.op_type} is not known; Conv, .* are"):
        macs(graph([node], [1, 2, 4], {"w": (1, 8, 4)}), 1, "net.onnx")


def test_an_einsum_of_three_is_refused() -> None:
    node = helper.make_node("Einsum", ["x", "w", "w"], ["y"], equation="ij,jk,kl->il")
    with pytest.raises(ModelError, match="two plain operands are counted"):
        macs(graph([node], [3, 3], {"w": (3, 3)}), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo", "photo-psnr", "cae2017"])
def test_the_count_is_what_the_manifest_says(name: str) -> None:
    bundle = bundles.load(name)
    counted = complexity.count(bundle)
    assert {"encode": counted.encode, "decode": counted.decode} == bundle.manifest["work"]


@pytest.mark.slow
def test_parts_are_graphs_and_control_and_make_the_whole(flagship: bundles.Bundle) -> None:
    counted = complexity.count(flagship)
    assert set(counted.parts) == {*flagship.graphs, "control"}
    assert all(amount > 0 for kinds in counted.parts.values() for amount in kinds.values())
    parts = {name: sum(kinds.values()) for name, kinds in counted.parts.items()}
    own = {ANALYSIS, HYPER_ANALYSIS}
    decode = math.fsum(amount for name, amount in parts.items() if name not in own)
    assert counted.decode == pytest.approx(decode, abs=0.005)
    assert counted.graphs("decode") == pytest.approx(counted.decode - parts["control"])
