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
from caesura import metrics
from caesura.errors import FormatError
from caesura.format import container
from caesura.format.container import Payload, SegmentData
from caesura.picture import alpha
from caesura.ratecontrol.search import PSNR_ABOVE, Target
from container_helpers import layers

planes = arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@pytest.mark.slow
@given(planes)
def test_every_value_comes_back(plane: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(alpha.decode(alpha.encode(plane), *plane.shape), plane)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_transparent_picture_comes_back_so(mode: str, astronaut: NDArray[np.uint8]) -> None:
    colours = Image.fromarray(astronaut[:50, :70]).convert(mode[:-1])
    mask = Image.fromarray(np.arange(50 * 70, dtype=np.uint32).reshape(50, 70).astype(np.uint8))
    picture = Image.merge(mode, (*colours.split(), mask))
    data = caesura.encode(picture, quality=60, exact=True)
    decoded = caesura.decode(data)
    assert decoded.mode == mode
    assert decoded.getchannel("A").tobytes() == mask.tobytes()
    opaque = caesura.decode_array(caesura.encode(colours, quality=60))
    np.testing.assert_array_equal(caesura.decode_array(data)[:, :, :-1], opaque)
    assert caesura.encode(np.asarray(picture), quality=60, exact=True) == data


def test_a_palette_with_a_transparent_entry(astronaut: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(astronaut[:40, :40]).quantize(16)
    picture.info["transparency"] = 3
    decoded = caesura.decode(caesura.encode(picture))
    expected = picture.convert("RGBA").getchannel("A")
    assert decoded.mode == "RGBA"
    assert decoded.getchannel("A").tobytes() == expected.tobytes()


def cut_out(photo: NDArray[np.uint8], hidden: object) -> NDArray[np.uint8]:
    """A disc of the photo with a hard edge, other colours hidden around it."""
    rows, columns = np.indices(photo.shape[:2])
    seen = ((rows - 50) ** 2 + (columns - 60) ** 2 < 1600)[:, :, None]
    return np.dstack([np.where(seen, photo, hidden), np.where(seen, 255, 0)]).astype(np.uint8)


@pytest.mark.slow
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]))), st.data()
)
def test_what_is_seen_stays_and_what_is_hidden_lies_between(
    colours: NDArray[np.uint8], data: st.DataObject
) -> None:
    plane = data.draw(arrays(np.uint8, colours.shape[:2], elements=st.sampled_from([0, 0, 1, 255])))
    cleared = alpha.cleared(colours, plane)
    assert (cleared.shape, cleared.dtype) == (colours.shape, np.uint8)
    seen = plane > 0
    np.testing.assert_array_equal(cleared[seen], colours[seen])
    if seen.any():
        assert (cleared >= colours[seen].min(axis=0)).all()
        assert (cleared <= colours[seen].max(axis=0)).all()
    again = alpha.cleared(np.where(seen[:, :, None], colours, 77).astype(np.uint8), plane)
    np.testing.assert_array_equal(again, cleared)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("quality", [50, 90])
def test_what_nobody_sees_costs_nothing(astronaut: NDArray[np.uint8], channels: int, quality: int) -> None:
    photo = astronaut[60:160, 100:220, : channels - 1]
    noise = np.random.default_rng(0).integers(0, 256, photo.shape)
    noisy, plain = cut_out(photo, noise), cut_out(photo, photo)
    data = caesura.encode(noisy, quality=quality)
    assert (
        data == caesura.encode(plain, quality=quality) == caesura.encode(cut_out(photo, 0), quality=quality)
    )
    kept = caesura.encode(noisy, quality=quality, exact=True)
    assert len(data) < len(caesura.encode(plain, quality=quality, exact=True)) < len(kept)
    decoded = caesura.decode_array(data)
    np.testing.assert_array_equal(decoded[:, :, -1], noisy[:, :, -1])
    seen, colours = noisy[:, :, -1] > 0, slice(channels - 1)
    exactly = caesura.decode_array(kept)
    for part, better, worse in ((seen, decoded, exactly), (~seen, exactly, decoded)):
        found = [metrics.psnr(noisy[part, colours], one[part, colours]) for one in (better, worse)]
        assert found[0] > found[1]


@pytest.mark.slow
def test_a_picture_of_which_nothing_is_seen_is_coded(astronaut: NDArray[np.uint8]) -> None:
    picture = np.dstack([astronaut[:70, :90], np.zeros((70, 90), np.uint8)])
    data = caesura.encode(picture, quality=100)
    assert len(data) < 600
    assert not caesura.decode_array(data)[:, :, 3].any()
    assert len(caesura.encode(picture, target=Target(psnr=40))) < 300


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["noise", "black"])
def test_a_target_is_met_where_it_is_seen(astronaut: NDArray[np.uint8], hidden: str) -> None:
    photo = astronaut[60:260, 100:300]
    noise = np.random.default_rng(0).integers(0, 256, photo.shape)
    picture = cut_out(photo, noise if hidden == "noise" else 0)
    seen = picture[:, :, 3] > 0
    decoded = caesura.decode_array(caesura.encode(picture, target=Target(psnr=33), effort=1))
    assert 33 <= metrics.psnr(picture[seen, :3], decoded[seen, :3]) <= 33 + PSNR_ABOVE
    decoded = caesura.decode_array(caesura.encode(picture, target=Target(ms_ssim=0.99), effort=1))
    filled = np.where(seen[:, :, None], decoded[:, :, :3], alpha.cleared(picture[:, :, :3], picture[:, :, 3]))
    assert 0.99 <= metrics.ms_ssim(alpha.cleared(picture[:, :, :3], picture[:, :, 3]), filled) <= 0.9902


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
    forged = SegmentData(layers(payload).latents, None, alpha.encode(np.zeros((20, 21), np.uint8)))
    with pytest.raises(FormatError, match="alpha: 21 x 20; 20 x 20 is expected"):
        caesura.decode(container.write(header, Payload([forged])))
