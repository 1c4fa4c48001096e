"""Work per pixel of a model, counted from its graphs: by graph and by kind of layer."""

from __future__ import annotations

from dataclasses import dataclass

from caesura.errors import DependencyError
from caesura.models.bundle import Bundle


@dataclass(frozen=True)
class Complexity:
    """Thousands of multiply-accumulates per pixel, those of windows that overlap not.

    Attributes:
        encode, decode: altogether, entropy control included, the detail layer not.
        parts: by graph, and of entropy control; within each by kind of layer.
    """

    encode: float
    decode: float
    parts: dict[str, dict[str, float]]

    def graphs(self, direction: str) -> float:
        """Of "encode" or "decode", what ONNX Runtime does: without entropy control."""
        whole: float = getattr(self, direction)
        return whole - sum(self.parts.get("control", {}).values())


def count(bundle: Bundle) -> Complexity:
    """Count a loaded bundle's work.

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
