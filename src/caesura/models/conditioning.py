"""Conditioning: what a ladder position fixes for everything that codes with a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.tables import Table
from caesura.models import ladder
from caesura.models.bundle import Bundle

Float = NDArray[np.float32]
ONNX_RUNTIME, OPENVINO = "onnxruntime", "openvino"


@dataclass(frozen=True, eq=False)
class Conditioning:
    """A model at a ladder position.

    Attributes:
        bundle: the model.
        ladder_position: in hundredths, 100 to 10000.
        as_input: networks are given `anchor_weights` at each run instead of being loaded for them. One
            loading then serves all ladder positions, and each run takes an eighth longer.
        runtime: of analysis and synthesis, ONNX_RUNTIME or OPENVINO; see `runtime.choice`.
    """

    bundle: Bundle
    ladder_position: int
    as_input: bool = False
    runtime: str = ONNX_RUNTIME

    @property
    def above_ladder(self) -> bool:
        """Whether the position is above the ladder's top, where files have a detail layer."""
        return self.ladder_position > self.bundle.ladder_top

    @cached_property
    def anchor_weights(self) -> Float:
        """Interpolation weights of the ladder's anchors, float32 (anchors,): the networks' second input."""
        return ladder.anchor_weights(self.ladder_position, len(self.bundle.log_gain), self.bundle.ladder_top)

    @cached_property
    def gain(self) -> Float:
        """Quantization steps per unit of a latent, float32 (channels, 1, 1)."""
        return ladder.scale_vector(self.bundle.log_gain, self.anchor_weights)[:, None, None]

    @cached_property
    def inverse_gain(self) -> Float:
        """Units of a latent per quantization step, float32 (channels, 1, 1); trained apart from `gain`."""
        return ladder.scale_vector(self.bundle.log_inverse, self.anchor_weights)[:, None, None]

    @property
    def table_row(self) -> int:
        """Row of the bundle's tables and of its entropy control."""
        return ladder.table_row(self.ladder_position, self.bundle.tables.rows, self.bundle.ladder_top)

    @cached_property
    def tables(self) -> list[Table]:
        """A table per channel of what is coded first: latents (cae2017) or hyperlatents (cae2026)."""
        return self.bundle.tables.row(self.table_row)
