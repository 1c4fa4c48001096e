"""Decoding small pictures of many rates is measured."""

from __future__ import annotations

import pytest

from benchmarks import rates
from caesura.models import bundle as bundles


def test_pictures_of_each_rate_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    decoded: list[bytes] = []
    usual = rates.codec.decode_array
    monkeypatch.setenv("CAESURA_THREADS", "1")
    monkeypatch.setattr(rates.codec, "decode_array", lambda data: decoded.append(data) or usual(data))
    found = rates.measure(bundles.load("photo"), pictures=6, rates=3)
    assert min(found) > 0
    one, first, again = decoded[1:7], decoded[7:13], decoded[13:]
    assert first == again
    assert len(one) == len(set(first)) == 6
