"""The architectures by name."""

from __future__ import annotations

from caesura.coding.base import DEFAULT_EFFORT, SegmentCoder
from caesura.coding.cae2017 import Cae2017
from caesura.coding.cae2026 import Cae2026
from caesura.models.conditioning import Conditioning


def segment_coder(conditioning: Conditioning, effort: int = DEFAULT_EFFORT) -> SegmentCoder:
    """The coder of a model's architecture; `effort` is 1 to 9, of which cae2017 has one only."""
    if conditioning.bundle.architecture == "cae2017":
        return Cae2017(conditioning)
    return Cae2026(conditioning, effort)
