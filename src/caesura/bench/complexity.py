"""Complexity of a model in multiply-accumulates per pixel, counted from its graphs."""

from __future__ import annotations

from dataclasses import dataclass

from caesura.errors import DependencyError
from caesura.models.bundle import Bundle


@dataclass(frozen=True)
class Complexity:
    """Thousands of multiply-accumulates per pixel, without those that overlapping windows repeat.

    Attributes:
        encode, decode: totals with entropy control, without the detail layer.
        parts: by graph (entropy control is "control"), and within each by kind of layer.
    """

    encode: float
    decode: float
    parts: dict[str, dict[str, float]]

    def graphs(self, direction: str) -> float:
        """The part of "encode" or "decode" that ONNX Runtime computes, without entropy control."""
        total: float = getattr(self, direction)
        return total - sum(self.parts.get("control", {}).values())


def count(bundle: Bundle) -> Complexity:
    """The complexity of a bundle.

    Raises:
        ModelError: a graph has an operator that cannot be counted.
        DependencyError: onnx is not installed.
    """
    try:
        from caesura.train import work
    except ImportError as error:
        raise DependencyError("onnx is not installed; pip install 'caesura[bench]'") from error
    control = None if bundle.control is None else (len(bundle.control.base), bundle.control.channels)
    parts = work.by_part(bundle.graphs, bundle.stride, control)
    return Complexity(**work.totals(parts), parts=parts)
