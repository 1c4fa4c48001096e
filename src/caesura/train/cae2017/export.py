"""The files of a bundle of `cae2017`: two graphs, and a table per channel and step of the ladder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, TableGrid, quantize_probabilities
from caesura.models.manifest import ANALYSIS, PRIOR, SCALES, SYNTHESIS, TABLES
from caesura.train.bundle_files import npz
from caesura.train.cae2017.model import Cae2017Model
from caesura.train.cae2017.networks import STRIDE, Analysis, Synthesis
from caesura.train.cae2017.priors import Prior
from caesura.train.onnx_export import Axis, to_onnx

ROWS_PER_ANCHOR = 16
# Mirror padding needs an input wider than the padding: 3x3 kernels need latents of at least 2x2.
_SMALLEST = {"zeros": STRIDE, "mirror": 2 * STRIDE}
# Pixels on each side that a tile needs for its inner part to be exact: the receptive field of either
# transform reaches 38 pixels (the sum over convolutions at strides 1, 2, 4 and 8).
_HALO = 40
_TAIL = 2.0**-23


def facts(model: Cae2017Model) -> dict[str, Any]:
    """The manifest's fields."""
    mode = "mirror" if model.analysis.conv1.padding_mode == "reflect" else "zeros"
    return {
        "architecture": "cae2017",
        "stride": STRIDE,
        "smallest_side": _SMALLEST[mode],
        "halo": _HALO,
        "ladder_top": 10000,
    }


def files(model: Cae2017Model) -> dict[str, bytes]:
    """The bundle's files, without the manifest."""
    channels = model.log_gain.shape[1]
    rows, columns = Axis("rows", STRIDE), Axis("columns", STRIDE)
    pixels = torch.zeros(64, 48, 3, dtype=torch.uint8)
    return {
        ANALYSIS: to_onnx(
            _AnalysisGraph(model.analysis), {"input": pixels}, {"input": {0: rows, 1: columns}}
        ),
        SYNTHESIS: to_onnx(
            _SynthesisGraph(model.synthesis),
            {"input": torch.zeros(channels, 8, 6)},
            {"input": {1: Axis("rows"), 2: Axis("columns")}},
        ),
        TABLES: npz(vars(tables(model.prior, model.log_gain.detach()))),
        SCALES: npz({name: getattr(model, name).detach().numpy() for name in ("log_gain", "log_inverse")}),
        PRIOR: npz({k: v.detach().numpy() for k, v in model.prior.state_dict().items()}),
    }


def tables(prior: Prior, log_gain: Tensor) -> TableGrid:
    """Integer tables of a prior, for `ROWS_PER_ANCHOR` rows between neighbouring anchors of the ladder.

    Args:
        prior: the trained prior.
        log_gain: float (anchors, C), as in `Cae2017Model`.
    """
    anchors = len(log_gain)
    rows = (anchors - 1) * ROWS_PER_ANCHOR + 1
    exact = prior.double()
    lows, lengths, frequencies = [], [], []
    for row in range(rows):
        position = row / ROWS_PER_ANCHOR
        below = min(int(position), max(anchors - 2, 0))
        above = min(below + 1, anchors - 1)
        gain = torch.lerp(log_gain[below].double(), log_gain[above].double(), position - below).exp()
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
    """First symbol and frequencies of each channel, at one scale vector (C,)."""
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


class _AnalysisGraph(nn.Module):
    """uint8 (H, W, 3) to float32 latent (C, H/8, W/8)."""

    def __init__(self, analysis: Analysis) -> None:
        super().__init__()
        self.analysis = analysis

    def forward(self, pixels: Tensor) -> Tensor:
        latent: Tensor = self.analysis(pixels.permute(2, 0, 1)[None].float() / 255)[0]
        return latent


class _SynthesisGraph(nn.Module):
    """float32 latent (C, h, w) to uint8 (8h, 8w, 3)."""

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        self.synthesis = synthesis

    def forward(self, latent: Tensor) -> Tensor:
        pixels = self.synthesis(latent[None])[0]
        return torch.round(pixels.clamp(0, 1) * 255).permute(1, 2, 0).to(torch.uint8)
