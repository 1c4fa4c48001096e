"""Optional extras of caesura, and the modules that they install."""

from __future__ import annotations

import importlib

from caesura.errors import DependencyError

BENCH = ("imagecodecs", "jinja2", "matplotlib", "ssimulacra2", "bjontegaard")  # fastest import first
RAY = ("fsspec", "pyarrow", "ray", "pandas")
TRAIN = ("torch", "lightning_fabric")
OPENVINO = ("openvino",)
EXPORT = ("torch", "onnx", "onnxscript")


def need(extra: str, modules: tuple[str, ...]) -> None:
    """Check that the modules of an extra can be imported, before any work is done.

    Raises:
        DependencyError: one cannot; the message has the pip command to install the extra.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing = error.name or module
            raise DependencyError(f"{missing} is not installed; pip install 'caesura[{extra}]'") from error
