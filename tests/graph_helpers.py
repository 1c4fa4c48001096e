"""ONNX graphs of networks, made once: exporting one takes seconds of a processor."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn
from torch._export import utils as export_utils
from torch.onnx._internal.exporter._registration import ONNXRegistry

from caesura.train import onnx_export
from caesura.train.cae2017 import export as cae2017
from caesura.train.cae2026 import export as cae2026

_OF_EVERY_MODULE = vars(nn.Module()).keys()


@contextmanager
def made_once(folder: Path) -> Iterator[None]:
    """Exports take the graph of a network that was exported before from the folder.

    Networks are the same where their classes, attributes and weights are.
    """

    def graph(module: nn.Module, inputs: Mapping[str, Tensor], *others: Any) -> bytes:
        path = folder / _digest(module.eval(), inputs, *others)
        if not path.exists():
            content = onnx_export.to_onnx(module, inputs, *others)
            part = path.with_suffix(f".{id(content)}")
            part.write_bytes(content)
            part.replace(path)
        return path.read_bytes()

    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for exporter in (cae2017, cae2026):
            patch.setattr(exporter, "to_onnx", graph)
        # The exporter lists every operator that it knows, and those of PyTorch, for each graph again.
        once = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
        patch.setattr(ONNXRegistry, "from_torchlib", once)
        loaded = functools.cache(export_utils._materialize_cpp_cia_ops)
        patch.setattr(export_utils, "_materialize_cpp_cia_ops", loaded)
        yield


def _digest(module: nn.Module, inputs: Mapping[str, Tensor], *others: Any) -> str:
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        own = {key: value for key, value in vars(part).items() if key not in _OF_EVERY_MODULE}
        digest.update(repr((name, type(part), sorted(own.items()))).encode())
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    for name, tensor in inputs.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(repr(others).encode())
    return digest.hexdigest()
