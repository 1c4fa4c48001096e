"""The files of a bundle of `cae2026`: eight graphs, and the integers that control entropy coding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.entropy.control import FRACTION, INDICES
from caesura.entropy.passes import parts
from caesura.entropy.tables import TableGrid, quantize_probabilities
from caesura.models import bundle
from caesura.models.manifest import (
    ANALYSIS,
    CONTROL,
    DETAIL,
    HYPER_ANALYSIS,
    HYPER_SYNTHESIS,
    MEANS,
    PRIOR,
    SCALES,
    SYNTHESIS,
    TABLES,
)
from caesura.train.bundle_files import npz
from caesura.train.cae2026.control import Control, fixed_bias, int8
from caesura.train.cae2026.detail import ANCHORS, LOG_STEP
from caesura.train.cae2026.hyperprior import HyperPrior, Means
from caesura.train.cae2026.likelihood import Shape
from caesura.train.cae2026.model import Cae2026Model
from caesura.train.cae2026.networks import BLOCK, BLOCK_CHANNELS, STRIDE
from caesura.train.forward import mixing
from caesura.train.onnx_export import Axis, to_onnx

LADDER_TOP = 7200  # hundredths; above, the detail layer
ROWS_PER_ANCHOR = 8
_WIDEST = 4096  # symbols beyond are escapes
_TAIL = 2.0**-20
_CERTAIN = 2.0**-13
_PRIOR_PARTS = ("hyper_prior.", "control.", "shape.", "detail.")


def facts(model: Cae2026Model) -> dict[str, Any]:
    """The manifest's fields."""
    reaches = [BLOCK * len(one.fine) + STRIDE * len(one.coarse) for one in (model.analysis, model.synthesis)]
    analysis_halo, synthesis_halo = (-(-reach // STRIDE) * STRIDE for reach in reaches)
    return {
        "architecture": "cae2026",
        "stride": STRIDE,
        "smallest_side": STRIDE,
        "halo": max(analysis_halo, synthesis_halo),
        "synthesis_halo": synthesis_halo,
        "ladder_top": LADDER_TOP,
    }


def files(model: Cae2026Model) -> dict[str, bytes]:
    """The bundle's files, without the manifest."""
    anchors, latents = model.log_gain.shape
    rows = (anchors - 1) * ROWS_PER_ANCHOR + 1
    scales = {name: getattr(model, name).detach().numpy() for name in ("log_gain", "log_inverse")}
    kept = {k: v.numpy() for k, v in model.state_dict().items() if k.startswith(_PRIOR_PARTS)}
    return {
        **_graphs(model, anchors, latents),
        TABLES: npz(vars(hyper_tables(model.hyper_prior, rows))),
        SCALES: npz(scales),
        CONTROL: npz(_control(model.control, model.shape, rows)),
        DETAIL: npz(
            _control(model.detail.control, model.detail.shape, (ANCHORS - 1) * ROWS_PER_ANCHOR + 1)
            | {"log_step": np.array(LOG_STEP)}
        ),
        PRIOR: _halved(kept),
    }


def _graphs(model: Cae2026Model, anchors: int, latents: int) -> dict[str, bytes]:
    settings = {"mix": torch.full((anchors,), 1 / anchors)}
    rows, columns = Axis("rows"), Axis("columns")
    plane = {1: rows, 2: columns}
    pairs = {1: Axis("rows", 2), 2: Axis("columns", 2)}
    features = model.hyper_synthesis.leave.out_channels // 4
    hyperlatents = model.hyper_analysis.leave.out_channels
    made = {
        ANALYSIS: to_onnx(
            _AnalysisGraph(model),
            {"input": torch.zeros(64, 48, 3, dtype=torch.uint8)},
            {"input": {0: Axis("rows", STRIDE), 1: Axis("columns", STRIDE)}},
            settings,
        ),
        SYNTHESIS: to_onnx(
            _SynthesisGraph(model),
            {"input": torch.zeros(latents, 4, 3)},
            {"input": plane},
            settings,
        ),
        HYPER_ANALYSIS: to_onnx(
            _HyperAnalysisGraph(model),
            {"input": torch.zeros(latents, 8, 12)},
            {"input": {1: Axis("rows", 4), 2: Axis("columns", 4)}},
            settings,
        ),
        HYPER_SYNTHESIS: to_onnx(
            _HyperSynthesisGraph(model),
            {"input": torch.zeros(hyperlatents, 2, 3)},
            {"input": plane},
            settings,
        ),
    }
    for number, name in enumerate(MEANS):
        inputs = {"input": torch.zeros(features, 8, 6), "known": torch.zeros(latents, 8, 6)}
        made[name] = to_onnx(_MeansGraph(model, number), inputs, {"input": pairs, "known": pairs}, settings)
    return made


def _control(control: Control, shape: Shape, rows: int) -> dict[str, NDArray[Any]]:
    first = certain_zeros(shape)
    with torch.no_grad():
        return {
            "bias": fixed_bias(control.bias, rows) - np.int32(first << FRACTION),
            "base": int8(control.hyper).round().numpy().astype(np.int8),
            "near": np.stack([int8(w)[:, 0].round().numpy().astype(np.int8) for w in control.near]),
            "far": np.stack([int8(w)[:, :, 0, 0].round().numpy().astype(np.int8) for w in control.far]),
            **vars(symbol_tables(shape, first)),
        }


@torch.no_grad()
def certain_zeros(shape: Shape) -> int:
    """The last index whose symbols are almost certainly zero; it becomes index 0, where nothing is coded.

    Only the sum of indices and the logarithmic scale of the distribution has a meaning, and training may
    shift one against the other.
    """
    index = torch.arange(INDICES, dtype=torch.float64)
    zero = shape.double().log_mass(torch.zeros_like(index), index).exp()
    shape.float()
    return max(0, int((zero > 1 - _CERTAIN).sum()) - 1)


@torch.no_grad()
def symbol_tables(shape: Shape, first: int) -> TableGrid:
    """One row of INDICES tables: the distribution at the indices from `first` on."""
    symbols = torch.arange(-_WIDEST, _WIDEST + 1, dtype=torch.float64)
    index = torch.arange(first, first + INDICES, dtype=torch.float64)[:, None].expand(-1, len(symbols))
    mass = shape.double().log_mass(symbols.expand(INDICES, -1), index).exp().numpy()
    shape.float()
    return _grid([mass], -_WIDEST)


@torch.no_grad()
def hyper_tables(prior: HyperPrior, rows: int) -> TableGrid:
    """Tables of the hyperlatent: one row per step of the ladder, one table per channel."""
    anchors = len(prior.mean)
    anchor_weights = mixing(torch.linspace(0, anchors - 1, rows, dtype=torch.float64), anchors)
    symbols = torch.arange(-bundle.HYPERLATENT_LIMIT, bundle.HYPERLATENT_LIMIT + 1, dtype=torch.float64)
    channels = prior.mean.shape[1]
    mass = prior.double().log_mass(symbols.expand(rows, channels, -1), anchor_weights).exp().numpy()
    prior.float()
    return _grid(list(mass), -bundle.HYPERLATENT_LIMIT)


def _grid(rows: list[NDArray[np.float64]], first: int) -> TableGrid:
    """Integer tables of probabilities: (tables, symbols) per row, of the symbols from `first` on."""
    lows, tables = [], []
    for mass in (table for row in rows for table in row):
        kept = np.flatnonzero(mass >= _TAIL)
        low, high = (kept[0], kept[-1]) if len(kept) else (len(mass) // 2, len(mass) // 2)
        inside = mass[low : high + 1]
        lows.append(first + low)
        tables.append(quantize_probabilities(np.append(inside, max(0.0, 1 - float(inside.sum())))))
    shape = (len(rows), len(rows[0]))
    return TableGrid(
        low=np.array(lows, np.int32).reshape(shape),
        length=np.array([len(table) for table in tables], np.int32).reshape(shape),
        frequencies=np.concatenate(tables).astype(np.uint32),
    )


def _halved(arrays: dict[str, NDArray[Any]]) -> bytes:
    return npz({name: a.astype(np.float16) if a.size > 4096 else a for name, a in arrays.items()})


class _AnalysisGraph(nn.Module):
    """uint8 (H, W, 3), anchor_weights (anchors,) to float32 latent (C, H/16, W/16)."""

    def __init__(self, model: Cae2026Model) -> None:
        super().__init__()
        self.analysis = model.analysis

    def forward(self, pixels: Tensor, anchor_weights: Tensor) -> Tensor:
        # Bytes are rearranged into blocks, not floats: a quarter of the memory. In three steps of one axis
        # each: runtimes take twenty times as long to permute five axes at once.
        rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
        x = pixels.reshape(rows, BLOCK, columns, 3 * BLOCK).transpose(0, 1)
        x = x.reshape(BLOCK, rows * columns, 3 * BLOCK).transpose(1, 2)
        x = x.reshape(BLOCK**2, 3, rows * columns).transpose(0, 1)
        blocks = x.reshape(1, BLOCK_CHANNELS, rows, columns)
        latent: Tensor = self.analysis.of_blocks(blocks.float() / 255, anchor_weights[None])[0]
        return latent


class _SynthesisGraph(nn.Module):
    """float32 latent (C, h, w), anchor_weights (anchors,) to uint8 (16h, 16w, 3)."""

    def __init__(self, model: Cae2026Model) -> None:
        super().__init__()
        self.synthesis = model.synthesis

    def forward(self, latent: Tensor, anchor_weights: Tensor) -> Tensor:
        """The mirror of `_AnalysisGraph`."""
        blocks = torch.round(
            self.synthesis.to_blocks(latent[None], anchor_weights[None])[0].clamp(0, 1) * 255
        )
        rows, columns = blocks.shape[1:]
        x = blocks.to(torch.uint8).reshape(3, BLOCK**2, rows * columns).transpose(0, 1)
        x = x.reshape(BLOCK, 3 * BLOCK, rows * columns).transpose(1, 2)
        x = x.reshape(BLOCK, rows, columns * 3 * BLOCK).transpose(0, 1)
        return x.reshape(rows * BLOCK, columns * BLOCK, 3)


class _HyperAnalysisGraph(nn.Module):
    """Scaled latents (C, 4h, 4w) to the hyperlatent (D, h, w), not rounded."""

    def __init__(self, model: Cae2026Model) -> None:
        super().__init__()
        self.hyper_analysis = model.hyper_analysis

    def forward(self, scaled: Tensor, anchor_weights: Tensor) -> Tensor:
        hyperlatent: Tensor = self.hyper_analysis(scaled[None], anchor_weights[None])[0]
        return hyperlatent


class _HyperSynthesisGraph(nn.Module):
    """Integers (D, h, w) to features (F, 4h, 4w)."""

    def __init__(self, model: Cae2026Model) -> None:
        super().__init__()
        self.hyper_synthesis = model.hyper_synthesis

    def forward(self, hyperlatent: Tensor, anchor_weights: Tensor) -> Tensor:
        features: Tensor = self.hyper_synthesis(hyperlatent[None], anchor_weights[None])[0]
        return features


class _MeansGraph(nn.Module):
    """Features (F, 2h, 2w) and known latents (C, 2h, 2w) to the means of a pass (C, h, w), all unscaled.

    In each cell of 2x2 the pass codes one position of every channel; the last layer is computed there alone.
    """

    deviation: Tensor

    def __init__(self, model: Cae2026Model, number: int) -> None:
        super().__init__()
        self.add_module("means", nn.ModuleDict({str(number): model.means[number]}))
        self._number = number
        self.register_buffer("deviation", model.deviation[:, None, None])

    def forward(self, features: Tensor, known: Tensor, anchor_weights: Tensor) -> Tensor:
        net: Means = self.get_submodule(f"means.{self._number}")  # type: ignore[assignment]
        hidden = net.hidden(features[None], (known / self.deviation)[None], anchor_weights[None])
        by_group = sorted(parts(self._number, len(self.deviation)), key=lambda part: part.group)
        seen = torch.cat([hidden[:, :, part.row :: 2, part.column :: 2] for part in by_group], 1)
        means = F.conv2d(seen, net.leave.weight, net.leave.bias, groups=len(by_group))[0]
        return means * self.deviation
