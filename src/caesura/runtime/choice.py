"""Which runtime runs the analysis and synthesis of a picture."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec

from caesura import extras
from caesura.errors import ConfigError
from caesura.models.conditioning import ONNX_RUNTIME, OPENVINO, Conditioning
from caesura.models.manifest import ANALYSIS, SYNTHESIS

# Pixels from which OpenVINO is faster in bf16: it takes up to a second to import and load, and then tens of
# milliseconds for each new size of picture, which it saves again.
_LARGE, _LARGE_AMONG_MANY = 8_000_000, 250_000
_many = False


def for_picture(pixels: int) -> str:
    """The runtime for a picture: the setting CAESURA_RUNTIME, or by default the faster one.

    The default is OpenVINO where it is installed, the processor has instructions for bf16, and the picture is
    large or one of many; otherwise ONNX Runtime.

    Args:
        pixels: of the whole picture, of which perhaps only a region is decoded.

    Raises:
        ConfigError: the setting is something else.
        DependencyError: it is OpenVINO, which is not installed.
    """
    setting = os.environ.get("CAESURA_RUNTIME") or None
    if setting not in (None, ONNX_RUNTIME, OPENVINO):
        raise ConfigError(f"CAESURA_RUNTIME is {setting!r}; {ONNX_RUNTIME} or {OPENVINO} is allowed")
    if setting == OPENVINO:
        extras.need("openvino", extras.OPENVINO)
    if setting is None:
        is_large = pixels >= (_LARGE_AMONG_MANY if _many else _LARGE)
        setting = OPENVINO if is_large and _installed() and _has_bf16() else ONNX_RUNTIME
    return setting


def of_graph(conditioning: Conditioning, graph: str) -> str:
    """The runtime for a graph of a picture.

    OpenVINO runs only the two transforms, and neither above the ladder's top, where a detail layer depends on
    the pixels, nor in the search for a target, which measures them.
    """
    if (
        conditioning.runtime == OPENVINO
        and graph in (ANALYSIS, SYNTHESIS)
        and not conditioning.above_ladder
        and not conditioning.as_input
    ):
        return OPENVINO
    return ONNX_RUNTIME


def expect_many() -> None:
    """Choose, for the rest of the process, as for one that codes many pictures."""
    global _many  # noqa: PLW0603 - it holds for the process
    _many = True


@lru_cache(maxsize=1)
def _installed() -> bool:
    return find_spec("openvino") is not None


def _has_bf16() -> bool:
    from caesura.runtime import openvino_runtime

    return openvino_runtime.precision() == "bf16"
