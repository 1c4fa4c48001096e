"""Serialized ONNX models, read and taken apart without the package onnx, which coding does not need.

A message of protocol buffers is a sequence of fields, each a number, a wire type and a value. Concatenated
messages are merged, and their lists joined: appending a model with nothing but a graph with nothing but an
input declares that input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Names of inputs in the graphs: the anchor weights, and the latents decoded so far.
ANCHOR_WEIGHTS, KNOWN = "mix", "known"

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE = 1, 2, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR = 1, 2, 4
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT = 1
_KEEPS_ZERO = frozenset(
    {"Cast", "Div", "Mul", "Reshape", "Unsqueeze"}
)  # operators: zero if the first input is

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: which one it is.
        value: an integer, or bytes.
        whole: the field as it is in the message.
    """

    number: int
    value: int | memoryview
    whole: memoryview


class Divided(NamedTuple):
    """A graph in two: what depends on one input alone, and the rest.

    Attributes:
        head: a model, from that input to `between`.
        tail: a model in which the tensors of `between` are missing, see `initializers`.
        between: names of the float tensors that the rest takes from the head.
    """

    head: bytes
    tail: bytes
    between: list[str]


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """The fields of a message, in order."""
    view, at = memoryview(message), 0
    while at < len(view):
        start = at
        key, at = _read_varint(view, at)
        number, kind = key >> 3, key & 7
        value: int | memoryview
        if kind == _VARINT:
            value, at = _read_varint(view, at)
        else:
            if kind == _BYTES:
                size, at = _read_varint(view, at)
            else:
                size = {_FIXED64: 8, _FIXED32: 4}[kind]
            value, at = view[at : at + size], at + size
        yield Field(number, value, view[start:at])


def inputs(shapes: Mapping[str, Iterable[int]]) -> bytes:
    """Declares inputs of a graph, float32, by name; an initializer of that name is then the default."""
    return _graph(_bytes(_GRAPH_INPUT, _value(name, shape)) for name, shape in shapes.items())


def initializers(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Adds initializers to a graph, by name."""
    return _graph(_bytes(_GRAPH_INITIALIZER, _tensor(name, tensor)) for name, tensor in tensors.items())


def float_initializers(model: bytes) -> dict[str, NDArray[np.float32]]:
    """The initializers of a model's graph that are float32 arrays, by name."""
    found = {}
    for initializer in _of_graph(model, _GRAPH_INITIALIZER):
        parts = list(fields(_message(initializer)))
        raw = [_message(part) for part in parts if part.number == _TENSOR_RAW]
        if raw and any(part.number == _TENSOR_TYPE and part.value == _FLOAT for part in parts):
            found[_name(initializer, _TENSOR_NAME)] = np.frombuffer(raw[0], "<f4").reshape(_dims(parts))
    return found


def divide(model: bytes, name: str, length: int) -> Divided:
    """Divide a model's graph at what depends on the input or initializer `name`, float32 (length,), alone."""
    nodes = [(node, *_ends(node)) for node in _of_graph(model, _GRAPH_NODE)]
    own = {_name(value, _VALUE_NAME) for value in _of_graph(model, _GRAPH_INPUT)} - {name}
    dependent = {name}  # on `name`, and on no other input
    for _, taken, given in nodes:
        if not own.isdisjoint(taken):
            own.update(given)
        elif not dependent.isdisjoint(taken):
            dependent.update(given)
    in_tail = [node for node in nodes if dependent.isdisjoint(node[2])]
    taken_there = {taken for node in in_tail for taken in node[1]}
    between = sorted(taken_there & dependent)
    outputs = [_bytes(_GRAPH_OUTPUT, _value(name, None)) for name in between]
    head = _cut(model, [node for node in nodes if own.isdisjoint(node[2])], set(between), name)
    results = {_name(value, _VALUE_NAME) for value in _of_graph(model, _GRAPH_OUTPUT)}
    tail = _cut(model, in_tail, results, name)
    kept = [f.whole for f in _of_graph(model, _GRAPH_INPUT) if _name(f, _VALUE_NAME) != name]
    kept += [f.whole for f in _of_graph(model, _GRAPH_OUTPUT)]
    # What is known of shapes helps the optimizer.
    given_there = {given for node in in_tail for given in node[2]}
    kept += [f.whole for f in _of_graph(model, _GRAPH_VALUE) if _name(f, _VALUE_NAME) in given_there]
    return Divided(head + inputs({name: (length,)}) + _graph(outputs), tail + _graph(kept), between)


def without_zeros(model: bytes, name: str) -> bytes:
    """The model for an input `name`, (channels, ...), that is zero: the same results without that input.

    By way of other nodes, the input must be the last channels that a convolution takes, joined to others by a
    concatenation. They are left out, and so are the weights that multiply them.

    Raises:
        ValueError: the graph is not so.
    """
    nodes = [(node, *_ends(node)) for node in _of_graph(model, _GRAPH_NODE)]
    zero, joined = {name}, ""
    for node, taken, given in nodes:
        operator = _name(node, _NODE_OPERATOR)
        if operator in _KEEPS_ZERO and taken[0] in zero:
            zero.update(given)
        if operator == "Concat" and taken[0] not in zero and taken[1] in zero and len(taken) == 2:
            joined, others = given[0], taken[0]
            break
    takes = [one for one in nodes if joined in one[1]]
    if [_name(node, _NODE_OPERATOR) for node, _, _ in takes] != ["Conv"]:
        raise ValueError(f"{name} is not the last channels that one convolution takes")
    (conv, taken, given) = takes[0]
    shorter = _with_input(conv, taken.index(joined), others), [others, *taken[1:]], given
    casts = {one[2][0]: one[1][0] for one in nodes if _name(one[0], _NODE_OPERATOR) == "Cast"}
    stored = casts.get(taken[1], taken[1])  # in half precision
    tensors = {_name(one, _TENSOR_NAME): one for one in _of_graph(model, _GRAPH_INITIALIZER)}
    inputs = {_name(one, _VALUE_NAME): one for one in _of_graph(model, _GRAPH_INPUT)}
    weights = _without_last(tensors[stored], _first_side(inputs.pop(name)))
    results = {_name(value, _VALUE_NAME): value for value in _of_graph(model, _GRAPH_OUTPUT)}
    rest = [shorter if one is takes[0] else one for one in nodes if joined not in one[2]]
    around = [value.whole for value in (*inputs.values(), *results.values())]
    return _cut(model, rest, set(results), stored) + _graph([weights, *around])


def with_input(model: bytes, name: str, shape: Iterable[int]) -> bytes:
    """The model with the initializer `name`, float32 of a shape, as an input."""
    kept = [
        field.whole
        for field in _graph_fields(model)
        if field.number != _GRAPH_INITIALIZER or _name(field, _TENSOR_NAME) != name
    ]
    around = b"".join(field.whole for field in fields(model) if field.number != _MODEL_GRAPH)
    return around + _graph(kept) + inputs({name: shape})


_Node = tuple[Field, list[str], list[str]]


def _cut(model: bytes, nodes: list[_Node], wanted: set[str], without: str) -> bytes:
    """A model of those nodes that `wanted` depends on, and their initializers; no inputs and outputs."""
    kept, needed = [], set(wanted)
    for node in reversed(nodes):
        if not needed.isdisjoint(node[2]):
            kept.append(bytes(node[0].whole))
            needed.update(node[1])
    kept.reverse()
    tensors = _of_graph(model, _GRAPH_INITIALIZER)
    kept += [bytes(one.whole) for one in tensors if _name(one, _TENSOR_NAME) in needed - {without}]
    around = b"".join(field.whole for field in fields(model) if field.number != _MODEL_GRAPH)
    titles = [field.whole for field in _graph_fields(model) if field.number == _GRAPH_NAME]
    return around + _graph([*titles, *kept])


def _graph_fields(model: bytes) -> Iterator[Field]:
    for field in fields(model):
        if field.number == _MODEL_GRAPH:
            yield from fields(_message(field))


def _of_graph(model: bytes, number: int) -> list[Field]:
    return [field for field in _graph_fields(model) if field.number == number]


def _ends(node: Field) -> tuple[list[str], list[str]]:
    """Names of a node's inputs and outputs."""
    parts = list(fields(_message(node)))
    taken = [str(_message(part), "utf-8") for part in parts if part.number == _NODE_INPUT]
    return taken, [str(_message(part), "utf-8") for part in parts if part.number == _NODE_OUTPUT]


def _name(field: Field, number: int) -> str:
    return next(str(_message(part), "utf-8") for part in fields(_message(field)) if part.number == number)


def _with_input(node: Field, number: int, name: str) -> Field:
    """A node whose input `number` is another."""
    parts = list(fields(_message(node)))
    taken = [index for index, part in enumerate(parts) if part.number == _NODE_INPUT]
    content = [part.whole for part in parts]
    content[taken[number]] = memoryview(_bytes(_NODE_INPUT, name.encode()))
    return next(fields(_bytes(_GRAPH_NODE, b"".join(content))))


def _first_side(value: Field) -> int:
    """The first side of a graph's input, which is fixed."""
    message = _message(value)
    for number in (_VALUE_TYPE, 1, 2, 1):  # TypeProto: tensor_type, its shape, dim
        message = next(_message(part) for part in fields(message) if part.number == number)
    return next(part.value for part in fields(message) if part.number == 1 and isinstance(part.value, int))


def _without_last(initializer: Field, count: int) -> bytes:
    """An initializer, (channels, inputs, ...), without the weights of its last inputs."""
    parts = list(fields(_message(initializer)))
    channels, inputs, *sides = _dims(parts)
    raw = next(_message(part) for part in parts if part.number == _TENSOR_RAW)
    kept = np.frombuffer(raw, np.uint8).reshape(channels, inputs, -1)[:, : inputs - count]
    dims = [_integer(_TENSOR_DIMS, side) for side in (channels, inputs - count, *sides)]
    rest = [part.whole for part in parts if part.number not in (_TENSOR_DIMS, _TENSOR_RAW)]
    return _bytes(_GRAPH_INITIALIZER, b"".join([*dims, *rest, _bytes(_TENSOR_RAW, kept.tobytes())]))


def _dims(parts: Iterable[Field]) -> list[int]:
    dims: list[int] = []
    for part in parts:
        if part.number == _TENSOR_DIMS and isinstance(part.value, int):
            dims.append(part.value)
        elif part.number == _TENSOR_DIMS:  # packed
            view, at = _message(part), 0
            while at < len(view):
                size, at = _read_varint(view, at)
                dims.append(size)
    return dims


def _message(field: Field) -> memoryview:
    assert isinstance(field.value, memoryview)
    return field.value


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _graph(parts: Iterable[bytes | memoryview]) -> bytes:
    """A model with a graph of these fields."""
    return _bytes(_MODEL_GRAPH, b"".join(parts))


def _value(name: str, shape: Iterable[int] | None) -> bytes:
    """A float32 value: its name, its type and, unless None, its shape."""
    kind = _integer(1, _FLOAT)  # TypeProto.Tensor: elem_type
    if shape is not None:
        kind += _bytes(2, b"".join(_bytes(1, _integer(1, side)) for side in shape))  # shape: dim, dim_value
    return _bytes(_VALUE_NAME, name.encode()) + _bytes(_VALUE_TYPE, _bytes(1, kind))


def _tensor(name: str, tensor: NDArray[np.float32]) -> bytes:
    dims = b"".join(_integer(_TENSOR_DIMS, side) for side in tensor.shape)
    content = _integer(_TENSOR_TYPE, _FLOAT) + _bytes(_TENSOR_NAME, name.encode())
    return dims + content + _bytes(_TENSOR_RAW, tensor.astype("<f4").tobytes())
