"""Measures CVVDP for `cvvdp.py`, which describes the messages; run by the Python of CVVDP's own environment.

That environment has no caesura, so this file imports nothing of it.

torchvision as PyPI has it for Linux is built for CUDA. Beside a CPU build of torch its compiled operators do
not load, and importing it fails where it describes two of them. Of torchvision, CVVDP takes a Gaussian blur
and a perceptron, which are Python. So the two operators are declared, without code, and torchvision is
imported again.
"""

from __future__ import annotations

import json
import os
import sys
from typing import BinaryIO

import numpy as np
import torch

DISPLAY = "standard_4k"  # cvvdp's own default: 30 inches, 75 pixels a degree, 200 cd/m2, in an office
_OPERATORS = ("nms", "qnms")
_declared: list[torch.library.Library] = []  # operators last as long as what declares them


def main() -> None:
    """Answer until the input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the libraries print is no answer
    _prepare_torchvision()
    import pycvvdp

    metric = pycvvdp.cvvdp(display_name=DISPLAY, quiet=True)
    _say(target, {"version": metric.get_info_string().strip('"')})
    while line := source.readline():
        size = json.loads(line)
        shape = (size["height"], size["width"], 3)
        original, decoded = (
            np.frombuffer(bytearray(source.read(shape[0] * shape[1] * 3)), np.uint8).reshape(shape)
            for _ in range(2)
        )
        with torch.no_grad():
            jod, _ = metric.predict(decoded, original, dim_order="HWC")
        _say(target, {"jod": float(jod)})


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


def _say(target: BinaryIO, message: dict[str, str | float]) -> None:
    target.write(json.dumps(message).encode() + b"\n")
    target.flush()


if __name__ == "__main__":
    main()
