"""What tests of files of one segment share."""

from __future__ import annotations

from caesura.format.container import Payload, SegmentData


def layers(payload: Payload) -> SegmentData:
    """The only segment of a small picture."""
    (segment,) = payload.segments
    assert segment is not None
    return segment
