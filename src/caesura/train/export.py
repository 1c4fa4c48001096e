"""A finished run becomes a bundle: two ONNX graphs, integer tables, scale vectors, a manifest.

The graphs take and give uint8 pixels, so a caller needs no knowledge of normalisation. Weights lie on disk in
half precision; what is computed with them is float32.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from caesura import model as bundle
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, TableGrid, quantize_probabilities
from caesura.errors import ConfigError
from caesura.train import start
from caesura.train.config import from_dict
from caesura.train.model import RateModel
from caesura.train.networks import STRIDE, Analysis, Synthesis
from caesura.train.priors import Prior

ROWS_PER_RUNG = 16
# A kernel that mirrors its input needs one wider than it reaches: 3x3 kernels on latents of at least 2x2.
_SMALLEST = {"zeros": STRIDE, "mirror": 2 * STRIDE}
# Pixels on each side that a tile must see for its inner part to be exact: the receptive field of either
# transform reaches 38 pixels (convolutions at strides 1, 2, 4 and 8, added up).
_HALO = 40
_TAIL = 2.0**-23
_HALVED_FROM = 256  # elements; smaller tensors stay in float32: they cost nothing


def export(
    run: Path, name: str, destination: Path, *, licence: str, data: str, figures: dict[str, Any] | None = None
) -> Path:
    """Write the bundle of a run's last checkpoint to `destination`.

    Args:
        run: a run, a checkpoint or a bundle (`start.read`).
        name: the bundle's name, as users give it to `--model`.
        destination: the bundle's folder; replaced only when the new one is complete.
        licence: of the weights, an SPDX expression.
        data: what the model was trained on, in a sentence.
        figures: anything measured on real pictures that should travel with the model.

    Raises:
        ConfigError: the run cannot be read, or the name cannot be a folder's.
        ModelError: there is no run.
    """
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise ConfigError(f"name is {name!r}; letters, digits, '-', '_' and '.' are allowed")
    weights, training = start.read(run)
    config = from_dict(training["config"])
    model = RateModel(config)
    model.load_state_dict(weights)
    model.eval()

    files = {
        bundle.ANALYSIS: _graph(_AnalysisGraph(model.analysis), "analysis"),
        bundle.SYNTHESIS: _graph(_SynthesisGraph(model.synthesis), "synthesis"),
        bundle.TABLES: _arrays(**vars(tables(model.prior, model.log_gain.detach()))),
        bundle.SCALES: _arrays(
            log_gain=model.log_gain.detach().numpy(), log_inverse=model.log_inverse.detach().numpy()
        ),
        bundle.PRIOR: _arrays(**{k: v.detach().numpy() for k, v in model.prior.state_dict().items()}),
    }
    digests = {file: bundle.digest(content) for file, content in files.items()}
    manifest = {
        "format": bundle.FORMAT,
        "name": name,
        "licence": licence,
        "data": data,
        "stride": STRIDE,
        "smallest_side": _SMALLEST[config.network.padding],
        "halo": _HALO,
        "figures": figures or {},
        "training": training,
        "files": digests,
        "id": bundle.bundle_id(digests),
    }

    files[bundle.MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    _replace_folder(destination, files)
    return destination


def tables(prior: Prior, log_gain: Tensor) -> TableGrid:
    """Integer tables of a prior, for `ROWS_PER_RUNG` rows between neighbouring rungs of the ladder.

    Args:
        prior: the trained prior.
        log_gain: float (rungs, C), as in `RateModel`.
    """
    rungs = len(log_gain)
    rows = (rungs - 1) * ROWS_PER_RUNG + 1
    exact = prior.double()
    lows, lengths, frequencies = [], [], []
    for row in range(rows):
        place = row / ROWS_PER_RUNG
        below = min(int(place), max(rungs - 2, 0))
        above = min(below + 1, rungs - 1)
        gain = torch.lerp(log_gain[below].double(), log_gain[above].double(), place - below).exp()
        for low, table in _row(exact, gain):
            lows.append(low)
            lengths.append(len(table))
            frequencies.append(table)
    prior.float()
    shape = (rows, log_gain.shape[1])
    return TableGrid(
        low=np.array(lows, np.int32).reshape(shape),
        length=np.array(lengths, np.int32).reshape(shape),
        frequencies=np.concatenate(frequencies).astype(np.uint32),
    )


@torch.no_grad()
def _row(prior: Prior, gain: Tensor) -> list[tuple[int, NDArray[np.int64]]]:
    """Each channel's first symbol and frequencies, at one scale vector (C,)."""
    reach = 64
    while True:
        symbols = torch.arange(max(-reach, SYMBOL_MIN), min(reach, SYMBOL_MAX) + 1, dtype=torch.float64)
        mass = prior.log_mass(symbols.expand(1, len(gain), -1), gain[None])[0].exp().numpy()
        if reach >= SYMBOL_MAX or (1 - mass.sum(axis=1)).max() < _TAIL:
            break
        reach *= 2
    result = []
    for probabilities in mass:
        kept = np.flatnonzero(probabilities >= _TAIL)
        first, last = (kept[0], kept[-1]) if len(kept) else (reach, reach)
        inside = probabilities[first : last + 1]
        outside = max(0.0, 1 - float(inside.sum()))
        result.append((int(symbols[first]), quantize_probabilities(np.append(inside, outside))))
    return result


def _replace_folder(destination: Path, files: dict[str, bytes]) -> None:
    """Write a folder under another name, and only when it is complete put it where the old one was."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}."))
    try:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if destination.exists():
            destination.rename(old)
        new.rename(destination)
    finally:
        shutil.rmtree(aside)


class _AnalysisGraph(nn.Module):
    """uint8 (H, W, 3) to float32 latent (C, H/8, W/8)."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self.analysis = analysis
        self.example = (torch.zeros(64, 48, 3, dtype=torch.uint8),)
        self.axes = {0: STRIDE * torch.export.Dim("rows"), 1: STRIDE * torch.export.Dim("columns")}

    def forward(self, pixels: Tensor) -> Tensor:
        latent: Tensor = self.analysis(pixels.permute(2, 0, 1)[None].float() / 255)[0]
        return latent


class _SynthesisGraph(nn.Module):
    """float32 latent (C, h, w) to uint8 (8h, 8w, 3)."""

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        self.synthesis = synthesis
        self.example = (torch.zeros(synthesis.conv1.in_channels, 8, 6),)
        self.axes = {1: torch.export.Dim("rows"), 2: torch.export.Dim("columns")}

    def forward(self, latent: Tensor) -> Tensor:
        pixels = self.synthesis(latent[None])[0]
        return torch.round(pixels.clamp(0, 1) * 255).permute(1, 2, 0).to(torch.uint8)


def _graph(module: _AnalysisGraph | _SynthesisGraph, name: str) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that nobody needs here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter about itself
        program = torch.onnx.export(
            module.eval(),
            module.example,
            dynamo=True,
            dynamic_shapes=(module.axes,),
            input_names=["input"],
            output_names=["output"],
            verbose=False,
        )
    if program is None:
        raise ConfigError(f"{name}: the exporter gave no graph")
    graph = program.model_proto
    for entry in list(graph.metadata_props):
        graph.metadata_props.remove(entry)
    for node in graph.graph.node:  # exporter notes: source lines and machine paths
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        del value.metadata_props[:]
    _halve_weights(graph.graph)
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _halve_weights(graph: Any) -> None:
    """Store large float32 initializers as float16, cast back by a node; runtimes fold it when loading."""
    casts = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _HALVED_FROM:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), tensor.name + ".half")
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
    for number, cast in enumerate(casts):
        graph.node.insert(number, cast)


def _arrays(**arrays: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()
