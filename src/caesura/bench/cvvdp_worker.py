"""Worker that computes CVVDP for `cvvdp.py`, which describes the messages.

It runs in CVVDP's virtual environment, where caesura is not installed, so it imports nothing of caesura.

torchvision's wheels for Linux on PyPI are built for CUDA. With a CPU build of torch its compiled operators do
not load, and the import fails where it describes two of them. CVVDP uses only a Gaussian blur and a
perceptron of torchvision, which are Python. So the two operators are declared without code, and torchvision
is imported again.
"""

from __future__ import annotations

import json
import os
import sys
from typing import BinaryIO

import numpy as np
import torch

DISPLAY = "standard_4k"  # cvvdp's default: 30 inches, 75 pixels a degree, 200 cd/m2, in an office
_OPERATORS = ("nms", "qnms")
_declared: list[torch.library.Library] = []  # operators exist as long as the library that declares them


def main() -> None:
    """Answer requests until the input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to stderr
    _prepare_torchvision()
    import pycvvdp

    metric = pycvvdp.cvvdp(display_name=DISPLAY, quiet=True)
    _send(target, {"version": metric.get_info_string().strip('"')})
    while line := source.readline():
        size = json.loads(line)
        shape = (size["height"], size["width"], 3)
        original, decoded = (
            np.frombuffer(bytearray(source.read(shape[0] * shape[1] * 3)), np.uint8).reshape(shape)
            for _ in range(2)
        )
        with torch.no_grad():
            jod, _ = metric.predict(decoded, original, dim_order="HWC")
        _send(target, {"jod": float(jod)})


def _prepare_torchvision() -> None:
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in _OPERATORS:
            signature = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(signature)  # type: ignore[no-untyped-call]
        _declared.append(library)


def _send(target: BinaryIO, message: dict[str, str | float]) -> None:
    target.write(json.dumps(message).encode() + b"\n")
    target.flush()


if __name__ == "__main__":
    main()
