"""Optional parts of caesura, and what they need."""

from __future__ import annotations

import importlib

from caesura.errors import DependencyError

BENCH = ("bjontegaard", "imagecodecs", "jinja2", "matplotlib", "ssimulacra2")
RAY = ("fsspec", "pyarrow", "ray", "pandas")
TRAIN = ("torch", "lightning_fabric")
EXPORT = ("torch", "onnx", "onnxscript")


def need(extra: str, modules: tuple[str, ...]) -> None:
    """Check that an extra is installed before any work is done.

    Raises:
        DependencyError: a module cannot be imported; the message says what to install.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing = error.name or module
            raise DependencyError(f"{missing} is not installed; pip install 'caesura[{extra}]'") from error
