"""Transparency is kept without loss."""

from __future__ import annotations

import contextlib
import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import alpha, container
from caesura.container import Payload, Segment
from caesura.errors import FormatError
from container_helpers import layers

planes = arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@given(planes)
def test_every_value_comes_back(plane: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(alpha.decode(alpha.encode(plane), *plane.shape), plane)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_transparent_picture_comes_back_so(mode: str, astronaut: NDArray[np.uint8]) -> None:
    colours = Image.fromarray(astronaut[:50, :70]).convert(mode[:-1])
    mask = Image.fromarray(np.arange(50 * 70, dtype=np.uint32).reshape(50, 70).astype(np.uint8))
    picture = Image.merge(mode, (*colours.split(), mask))
    data = caesura.encode(picture, quality=60)
    decoded = caesura.decode(data)
    assert decoded.mode == mode
    assert decoded.getchannel("A").tobytes() == mask.tobytes()
    opaque = caesura.decode_array(caesura.encode(colours, quality=60))
    np.testing.assert_array_equal(caesura.decode_array(data)[:, :, :-1], opaque)
    assert caesura.encode(np.asarray(picture), quality=60) == data


def test_a_palette_with_a_transparent_entry(astronaut: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(astronaut[:40, :40]).quantize(16)
    picture.info["transparency"] = 3
    decoded = caesura.decode(caesura.encode(picture))
    expected = picture.convert("RGBA").getchannel("A")
    assert decoded.mode == "RGBA"
    assert decoded.getchannel("A").tobytes() == expected.tobytes()


def test_opaque_alpha_costs_nothing(astronaut: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(astronaut[:30, :30])
    with_alpha = picture.copy()
    with_alpha.putalpha(255)
    assert caesura.encode(with_alpha) == caesura.encode(picture)


def png(mode: str, size: tuple[int, int], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind)
    return stream.getvalue()


BAD = {
    "nothing": b"",
    "no picture": b"plain text",
    "cut": png("L", (4, 3))[:-30],
    "another size": png("L", (3, 4)),
    "colours": png("RGB", (4, 3)),
    "one bit": png("1", (4, 3)),
    "another format": png("L", (4, 3), "GIF"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plane_of_this_size_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="alpha: "):
        alpha.decode(BAD[name], 3, 4)


@settings(max_examples=60)
@given(st.data())
def test_changed_bytes_give_a_plane_or_our_error(data: st.DataObject) -> None:
    whole = bytearray(alpha.encode(np.arange(99, dtype=np.uint8).reshape(9, 11)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        assert alpha.decode(bytes(whole), 9, 11).shape == (9, 11)


def test_a_chunk_that_pillow_stumbles_over_is_our_error() -> None:
    whole = alpha.encode(np.arange(12, dtype=np.uint8).reshape(3, 4))
    profile = b"iCCP" + b"a name without an end"
    chunk = (len(profile) - 4).to_bytes(4, "big") + profile + zlib.crc32(profile).to_bytes(4, "big")
    with pytest.raises(FormatError, match="alpha: not a PNG that can be read"):
        alpha.decode(whole[:-12] + chunk + whole[-12:], 3, 4)


def test_a_file_whose_alpha_does_not_fit_is_refused(astronaut: NDArray[np.uint8]) -> None:
    header, payload = container.read(
        caesura.encode(np.dstack([astronaut[:20, :20], astronaut[:20, :20, :1]]))
    )
    forged = Segment(layers(payload).latents, None, alpha.encode(np.zeros((20, 21), np.uint8)))
    with pytest.raises(FormatError, match="alpha: 21 x 20; 20 x 20 is expected"):
        caesura.decode(container.write(header, Payload([forged])))
