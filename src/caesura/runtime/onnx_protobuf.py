"""Serialized ONNX models, changed without the library onnx."""

from __future__ import annotations

ANCHOR_WEIGHTS = "mix"  # the name of the anchor weights in the graphs


def graph_input(name: str, length: int) -> bytes:
    """Bytes that, appended to a serialized ONNX model, declare an input of its graph, float32 (length,).

    Concatenated protocol buffer messages are merged and their lists joined: this is a model with nothing but
    a graph with nothing but an input. An initializer of that name is then the input's default.
    """

    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    def integer(number: int, value: int) -> bytes:
        return bytes([number << 3, value])

    shape = field(1, integer(1, length))  # TensorShapeProto: dim, dim_value
    kind = field(1, integer(1, 1) + field(2, shape))  # TypeProto: tensor_type of elem_type FLOAT and shape
    value = field(1, name.encode()) + field(2, kind)  # ValueInfoProto
    return field(7, field(11, value))  # ModelProto: graph; GraphProto: input
