"""What a bundle's manifest says for forecasts: read as written, refused where it is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from caesura.errors import ConfigError, ModelError
from caesura.models import bundle as bundles
from caesura.models import fitted
from caesura.models.manifest import read_manifest
from model_helpers import MakeBundle, folder_of

LINE = {"slope": 1.25, "offsets": [[1.0, -2.5], [40, 3], [72.0, 0.125]], "means": [[1.0, -3], [72.0, 1.5]]}
TOP = {"bits": 2.0, "psnr": 47.5, "similarity": 6.5}
FIELD: dict[str, Any] = {"bits": LINE, "error": LINE, "loss": LINE, "top": TOP}


@pytest.mark.parametrize("detail", [False, True])
def test_it_is_read_as_it_was_written(detail: bool) -> None:
    field = FIELD if detail else {name: FIELD[name] for name in ("bits", "error", "loss")}
    found = fitted.read(field, detail=detail)
    assert found.bits == fitted.Line(
        1.25, [(1.0, -2.5), (40.0, 3.0), (72.0, 0.125)], [(1.0, -3.0), (72.0, 1.5)]
    )
    assert found.top == (fitted.Top(2.0, 47.5, 6.5) if detail else None)
    assert fitted.read(fitted.write(found), detail=detail) == found


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ((), [], "forecast has"),
        (("more",), 1, "forecast has .*more"),
        (("bits",), None, "forecast.bits has None"),
        (("bits", "slope"), 0, "forecast.bits.slope is 0"),
        (("bits", "slope"), -1.0, "forecast.bits.slope is -1.0; 0 to 10 is allowed"),
        (("error", "slope"), True, "forecast.error.slope is True"),
        (("error", "slope"), math.nan, "forecast.error.slope is nan"),
        (("loss", "slope"), "1", "forecast.loss.slope is '1'"),
        (("loss", "offsets"), [[1, 0]], "forecast.loss.offsets is .*; 2 to 64 pairs"),
        (("loss", "offsets"), [[n / 100 + 1, 0] for n in range(65)], "2 to 64 pairs"),
        (("loss", "offsets"), [[1, 0], [2]], r"forecast.loss.offsets has \[2\]"),
        (("loss", "offsets"), [[2, 0], [2, 1]], "rising ladder positions"),
        (("loss", "offsets"), [[0.5, 0], [2, 1]], "is 0.5; 1 to 100 is allowed"),
        (("loss", "offsets"), [[1, 0], [2, math.inf]], "is inf; -100 to 100 is allowed"),
        (("loss", "means"), [[1, 0], [1, 0]], "forecast.loss.means is .*; rising ladder positions"),
        (("loss", "means"), None, "forecast.loss.means is None; 2 to 64 pairs"),
        (("top",), {"bits": 2.0, "psnr": 47.5}, "forecast.top has"),
        (("top", "psnr"), 101, "forecast.top.psnr is 101; 0 to 100 is allowed"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str, ...], value: Any, named: str) -> None:
    field: Any = json.loads(json.dumps(FIELD))  # no part is another
    if path:
        inner = field
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
    else:
        field = value
    with pytest.raises(ConfigError, match=named):
        fitted.read(field, detail=True)


def test_a_bundle_with_a_detail_layer_has_its_top_and_no_other_has() -> None:
    with pytest.raises(ConfigError, match="exactly bits, error, loss are allowed"):
        fitted.read(FIELD, detail=False)
    with pytest.raises(ConfigError, match="exactly bits, error, loss, top are allowed"):
        fitted.read({name: FIELD[name] for name in ("bits", "error", "loss")}, detail=True)


def test_bundles_may_have_it_and_are_refused_with_a_wrong_one(
    tmp_path: Path, make_bundle: MakeBundle
) -> None:
    flagship = folder_of("photo-psnr")
    loaded = bundles.load(make_bundle(tmp_path / "with", of=flagship, forecast=FIELD))
    assert loaded.forecast == fitted.read(FIELD, detail=True)
    assert loaded.id == bundles.load(flagship).id
    wrong = make_bundle(tmp_path / "wrong", of=flagship, forecast=FIELD | {"top": None})
    with pytest.raises(ModelError, match=f"model {wrong}: forecast.top has None"):
        read_manifest(wrong)
