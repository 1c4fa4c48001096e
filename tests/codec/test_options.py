"""The options of encoding: one value, checked when it is made, the same by whatever way it is given."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
import caesura.target
from caesura import EncodeOptions, Target
from caesura.errors import ConfigError
from caesura.options import Settings

Pixels = NDArray[np.uint8]


def test_keywords_are_the_options() -> None:
    assert list(Settings.__annotations__) == [field.name for field in dataclasses.fields(EncodeOptions)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quality": 0}, "quality is 0; 1 to 100 is allowed"),
        ({"effort": 10}, "effort is 10; 1 to 9 is allowed"),
        ({"max_pixels": 0}, "max_pixels is 0; an integer of 1 or more is allowed"),
        ({"segment_side": 65}, "segment_side is 65; a multiple of 64 up to 2048 is allowed"),
        ({"segment_side": 0}, "segment_side is 0; a multiple of 64 up to 2048 is allowed"),
        ({"segment_side": 4096}, "segment_side is 4096; a multiple of 64 up to 2048 is allowed"),
        ({"quality": 5, "target": Target(bpp=1)}, "quality is 5 and target is .*; one of them is allowed"),
    ],
)
def test_values_that_are_not_allowed_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EncodeOptions(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("quality", "5"), ("effort", 2.5), ("strip", "no"), ("target", 30), ("segment_side", True)],
)
def test_types_that_are_not_allowed_are_named(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} is .*, of type {type(value).__name__}; "):
        EncodeOptions(**{name: value})


@pytest.mark.slow
def test_options_and_keywords_give_the_same_file(part: Pixels) -> None:
    options = EncodeOptions(quality=30, effort=1, segment_side=128)
    data = caesura.encode(part, options)
    assert data == caesura.encode(part, quality=30, effort=1, segment_side=128)
    assert caesura.read_header(data).segments == 4
    assert caesura.encode(part, options, quality=60) == caesura.encode(
        part, quality=60, effort=1, segment_side=128
    )


def test_options_of_another_type_and_unknown_keywords_are_refused(part: Pixels) -> None:
    with pytest.raises(TypeError, match=r"options is .*; caesura\.EncodeOptions is allowed"):
        caesura.encode(part, {"quality": 5})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="qualty"):
        caesura.encode(part, qualty=5)  # type: ignore[call-arg]


def test_options_can_be_sent_to_another_process() -> None:
    options = EncodeOptions(target=Target(bpp=0.5), tune="psnr")
    assert pickle.loads(pickle.dumps(options)) == options


def test_the_former_names_are_there(part: Pixels) -> None:
    header = caesura.read_header(caesura.encode(part, effort=1))
    assert header.quality == header.ladder_position
    assert caesura.target.Target is Target  # type: ignore[attr-defined]
