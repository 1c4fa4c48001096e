"""The library for browsers is measured in Chromium."""

from __future__ import annotations

import re

import numpy as np
import pytest

from benchmarks import web
from browser_helpers import chromium, lacks

pytestmark = pytest.mark.slow


def test_speed_and_sizes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (web.WEB / "site" / "files.json").exists():
        lacks("web/site is not there; make web")
    with chromium():  # or the test is skipped
        pass
    monkeypatch.setattr(web, "_STARTS", 1)
    monkeypatch.setattr(web, "_WATCH", 0.1)
    monkeypatch.setattr(web, "find", lambda *given, usual=web.find, **named: usual(*given, **named)[:1])
    text = web.report(None, repeats=1, large=0)
    seconds = dict(re.findall(r"^\| (.+) \| (\d+\.\d\d) s \|$", text, re.MULTILINE))
    assert list(seconds) == [
        "loading what decoding needs, nothing cached",
        "decode 768 x 512",
        "encode 768 x 512",
        "encode 768 x 512 to 30000 bytes",
    ]
    assert all(float(one) > 0 for one in seconds.values())
    sizes = dict(re.findall(r"^\| (.+) \| [\d,]+ \| ([\d,]+) \|$", text, re.MULTILINE))
    assert 0 < int(sizes["library"].replace(",", "")) <= 40_000
    assert 0 < int(sizes["model `photo`, to decode"].replace(",", "")) <= 6_000_000


def test_the_large_picture_is_of_small_ones_in_turn() -> None:
    lying, standing = np.full((512, 768, 3), 10, np.uint8), np.full((768, 512, 3), 20, np.uint8)
    large = web._tiled([lying, standing])
    assert large.shape == (3000, 4000, 3)
    assert (large[:512, :768] == 10).all()
    assert (large[:512, 768:1536] == 20).all()
